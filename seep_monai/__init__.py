"""Find potential natural oil seeps in SAR images with MONAI."""

__version__ = "0.1.0"
