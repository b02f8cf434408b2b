"""COCO instance files: run-length encoding, our files, and results of other programs."""

from seep_monai.coco.files import CocoRecords
from seep_monai.coco.results import MaskTable, read_image_ids, read_results
from seep_monai.coco.rle import Runs, label_runs

__all__ = ["CocoRecords", "MaskTable", "Runs", "label_runs", "read_image_ids", "read_results"]
