"""Inference on images: what is read, and the maps that are written."""
