"""The comparison of two folders, from the files to the report, and its script."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import numpy as np
import pytest
import tifffile
from tiny_data import write_tiny_dataset

from seep_monai.calibration.comparison import compare
from seep_monai.calibration.comparison_figures import shuffled_figure
from seep_monai.calibration.comparison_report import (
    ComparisonPlan,
    measured,
    parse_tile_columns,
    plan_comparison,
    shuffled_tiles,
    write_comparison,
)
from seep_monai.errors import ConfigError, DataError

SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "compare_with_real.py"
NAMES = {"calibration.json", "calibration.md", "distributions.png", "tiles_shuffled.png", "tiles_shuffled.json"}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("sets")
    return write_tiny_dataset(root / "real"), write_tiny_dataset(root / "simulated", n_scenes=4, seed=1)


def planned(folders: tuple[Path, Path], n_tiles: int | None = None, seed: int = 0) -> ComparisonPlan:
    return plan_comparison(*folders, n_tiles=n_tiles, seed=seed)


@pytest.fixture(scope="module")
def report(folders: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report") / "out"
    written = write_comparison(planned(folders, n_tiles=15), folder)
    assert json.loads((folder / "calibration.json").read_text()) == written
    return folder


def test_report_writes_all_files_and_counts_the_tiles(report: Path) -> None:
    assert {path.name for path in report.iterdir()} == NAMES
    content = json.loads((report / "calibration.json").read_text())
    assert (content["real"]["n_tiles"], content["real"]["n_tiles_in_folder"]) == (15, 18)
    assert (content["simulated"]["n_tiles"], content["simulated"]["n_tiles_in_folder"]) == (12, 12)
    assert {"seep_monai", "numpy", "scipy"} <= set(content["versions"])


def test_plan_draws_other_tiles_with_another_seed(folders: tuple[Path, Path]) -> None:
    assert planned(folders, n_tiles=8).real != planned(folders, n_tiles=8, seed=1).real


def test_shuffled_tiles_are_what_the_key_says(folders: tuple[Path, Path]) -> None:
    tiles, key = shuffled_tiles(planned(folders))
    sets = [entry["set"] for entry in key.values()]
    assert (sets.count("real"), sets.count("simulated")) == (12, 12)
    assert sets != sorted(sets)
    places = dict(zip(("real", "simulated"), folders, strict=True))
    for number, entry in key.items():
        image = tifffile.imread(places[entry["set"]] / "train_images_256" / f"{entry['name']}.tif")
        np.testing.assert_array_equal(tiles[int(number) - 1], image)


def test_shuffled_figure_shows_each_pixel_once() -> None:
    tiles = [np.full((40, 50), dn, np.uint16) for dn in (1000, 2000, 3000)]
    figure = shuffled_figure(tiles)
    figure.canvas.draw()
    # Two columns and rows of 50 + 18 and 40 + 18 px.
    assert figure.canvas.get_width_height() == (136, 116)
    shown = np.asarray(figure.axes[0].images[0].get_array())
    assert shown[18 + 5, 9 + 5] == 0
    assert shown[18 + 5, 68 + 9 + 5] == pytest.approx(0.5)
    assert shown[58 + 18 + 5, 9 + 5] == 1


def test_tile_columns_of_simulation_json_go_before_the_options(tmp_path: Path) -> None:
    sets = write_tiny_dataset(tmp_path / "a", n_scenes=3), write_tiny_dataset(tmp_path / "b", n_scenes=3)
    scenes = [{"name": "000000", "n_tile_cols": 3}, {"name": "000001"}]
    (sets[1] / "simulation.json").write_text(json.dumps({"scenes": scenes}))
    plan = plan_comparison(*sets, real_tile_columns={"0000": 5, "000002": 7}, n_tile_cols=8)
    assert plan.tile_cols[0] == {"000000": 5, "000001": 5, "000002": 7}
    assert plan.tile_cols[1] == {"000000": 3, "000001": 8, "000002": 8}


def test_range_trend_appears_where_columns_are_known(folders: tuple[Path, Path]) -> None:
    plan = plan_comparison(*folders, real_tile_columns={"0": 3})
    real = measured(plan.real, plan.tile_cols[0], what="real")
    simulated = measured(plan.simulated, plan.tile_cols[1], what="simulated")
    assert (len(real.samples["sea.range_trend"]), real.left_out) == (6, [])
    assert "the tile columns are not known" in simulated.left_out[0]
    assert "sea.range_trend" in compare(real, simulated)["verdict"]["undefined"]


def test_plan_of_one_folder_twice_is_refused(folders: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folders[0])
    with pytest.raises(ConfigError, match="two different folders"):
        plan_comparison(folders[0], tmp_path / "link")


def test_plan_of_missing_or_empty_folder_is_refused(folders: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is none"):
        plan_comparison(folders[0], tmp_path / "nothing")
    for name in ("train_images_256", "train_masks_256"):
        (tmp_path / name).mkdir()
    with pytest.raises(DataError, match="found none"):
        plan_comparison(tmp_path, folders[1])


@pytest.mark.parametrize(
    "text",
    ["19", "", "0418=19", "{'0418': }", "{'0418': x}", "{'0418': '19'}", "{'0418': 0}", "{[]: 19}", "['0418', 19]"],
)
def test_tile_columns_in_another_form_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--real_tile_columns: expected columns .*'0418': 19"):
        parse_tile_columns(text)


def test_script_takes_tile_columns_as_a_training_does(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [*map(str, folders), "--output_dir", str(tmp_path), "--real_tile_columns", "{'0000': 3}"]
    monkeypatch.setattr("sys.argv", ["compare_with_real.py", *words])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    content = json.loads((tmp_path / "calibration.json").read_text())
    assert content["real"]["left_out"] == []
    assert "the tile columns are not known" in content["simulated"]["left_out"][0]


def test_numbers_out_of_range_are_refused(folders: tuple[Path, Path]) -> None:
    with pytest.raises(ConfigError, match="n_tiles"):
        planned(folders, n_tiles=0)
    with pytest.raises(ConfigError, match="seed"):
        planned(folders, seed=-1)
    with pytest.raises(ConfigError, match="n_tile_cols"):
        plan_comparison(*folders, n_tile_cols=0)


def test_broken_simulation_json_is_named(tmp_path: Path) -> None:
    sets = write_tiny_dataset(tmp_path / "a", n_scenes=1), write_tiny_dataset(tmp_path / "b", n_scenes=1)
    (sets[1] / "simulation.json").write_text("[]")
    with pytest.raises(DataError, match=r"simulation\.json"):
        plan_comparison(*sets)


def test_wrong_label_names_the_files_and_writes_nothing(folders: tuple[Path, Path], tmp_path: Path) -> None:
    broken = write_tiny_dataset(tmp_path / "broken", n_scenes=1, n_tiles=2)
    path = broken / "train_masks_256" / "000000.000002.tif"
    tifffile.imwrite(path, np.full((64, 64), 9, np.uint8))
    with pytest.raises(DataError, match=r"000000\.000002\.tif.*0\.\.7"):
        write_comparison(planned((folders[0], broken)), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_script_prints_the_verdict_and_writes_the_same_report_for_the_same_seed(
    folders: tuple[Path, Path],
    report: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = [*map(str, folders), "--output_dir", str(tmp_path), "--n_tiles", "15"]
    monkeypatch.setattr("sys.argv", ["compare_with_real.py", *words])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    assert "statistics lie in the real 5-95 % band" in capsys.readouterr().out
    for name in NAMES:
        assert (tmp_path / name).read_bytes() == (report / name).read_bytes(), name


def test_script_ends_with_a_message_on_bad_input(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [str(folders[0]), str(folders[0]), "--output_dir", str(tmp_path / "out")]
    monkeypatch.setattr("sys.argv", ["compare_with_real.py", *words])
    with pytest.raises(SystemExit, match="two different folders"):
        runpy.run_path(str(SCRIPT), run_name="__main__")
    assert not (tmp_path / "out").exists()
