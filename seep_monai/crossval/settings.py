"""What a cross-validation trains: data, folds and overrides of train.json, kept beside its folds to be compared."""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from seep_monai.dataset.split import SplitSettings
from seep_monai.errors import ConfigError, DataError
from seep_monai.files import file_sha256, write_json
from seep_monai.objects.classifier import CLASSIFIED
from seep_monai.workflow import bundle_root

SETTINGS_FILE = "settings.json"
# Choice: with 14 scenes three or four of them test each fold, and half of the scenes train it.
DEFAULT_N_FOLDS = 4

# Overrides of train.json that an evaluation takes as well; all others are stored with the weights.
_MODE = "instances#mode"
_SHARED_IDS = ("images_dir", "masks_dir", "tile_columns", "device", "amp", "batch_size", "validate", "instances")
# What evaluate.json has beside its options: steps, and the part, which is always that of the test.
_STEPS = ("part", "description", "classifier", "evaluation", "evaluating")
_OWN_IDS = (
    "bundle_root",
    "output_dir",
    "ckpt_dir",
    "run_name",
    "split",
    "split#fold",
    "split#n_folds",
    "resume",
    "overwrite",
)


@dataclass(frozen=True)
class CrossValidationSettings:
    """What every fold is trained with.

    Attributes:
        dataset_dir: the data set, an absolute path.
        n_folds: number of folds, at least 3.
        seed: of the grouping of scenes and of the trainings.
        overrides: other ids of train.json, and those of evaluate.json alone, with their values as text.
        config_sha256: checksum of train.json, whose values all other ids have.
    """

    dataset_dir: str
    n_folds: int = DEFAULT_N_FOLDS
    seed: int = 0
    overrides: Mapping[str, str] = field(default_factory=dict)
    config_sha256: str = ""

    def __post_init__(self) -> None:
        SplitSettings(n_folds=self.n_folds, seed=self.seed)
        if self.n_folds < 3:
            raise ConfigError(
                f"n_folds: expected at least 3, so that each fold has a test part, but got {self.n_folds}."
            )

    @property
    def classified(self) -> bool:
        """Whether the object classifier is to be used: unless another mode is asked for."""
        return self.overrides.get(_MODE, CLASSIFIED) == CLASSIFIED

    @property
    def training_overrides(self) -> dict[str, str]:
        """Those that a training takes; the object classifier is fitted after it."""
        alone = evaluation_ids()
        taken = {name: value for name, value in self.overrides.items() if name not in alone}
        return {name: value for name, value in taken.items() if (name, value) != (_MODE, CLASSIFIED)}

    @property
    def fitting_overrides(self) -> dict[str, str]:
        """Those that the fitting of the object classifier takes."""
        return {name: value for name, value in self.evaluation_overrides.items() if _top(name) != "instances"}

    @property
    def evaluation_overrides(self) -> dict[str, str]:
        """Those that an evaluation takes: all that the scores of a fold hang on beside its weights."""
        taken = {*_SHARED_IDS, *evaluation_ids()}
        return {name: value for name, value in sorted(self.overrides.items()) if _top(name) in taken}

    def to_json(self) -> dict[str, Any]:
        """As a dictionary that can be written to JSON."""
        return asdict(self) | {"overrides": dict(sorted(self.overrides.items()))}


def make_settings(
    dataset_dir: str | Path, words: Sequence[str] = (), *, n_folds: int = DEFAULT_N_FOLDS, seed: int = 0
) -> CrossValidationSettings:
    """Settings from a command line; `words` are its `--id value` overrides.

    Raises:
        ConfigError: if a word is no override that all folds can share, or a number is out of range.
    """
    overrides = parse_overrides(words, _ids("train.json") | evaluation_ids())
    checksum = file_sha256(config_path("train.json"))
    return CrossValidationSettings(str(Path(dataset_dir).absolute()), n_folds, seed, overrides, checksum)


