"""Exported networks, their comparison with PyTorch, and packed bundles."""
