"""The data set of tiles: pairs, audit, split, neighbouring tiles, transforms."""
