"""Write trained weights for other programs, as one file that also carries the content of model.json.

  torch        torch.export, FILE.pt2: PyTorch without the source of the network
  onnx         FILE.onnx: ONNX Runtime and others; needs pip install 'seep-monai[export]'
  torchscript  FILE.ts: older PyTorch, C++

Batch size, height and width are free. The file is compared with PyTorch on simulated images, and kept only if all
classes are the same. `seep-monai infer IMAGES --model FILE` draws with it.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from seep_monai.checkpoints import is_shipped
from seep_monai.errors import entry
from seep_monai.export.conversion import export_weights
from seep_monai.export.formats import SUFFIXES
from seep_monai.shipped_weights import default_folder
from seep_monai.workflow import bundle_root


@entry
def main(words: Sequence[str]) -> None:
    """Parse the command line, export, and print the comparison."""
    parser = argparse.ArgumentParser(
        "seep-monai export", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--format", required=True, choices=tuple(SUFFIXES), help="see above")
    parser.add_argument(
        "--ckpt_dir", type=Path, help="folder of the weights (default: bundle/models, or the weights that ship)"
    )
    parser.add_argument(
        "--output",
        type=Path,
        help="file (default: model.pt2, .onnx or .ts beside the weights; bundle/models for those that ship)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the file")
    arguments = parser.parse_args(words)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    own = Path(bundle_root()) / "models"
    ckpt_dir = arguments.ckpt_dir or default_folder(own)
    beside = own if is_shipped(ckpt_dir) else ckpt_dir
    target = arguments.output or beside / f"model{SUFFIXES[arguments.format]}"
    comparison = export_weights(ckpt_dir, target, arguments.format, overwrite=arguments.overwrite)
    print(f"{target}: {comparison}")
