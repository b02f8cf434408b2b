"""Augmentation of training batches on the device."""
