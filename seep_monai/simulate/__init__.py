"""Simulated SAR tiles with seeps."""
