"""Settings of a cross-validation: data, folds and config overrides, stored next to the folds."""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from seep_monai.checkpoints import read_description
from seep_monai.dataset.split import SplitSettings
from seep_monai.errors import ConfigError, DataError
from seep_monai.files import file_sha256, read_json, write_json
from seep_monai.initial_weights import AUTO, initial_folder
from seep_monai.objects.classifier import CLASSIFIED
from seep_monai.workflow import bundle_source

SETTINGS_FILE = "settings.json"
# Choice: with 14 scenes, each fold tests on three or four scenes and trains on half of them.
DEFAULT_N_FOLDS = 4

# Ids of train.json that an evaluation also takes. All others are stored with the weights.
_MODE = "instances#mode"
_SHARED_IDS = ("images_dir", "masks_dir", "tile_columns", "device", "amp", "batch_size", "validate", "instances")
# Ids of evaluate.json that are not options: steps, and the part, which is always `test`.
_STEPS = ("part", "description", "classifier", "evaluation", "evaluating")
# Ids that are set for each fold.
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
    """Settings of all folds.

    Attributes:
        dataset_dir: absolute path of the data set.
        n_folds: number of folds, at least 3.
        seed: seed of the grouping of scenes and of the trainings.
        overrides: other ids of train.json and evaluate.json, with their values as text.
        config_sha256: checksum of train.json, which has the values of all other ids.
        initial_weights_sha256: checksum of the weights that the override `initial_weights` means, by default those that
            ship; None: the trainings start from scratch.
    """

    dataset_dir: str
    n_folds: int = DEFAULT_N_FOLDS
    seed: int = 0
    overrides: Mapping[str, str] = field(default_factory=dict)
    config_sha256: str = ""
    initial_weights_sha256: str | None = None

    def __post_init__(self) -> None:
        SplitSettings(n_folds=self.n_folds, seed=self.seed)
        if self.n_folds < 3:
            raise ConfigError(
                f"n_folds: expected at least 3, so that each fold has a test part, but got {self.n_folds}."
            )

    @property
    def classified(self) -> bool:
        """Whether the object classifier is used. It is the default mode."""
        return self.overrides.get(_MODE, CLASSIFIED) == CLASSIFIED

    @property
    def training_overrides(self) -> dict[str, str]:
        """The overrides of a training. Mode `classified` is left out, because the classifier is fitted later."""
        alone = evaluation_ids()
        taken = {name: value for name, value in self.overrides.items() if name not in alone}
        return {name: value for name, value in taken.items() if (name, value) != (_MODE, CLASSIFIED)}

    @property
    def fitting_overrides(self) -> dict[str, str]:
        """The overrides of the fit of the object classifier."""
        return {name: value for name, value in self.evaluation_overrides.items() if _top(name) != "instances"}

    @property
    def evaluation_overrides(self) -> dict[str, str]:
        """The overrides of an evaluation, which together with the weights determine the scores of a fold."""
        taken = {*_SHARED_IDS, *evaluation_ids()}
        return {name: value for name, value in sorted(self.overrides.items()) if _top(name) in taken}

    def to_json(self) -> dict[str, Any]:
        """A dictionary that can be written to JSON."""
        return asdict(self) | {"overrides": dict(sorted(self.overrides.items()))}


def make_settings(
    dataset_dir: str | Path, words: Sequence[str] = (), *, n_folds: int = DEFAULT_N_FOLDS, seed: int = 0
) -> CrossValidationSettings:
    """Settings from the command line; `words` are its `--id value` overrides.

    Raises:
        ConfigError: if a word is not an override that applies to all folds, or a number is out of range.
        DataError: if the initial weights are missing or damaged.
    """
    overrides = parse_overrides(words, _ids("train.json") | evaluation_ids())
    checksum = file_sha256(config_path("train.json"))
    initial = initial_folder(overrides.get("initial_weights", AUTO))
    started = None if initial is None else str(read_description(initial)["sha256"])
    return CrossValidationSettings(str(Path(dataset_dir).absolute()), n_folds, seed, overrides, checksum, started)


def evaluation_ids() -> set[str]:
    """Options of evaluate.json that are not in train.json."""
    return {name for name in _ids("evaluate.json") - _ids("train.json") if "#" not in name} - {*_STEPS}


def config_path(name: str) -> Path:
    """The absolute path of a config file of the bundle."""
    return bundle_source() / "configs" / name


def parse_overrides(words: Sequence[str], known_ids: Collection[str]) -> dict[str, str]:
    """The values by id, as text.

    Args:
        words: `--id`, `value`, `--id`, `value`, .. or `--id=value`; `--a#b` sets `b` in the group `a`.
        known_ids: the known top-level ids.

    Raises:
        ConfigError: for other forms, an unknown id, or an id that is set for each fold.

    >>> parse_overrides(["--max_epochs", "3", "--device=cpu"], ["device", "max_epochs"])
    {'max_epochs': '3', 'device': 'cpu'}
    """
    overrides: dict[str, str] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.removeprefix("--").partition("=")
        if not word.startswith("--") or not name:
            raise ConfigError(f"{word}: expected --id value, with an id of train.json.")
        if not equals:
            if not rest or rest[0].startswith("--"):
                raise ConfigError(f"{word}: expected a value after it, such as {word} True.")
            value = rest.pop(0)
        _check_id(name, known_ids)
        overrides[name] = value
    return overrides


def begin(settings: CrossValidationSettings, folder: Path) -> None:
    """Write the settings to the folder, or compare them with the settings stored there.

    Raises:
        ConfigError: if the stored settings differ, or the folder holds weights that were trained by hand.
        DataError: if the stored settings cannot be read.
    """
    stored = read_settings(folder)
    if stored is None:
        by_hand = sorted(folder.glob("fold_*/models/model.pt"))
        if by_hand:
            raise ConfigError(
                f"{by_hand[0]}: these weights were trained by hand, not by a cross-validation. Score them with "
                "--score_only, or give another --output_dir."
            )
        write_json(folder / SETTINGS_FILE, settings.to_json())
        return
    differences = _differences(stored, settings.to_json())
    if differences:
        raise ConfigError(
            f"{folder}: was begun with other settings: {'; '.join(differences)}. Give the same settings to continue, "
            "give another --output_dir, remove the folder to start again, or score the existing folds with "
            "--score_only."
        )


def read_settings(folder: Path) -> dict[str, Any] | None:
    """The settings stored in the folder; None if there are none.

    Raises:
        DataError: if the file cannot be read.
    """
    path = folder / SETTINGS_FILE
    if not path.exists():
        return None
    try:
        content = read_json(path)
        content["overrides"].keys()
    except (DataError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path}: expected the settings of a cross-validation, but it cannot be read ({error})."
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
        raise ConfigError(f"--{name}: is set for each fold and cannot be given. Leave it out.")
    if name == "split#split_file":
        raise ConfigError("--split#split_file: would give all folds the same test part. Leave it out.")
    if top not in known_ids:
        near = difflib.get_close_matches(top, sorted(known_ids), n=1)
        hint = f"Did you mean --{near[0]}?" if near else f"Known ids: {', '.join(sorted(known_ids))}."
        raise ConfigError(f"--{name}: the config files have no such id. {hint}")


def _differences(stored: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
    """One text per setting that differs."""
    flat = [{**content, **content["overrides"]} for content in (stored, given)]
    for content in flat:
        content.pop("overrides")
    keys = sorted(flat[0].keys() | flat[1].keys())
    pairs = {key: tuple(content.get(key, "its default") for content in flat) for key in keys}
    return [f"{key} was {one}, is {other}" for key, (one, other) in pairs.items() if one != other]
