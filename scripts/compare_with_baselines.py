"""Print the last evaluation's figures beside those of an empty map and of the weights that ship, on the same tiles."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine
from monai.bundle import ConfigWorkflow

from seep_monai.report.summary import METRICS_FORMAT
from seep_monai.report.tables import comparison_table, nested_metrics
from seep_monai.shipped_weights import shipped_folder
from seep_monai.steps import load_best

CONFIGS = Path(__file__).resolve().parent.parent / "bundle" / "configs"


class EmptyMap(torch.nn.Module):
    """Says "no seep" everywhere."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logits that are all for class 0."""
        logits = torch.zeros(image.shape[0], 8, *image.shape[2:])
        logits[:, 0] = 100.0
        return logits


def scored(evaluator: Engine) -> dict[str, Any]:
    """The metrics of an evaluator."""
    evaluator.run()
    return nested_metrics(evaluator.state.metrics)


def main() -> None:
    """Read the command line and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset_dir", help="data set of the evaluation (default: the bundle's)")
    parser.add_argument("--output_dir", help="folder that holds metrics.json (default: the bundle's)")
    parser.add_argument("--ckpt_dir", help="folder of the weights (default: the bundle's)")
    overrides = {name: value for name, value in vars(parser.parse_args()).items() if value is not None}
    configs = [str(CONFIGS / name) for name in ("train.json", "evaluate.json")]
    workflow = ConfigWorkflow(configs, workflow_type="train", logging_file=False, **overrides)
    workflow.initialize()
    path = Path(workflow.parser.get_parsed_content("output_dir")) / "metrics.json"
    if not path.is_file():
        raise SystemExit(f"{path}: expected the figures of an evaluation, but there are none. Evaluate first.")
    trained = json.loads(path.read_text())
    if trained.get("format") != METRICS_FORMAT:
        raise SystemExit(f"{path}: expected format {METRICS_FORMAT}, but got {trained.get('format')}. Evaluate again.")
    if trained["weights_sha256"] != workflow.parser.get_parsed_content("description")["sha256"]:
        raise SystemExit(f"{path}: is of other weights than those in --ckpt_dir. Evaluate these first.")
    workflow.parser["part"] = trained["part"]
    evaluator = workflow.parser.get_parsed_content("validate#evaluator")
    evaluator.network = EmptyMap()
    columns = {"empty map": scored(evaluator)}
    if shipped_folder().is_dir():
        shipped = ConfigWorkflow(configs, workflow_type="train", logging_file=False, **overrides)
        shipped.initialize()
        shipped.parser["ckpt_dir"], shipped.parser["part"] = str(shipped_folder()), "all"
        shipped.parser["validate#dataset#data"] = workflow.parser.get_parsed_content("validate#dataset#data")
        load_best(*(shipped.parser.get_parsed_content(name) for name in ("network", "ckpt_dir", "device")))
        columns["weights that ship"] = scored(shipped.parser.get_parsed_content("validate#evaluator"))
    columns["trained"] = trained
    leak = ", LEAKY: scored scenes were trained on" if trained["leaky"] else ""
    print(f"{trained['part']} part: {trained['n_tiles']} tiles of {trained['n_scenes']} scenes{leak}")
    print(comparison_table(columns))


if __name__ == "__main__":
    main()
