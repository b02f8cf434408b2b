"""Find potential natural oil seeps in SAR images with MONAI."""

from seep_monai.tiff import TiffReader  # noqa: F401  registers the reader that LoadImaged finds for .tif files

__version__ = "0.1.0"
