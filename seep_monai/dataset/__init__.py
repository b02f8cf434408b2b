"""Tiles on disk: pairs, audit, split, neighbours, transforms."""
