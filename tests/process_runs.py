"""Runs of the bundle by several processes: `python -m torch.distributed.run .. process_runs.py RUNS.json`.

RUNS.json lists the id, the config files and the overrides of each run. One start for all of them, since torch takes
seconds to import. Each process leaves the numbers of files that it audited and of figures that it drew.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

from bundle_runs import CONFIGS, PIXEL

# Stays in the group of processes, which the next run needs.
STAYING = ["$steps.stop_log()"]


def start(n_processes: int, runs: Sequence[tuple[str, Sequence[str], dict[str, Any]]], folder: Path) -> Any:
    """The started processes; `folder` gets their files."""
    folder.mkdir()
    (folder / "runs.json").write_text(json.dumps(runs))
    return started(n_processes, [__file__, str(folder / "runs.json")])


def started(n_processes: int, words: Sequence[str], **options: Any) -> subprocess.Popen[str]:
    """`torch.distributed.run` on this machine, with a free port."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={n_processes}", *words]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, cwd=Path(__file__).parent, **options)


def ended(process: subprocess.Popen[str], *, within_s: float = 1800) -> tuple[int, str, str]:
    """Exit code, standard output and standard error."""
    try:
        out, err = process.communicate(timeout=within_s)
    finally:
        stop(process)
    return process.returncode, out, err


def stop(process: subprocess.Popen[str]) -> None:
    """End the processes, if they still run: on SIGTERM, `torch.distributed.run` ends its own."""
    if process.poll() is None:
        process.terminate()
        process.communicate()


def main() -> None:
    from monai.bundle import run

    from seep_monai import processes
    from seep_monai.dataset import plan

    counts: Counter[str] = Counter()
    audit_pairs = plan.audit_pairs

    def counted_audit(pairs: Any, **options: Any) -> Any:
        counts["audits"] += 1
        return audit_pairs(pairs, **options)

    def counted_figure(figure: Any) -> bytes:
        counts["figures"] += 1
        return PIXEL

    source = Path(sys.argv[1])
    with patch.object(plan, "audit_pairs", counted_audit), patch("seep_monai.report.page.figure_png", counted_figure):
        for run_id, configs, overrides in json.loads(source.read_text()):
            files = [str(CONFIGS / f"{name}.json") for name in configs]
            run(run_id, config_file=files, finalize=STAYING, **overrides)
    (source.parent / f"counts{processes.rank()}.json").write_text(json.dumps(counts))
    processes.leave()


if __name__ == "__main__":
    main()
