"""The network, its loss, and inference over the symmetries of the image."""
