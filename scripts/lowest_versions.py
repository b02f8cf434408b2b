"""Print the lowest versions that pyproject.toml allows, as constraints for pip; torch first, as in constraints.txt.

`python scripts/lowest_versions.py > constraints.txt` makes the other scripts install these. Needs no package.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# A name, extras, and one lower limit. A requirement without a limit is not claimed to run with old versions.
_FLOOR = re.compile(r"([\w.-]+)(?:\[[^]]*\])?>=([\w.]+)")


def lowest_versions(text: str) -> list[str]:
    """The lower limit of each requirement in the text of a pyproject.toml, as `name==version`."""
    project = tomllib.loads(text)["project"]
    extras = [one for some in project.get("optional-dependencies", {}).values() for one in some]
    found = [match for one in [*project["dependencies"], *extras] if (match := _FLOOR.fullmatch(one))]
    pins = dict.fromkeys(f"{name}=={floor}" for name, floor in (match.groups() for match in found))
    return sorted(pins, key=lambda pin: not pin.startswith("torch=="))


def main() -> None:
    """Print the versions."""
    print("\n".join(lowest_versions((ROOT / "pyproject.toml").read_text(encoding="utf-8"))))


if __name__ == "__main__":
    main()
