"""The static STAC catalogue of an archive, as plain dictionaries: an item a scene, with the model by extension MLM."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from seep_monai.archive.attempts import SCENES
from seep_monai.archive.footprint import bounds
from seep_monai.archive.inference import Model
from seep_monai.classes import N_CLASSES

CATALOGUE = "catalogue"
CATALOG_FILE = "catalog.json"
_VERSION = "1.0.0"
_MLM = "https://stac-extensions.github.io/mlm/v1.4.0/schema.json"
# STAC wants a range where the time is unknown. Choice: from the launch of Seasat, the first satellite with a SAR.
_ANY_TIME = {"start_datetime": "1978-06-27T00:00:00Z", "end_datetime": "9999-12-31T23:59:59Z"}
_ASSETS: dict[str, tuple[str, str, str, list[str]]] = {
    "classes": ("_classes.tif", "image/tiff; application=geotiff; profile=cloud-optimized", "seep classes", ["data"]),
    "probability": (
        "_probability.tif",
        "image/tiff; application=geotiff; profile=cloud-optimized",
        "probability of a seep",
        ["data"],
    ),
    "seeps": ("_seeps.gpkg", "application/geopackage+sqlite3", "potential seeps", ["data"]),
    "seeps_geojson": ("_seeps.geojson", "application/geo+json", "potential seeps in longitude, latitude", ["data"]),
    "map": (".html", "text/html", "map page", ["overview"]),
}


def catalog(names: Sequence[str]) -> dict[str, Any]:
    """The root of the catalogue, with a link to each scene."""
    items = [{"rel": "item", "href": f"./{name}/{name}.json", "type": "application/geo+json"} for name in names]
    return {
        "type": "Catalog",
        "stac_version": _VERSION,
        "id": "seep-monai-archive",
        "title": "Potential seeps",
        "description": "Potential natural oil seeps in SAR scenes, found by seep-monai.",
        "links": [{"rel": "root", "href": f"./{CATALOG_FILE}", "type": "application/json"}, *items],
    }


def item(record: Mapping[str, Any], model: Model, out: Path) -> dict[str, Any]:
    """The item of a scene; its links and assets are relative to `OUT/catalogue/<scene>/`.

    Args:
        record: of the scene, see `read_record`.
        model: the weights.
        out: folder of the archive.
    """
    name, area = str(record["scene"]), record["footprint"]
    files = f"../../{SCENES}/{name}/{name}"
    assets = {
        key: {"href": f"{files}{end}", "type": kind, "title": title, "roles": roles}
        for key, (end, kind, title, roles) in _ASSETS.items()
        if f"{name}{end}" in record["files"]
    }
    known = {"platform": record["platform"]} if record["platform"] else {}
    return {
        "type": "Feature",
        "stac_version": _VERSION,
        "stac_extensions": [_MLM],
        "id": name,
        "geometry": area,
        **({} if area is None else {"bbox": bounds(area)}),
        "properties": {
            "datetime": record["time"],
            **({} if record["time"] else _ANY_TIME),
            **known,
            "n_seeps": record["seeps"],
            **model_fields(model),
        },
        "links": [
            {"rel": "root", "href": f"../{CATALOG_FILE}", "type": "application/json"},
            {"rel": "parent", "href": f"../{CATALOG_FILE}", "type": "application/json"},
        ],
        "assets": {**assets, "model": _model_asset(model, out / CATALOGUE / name)},
    }


def model_fields(model: Model) -> dict[str, Any]:
    """The fields of the extension MLM that describe the weights."""
    rows, columns = model.window_px
    axes = ["batch", "channel", "height", "width"]
    tasks = ["semantic-segmentation", "instance-segmentation"]
    classes = [{"value": 0, "name": "background"}]
    classes += [{"value": k, "name": _plain(name)} for k, name in enumerate(model.class_names, start=1)]
    return {
        "mlm:name": f"seep-monai-{model.sha256[:12]}",
        "mlm:architecture": "SegResNet",
        "mlm:framework": "PyTorch",
        "mlm:tasks": tasks,
        "mlm:input": [
            {
                "name": "log of DN over the median DN of the scene",
                "bands": [],
                "input": {"shape": [-1, 1, rows, columns], "dim_order": axes, "data_type": "float32"},
            }
        ],
        "mlm:output": [
            {
                "name": "class logits",
                "tasks": tasks,
                "result": {"shape": [-1, N_CLASSES, rows, columns], "dim_order": axes, "data_type": "float32"},
                "classification:classes": classes,
            }
        ],
        "mlm:hyperparameters": {"weights_sha256": model.sha256},
    }


def _model_asset(model: Model, folder: Path) -> dict[str, Any]:
    return {
        "href": Path(os.path.relpath(model.weights, folder.resolve())).as_posix(),
        "type": "application/octet-stream; application=pytorch",
        "title": "weights, a state dict",
        "roles": ["mlm:model", "mlm:weights"],
        "mlm:artifact_type": "torch.save",
    }


def _plain(name: str) -> str:
    """A name of a class with the letters that the extension Classification allows."""
    return "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in name)
