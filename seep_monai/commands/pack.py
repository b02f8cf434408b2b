"""Pack the bundle into one zip: configs, model card, licence, weights, their description and the wheel of this package.

On another machine with Python:

  unzip seeps.zip && cd seeps && sha256sum --check sha256.txt
  pip install ./seep_monai-*.whl
  SEEP_BUNDLE_ROOT=. seep-monai infer IMAGES --output_dir OUT
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from seep_monai.errors import entry
from seep_monai.export.packing import pack_bundle
from seep_monai.shipped_weights import default_folder
from seep_monai.workflow import bundle_root, bundle_source


@entry
def main(words: Sequence[str]) -> None:
    """Parse the command line and write the zip."""
    parser = argparse.ArgumentParser(
        "seep-monai pack", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--ckpt_dir", type=Path, help="folder of the weights (default: bundle/models, or the weights that ship)"
    )
    parser.add_argument("--output", type=Path, default=Path("seeps.zip"), help="file (default: %(default)s)")
    parser.add_argument("--overwrite", action="store_true", help="replace the file")
    arguments = parser.parse_args(words)
    ckpt_dir = arguments.ckpt_dir or default_folder(Path(bundle_root()) / "models")
    pack_bundle(bundle_source(), ckpt_dir, arguments.output, overwrite=arguments.overwrite)
    print(f"{arguments.output}: {arguments.output.stat().st_size / 1e6:.1f} MB, weights of {ckpt_dir}")
