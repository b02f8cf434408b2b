"""Scene context (margins of neighbouring tiles) of a training, an evaluation and an inference."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from seep_monai import checks
from seep_monai.checkpoints import DESCRIPTION_FILE
from seep_monai.dataset.borders import find_columns
from seep_monai.dataset.grid import SceneContext, tile_number
from seep_monai.dataset.plan import Plan
from seep_monai.dataset.scene_tiles import SceneTiles
from seep_monai.errors import ConfigError, entry, listed
from seep_monai.network.segresnet import SegResNetSettings
from seep_monai.processes import by_first

logger = logging.getLogger(__name__)

# Value of `tile_columns`: estimate the columns from the tiles' borders.
AUTO = "auto"


@entry
@by_first
def make_context(
    plan: Plan,
    network: SegResNetSettings,
    *,
    context_px: int,
    tile_columns: Mapping[str, int] | str,
    band: int | None = None,
) -> SceneContext:
    """The context of a training. Its margin is 0 if no columns are given or found.

    Args:
        plan: plan of the training. If columns are given, the position of all tiles must be known, also of extra tiles.
        network: network settings. Tiles with their margins must fit its `size_multiple`.
        context_px: width of the margin, see `SceneContext`.
        tile_columns: see `SceneContext`; or `AUTO` to estimate the columns from the tiles' borders.
        band: band of the images.

    Raises:
        ConfigError: if `context_px` does not fit the network or the tiles.
        DataError: if the position of a tile is not known.
    """
    if tile_columns == AUTO:
        items = plan.items("all") + plan.extra_items()
        context = _completed(SceneContext(context_px, {}, found=True), context_px, items, band)
    else:
        context = SceneContext(context_px, tile_columns)  # type: ignore[arg-type]
    if 2 * context.margin_px % network.size_multiple:
        raise ConfigError(
            f"context_px: expected a multiple of {network.size_multiple / 2:g} (the network halves tiles with their "
            f"margins), but got {context_px}. Change --context#context_px."
        )
    for tile in (*plan.tiles("all"), *plan.training_tiles()) if context.margin_px else ():
        context.cell(tile.name)
        if context.margin_px > min(tile.shape):
            raise ConfigError(
                f"context_px: expected at most a tile's {min(tile.shape)} px, but got {context_px}. Change "
                "--context#context_px."
            )
    return context


@entry
@by_first
def stored_context(
    description: Mapping[str, Any],
    items: Sequence[Mapping[str, Any]],
    *,
    context_px: int | None,
    tile_columns: Mapping[str, int] | str | None,
) -> SceneContext:
    """The context that the weights were trained with, with the columns of unseen scenes.

    Args:
        description: the content of `model.json`.
        items: the tiles to score or infer. If the training estimated columns, those of unseen scenes are estimated too.
        context_px: must equal the stored one; None is not checked.
        tile_columns: columns for other scenes, or `AUTO` to estimate them; None: as in the training; {}: no neighbours.
    """
    stored = trained_context(description)
    checks.check_agreement(
        DESCRIPTION_FILE, {"context_px": stored.margin_px}, {"context_px": context_px}, group="context#"
    )
    if tile_columns == AUTO or (tile_columns is None and stored.found):
        # With `AUTO` all columns are estimated again, because scenes of the same name may be cut in another way.
        begun = stored if tile_columns is None else SceneContext(stored.margin_px, {}, found=True)
        known = stored.tile_columns.values()
        context = _completed(begun, stored.margin_px, items, description["band"], known=known)
    elif tile_columns is None:
        context = stored
    else:
        context = SceneContext(stored.margin_px, tile_columns)  # type: ignore[arg-type]
    if context.margin_px != stored.margin_px:
        logger.warning(
            "tiles have no margin of neighbouring tiles, but the weights were trained with %d px", stored.margin_px
        )
    return context


@entry
def inference_context(
    description: Mapping[str, Any], items: Sequence[Mapping[str, Any]], tile_columns: Mapping[str, int] | str | None
) -> SceneContext:
    """The context of the weights if all images are tiles with a known position, else an empty one.

    A large image needs no context. It is inferred in windows of the size of a tile with its margins.
    """
    context = stored_context(description, items, context_px=None, tile_columns=tile_columns)
    names = [str(item["tile"]) for item in items]
    placed = {name for name in names if context.has_place(name)}
    # If columns were estimated, tiles of a scene without columns get an empty margin, as in the training.
    strangers = [name for name in names if name not in placed and not (context.found and tile_number(name))]
    if not context.margin_px or (placed and not strangers):
        return context
    if tile_columns and not context.found:
        context.cell(strangers[0])
    if placed:
        logger.warning(
            "%d of %d images have no place in a grid (%s), so no image gets a margin of neighbouring tiles; infer them "
            "in a separate run",
            len(strangers),
            len(items),
            listed(strangers),
        )
    return SceneContext()


@entry
def scene_tiles(
    data: Sequence[Mapping[str, Any]], transform: Any, context: SceneContext, *, cache: bool = True
) -> SceneTiles:
    """The data set of these items. With `cache` all tiles are loaded at the start and stay in memory."""
    kept = {"copy_cache": False, "progress": sys.stderr.isatty()} if cache else {"cache_num": 0, "progress": False}
    return SceneTiles(data, transform, context, **kept)


def _completed(
    context: SceneContext,
    margin_px: int,
    items: Sequence[Mapping[str, Any]],
    band: int | None,
    *,
    known: Iterable[int] = (),
) -> SceneContext:
    """The context with the columns of further scenes, estimated from the borders of `items`."""
    unknown = [item for item in items if not context.has_place(str(item["tile"]))]
    found = find_columns(unknown, band=band, known=known) if margin_px else {}
    if unknown and margin_px:
        logger.info(
            "columns found at the borders of tiles: %s; without neighbouring tiles: %s",
            listed([f"{scene[:-1]}: {columns}" for scene, columns in found.items()]) or "none",
            listed(sorted(_scenes(unknown) - {scene[:-1] for scene in found})) or "no scene",
        )
    return SceneContext(margin_px, {**context.tile_columns, **found}, found=True)


def _scenes(items: Sequence[Mapping[str, Any]]) -> set[str]:
    """Scenes from the names of the tiles; the whole name if it has no number."""
    names = [str(item["tile"]) for item in items]
    return {named[0] if (named := tile_number(name)) else name for name in names}


def trained_context(description: Mapping[str, Any]) -> SceneContext:
    """The context in `model.json`. Weights of a version without context were trained without neighbouring tiles."""
    return SceneContext(**description.get("context", {}))
