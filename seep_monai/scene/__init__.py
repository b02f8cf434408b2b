"""Inference on images: inputs and output maps."""
