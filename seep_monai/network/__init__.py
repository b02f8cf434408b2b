"""The network, its loss, and test-time augmentation."""
