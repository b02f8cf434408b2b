"""The bundle in the wheel: `bundle/` of a checkout becomes `seep_monai/bundle/`. All else stands in pyproject.toml."""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

# Below bundle/. Weights of one's own trainings and results stay out.
_CARRIED = ("configs/*", "docs/*", "LICENSE", "models/simulated/model.json", "models/simulated/model.pt")


class BuildWithBundle(build_py):
    """Copies the files of the bundle; an editable installation uses those of the checkout."""

    def run(self) -> None:
        """Build the package, then add the bundle."""
        super().run()
        if self.editable_mode:
            return
        # What an earlier build has left.
        shutil.rmtree(Path(self.build_lib) / "seep_monai" / "bundle", ignore_errors=True)
        for source, target in self._bundle().items():
            self.mkpath(str(target.parent))
            self.copy_file(str(source), str(target))

    def get_source_files(self) -> list[str]:
        """The files of a source distribution."""
        return [*super().get_source_files(), *map(str, self._bundle())]

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """The files that `run` writes."""
        carried = [] if self.editable_mode else [str(target) for target in self._bundle().values()]
        return [*super().get_outputs(include_bytecode), *carried]

    def _bundle(self) -> dict[Path, Path]:
        sources = [path for pattern in _CARRIED for path in sorted(Path("bundle").glob(pattern))]
        return {path: Path(self.build_lib) / "seep_monai" / path for path in sources}


setup(cmdclass={"build_py": BuildWithBundle})
