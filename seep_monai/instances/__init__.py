"""Instances from class probabilities, and the sea around them."""
