"""From class probabilities to instances, and the sea around them."""