def evaluation_ids() -> set[str]:
    """Options of evaluate.json that train.json has not."""
    return {name for name in _ids("evaluate.json") - _ids("train.json") if "#" not in name} - {*_STEPS}


def config_path(name: str) -> Path:
    """The absolute path of a config file of the bundle."""
    return Path(bundle_root()).absolute() / "configs" / name


def parse_overrides(words: Sequence[str], known_ids: Collection[str]) -> dict[str, str]:
    """The values by their ids, as text.

    Args:
        words: `--id`, `value`, `--id`, `value`, .. or `--id=value`; `--a#b` sets a part of `a`.
        known_ids: top-level ids that there are.

    Raises:
        ConfigError: for anything else, an id that is unknown, or one that each fold has for itself.

    >>> parse_overrides(["--max_epochs", "3", "--device=cpu"], ["device", "max_epochs"])
    {'max_epochs': '3', 'device': 'cpu'}
    """
    overrides: dict[str, str] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.removeprefix("--").partition("=")
        if not word.startswith("--") or not name:
            raise ConfigError(f"{word}: expected --id value, for an id of train.json.")
        if not equals:
            if not rest or rest[0].startswith("--"):
                raise ConfigError(f"{word}: expected a value behind it, such as {word} True.")
            value = rest.pop(0)
        _check_id(name, known_ids)
        overrides[name] = value
    return overrides


def begin(settings: CrossValidationSettings, folder: Path) -> None:
    """Keep the settings in the folder, or compare them with those that it was begun with.

    Raises:
        ConfigError: if it was begun with others, or holds weights of trainings done by hand.
        DataError: if its settings cannot be read.
    """
    stored = read_settings(folder)
    if stored is None:
        by_hand = sorted(folder.glob("fold_*/models/model.pt"))
        if by_hand:
            raise ConfigError(
                f"{by_hand[0]}: these weights were trained by no cross-validation of this folder. Score them with "
                "--score_only, or give another --output_dir."
            )
        write_json(folder / SETTINGS_FILE, settings.to_json())
        return
    differences = _differences(stored, settings.to_json())
    if differences:
        raise ConfigError(
            f"{folder}: was begun with other settings: {'; '.join(differences)}. Give the same ones to go on, give "
            "another --output_dir, remove the folder to start anew, or score what is there with --score_only."
        )


def read_settings(folder: Path) -> dict[str, Any] | None:
    """The settings that the folder's folds were trained with; None where no cross-validation was begun.

    Raises:
        DataError: if the file cannot be read.
    """
    path = folder / SETTINGS_FILE
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        content["overrides"].keys()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path}: expected the settings of a cross-validation, but cannot be read ({error})."
        ) from error
    return dict(content)


def _ids(name: str) -> set[str]:
    return set(json.loads(config_path(name).read_text(encoding="utf-8")))


def _top(name: str) -> str:
    """The top-level id of an override."""
    return name.partition("#")[0].partition("::")[0]


def _check_id(name: str, known_ids: Collection[str]) -> None:
    top = _top(name)
    if name in _OWN_IDS:
        raise ConfigError(f"--{name}: each fold has one of its own, so that it cannot be given. Leave it out.")
    if name == "split#split_file":
        raise ConfigError("--split#split_file: would give all folds one test part. Leave it out, or train by hand.")
    if top not in known_ids:
        near = difflib.get_close_matches(top, sorted(known_ids), n=1)
        hint = f"Did you mean --{near[0]}?" if near else f"Known ids: {', '.join(sorted(known_ids))}."
        raise ConfigError(f"--{name}: the config files have no such id. {hint}")


def _differences(stored: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
    """What differs, one text each."""
    flat = [{**content, **content["overrides"]} for content in (stored, given)]
    for content in flat:
        content.pop("overrides")
    keys = sorted(flat[0].keys() | flat[1].keys())
    pairs = {key: tuple(content.get(key, "its default") for content in flat) for key in keys}
    return [f"{key} was {one}, is {other}" for key, (one, other) in pairs.items() if one != other]
