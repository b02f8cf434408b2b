"""A bundle packed into one zip that runs on another machine: configs, weights, and the wheel of this package."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from seep_monai.checkpoints import DESCRIPTION_FILE, MODEL_FILE, read_description
from seep_monai.export.wheels import running_wheel, zipped
from seep_monai.files import check_new_file, write_bytes

# The list of checksums, in the format of `sha256sum`.
CHECKSUMS = "sha256.txt"
_OF_BUNDLE = ("configs/*.json", "configs/logging.conf", "docs/*", "LICENSE")


def pack_bundle(bundle: Path, ckpt_dir: Path, target: Path, *, overwrite: bool = False) -> None:
    """Write a zip of one folder, which has the name of the zip.

    Args:
        bundle: folder with `configs`, `docs` and `LICENSE`.
        ckpt_dir: folder of `model.pt` and `model.json`, which become `models/model.pt` and `models/model.json`.
        target: the new file, `.zip`.
        overwrite: replace an existing file.

    Raises:
        ConfigError: if the target exists, or is no `.zip`.
        DataError: if the weights are missing or damaged, or the wheel cannot be built.
    """
    check_new_file(target, suffix=".zip", option="--output", overwrite=overwrite)
    read_description(ckpt_dir)
    paths = [path for pattern in _OF_BUNDLE for path in sorted(bundle.glob(pattern)) if path.is_file()]
    content = {path.relative_to(bundle).as_posix(): path.read_bytes() for path in paths}
    content |= {f"models/{name}": (ckpt_dir / name).read_bytes() for name in (MODEL_FILE, DESCRIPTION_FILE)}
    wheel, data = running_wheel()
    content[wheel] = data
    content[CHECKSUMS] = checksum_list(content)
    write_bytes(target, zipped({f"{target.stem}/{name}": data for name, data in content.items()}))


def checksum_list(content: Mapping[str, bytes]) -> bytes:
    r"""What `sha256sum --check` reads: one line a file.

    >>> checksum_list({"a": b""})
    b'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  a\n'
    """
    return "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in content.items()).encode()
