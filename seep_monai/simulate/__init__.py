"""Simulation of SAR tiles and scenes with seeps."""
