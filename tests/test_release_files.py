"""What a release and its visitors need: one version everywhere, lower limits that can be installed, valid files."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.version import Version
from script_runs import run_script

import seep_monai

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_version_is_the_same_everywhere() -> None:
    metadata = json.loads((ROOT / "bundle" / "configs" / "metadata.json").read_text())
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    found = {PROJECT["version"], citation["version"], metadata["version"], seep_monai.__version__}
    assert found | {metadata["required_packages_version"]["seep_monai"]} == {PROJECT["version"]}


def test_citation_has_what_the_format_requires() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0"
    assert all(citation[key] for key in ("message", "title", "authors"))


@pytest.mark.parametrize("path", sorted((ROOT / ".github").rglob("*.yml")), ids=lambda path: path.name)
def test_yaml_of_the_hosting_site_parses(path: Path) -> None:
    assert isinstance(yaml.safe_load(path.read_text()), dict)


def test_workflow_runs_the_scripts_on_every_python_that_is_claimed() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "tests.yml").read_text())
    pinned = workflow["jobs"]["pinned"]
    assert pinned["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13"]
    assert pinned["steps"][-1] == {"run": "bash scripts/test.sh"}
    assert PROJECT["requires-python"] == ">=3.11"
    assert "scripts/lowest_versions.py" in workflow["jobs"]["lowest"]["steps"][-1]["run"]


def test_lowest_versions_are_not_above_those_that_the_tests_run_with() -> None:
    lowest = dict(line.split("==") for line in run_script("lowest_versions").stdout.splitlines())
    pinned = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if line[0] != "#")
    # As in constraints.txt: pip takes the first.
    assert next(iter(lowest)) == "torch"
    # One for each of the required packages: a limit by another sign would be left out unseen.
    assert len(lowest.keys() & {one.split(">=")[0].split("[")[0] for one in PROJECT["dependencies"]}) == len(
        PROJECT["dependencies"]
    )
    for name in lowest.keys() & pinned.keys():
        assert Version(lowest[name]) <= Version(pinned[name]), name
