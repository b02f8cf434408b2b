"""Tiles with the edges of their neighbours: for a training, and as its weights know them."""

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

logger = logging.getLogger(__name__)

# As `tile_columns`: to be found at the tiles' borders.
AUTO = "auto"


@entry
def make_context(
    plan: Plan,
    network: SegResNetSettings,
    *,
    context_px: int,
    tile_columns: Mapping[str, int] | str,
    band: int | None = None,
) -> SceneContext:
    """How far a training sees beyond the edges of its tiles; not at all where no columns are given or found.

    Args:
        plan: whose tiles, extra ones too, all need a place where columns are given.
        network: must be able to halve tiles with their margins.
        context_px: of `SceneContext`.
        tile_columns: of `SceneContext`, or `AUTO` to find them at the tiles' borders.
        band: of the images.
    """
    if tile_columns == AUTO:
        items = plan.items("all") + plan.extra_items()
        context = _completed(SceneContext(context_px, {}, found=True), context_px, items, band)
    else:
        context = SceneContext(context_px, tile_columns)  # type: ignore[arg-type]
    if 2 * context.margin_px % network.size_multiple:
        raise ConfigError(
            f"context_px: expected a multiple of {network.size_multiple / 2:g}, so that the network can halve tiles "
            f"with their margins, but got {context_px}."
        )
    for tile in (*plan.tiles("all"), *plan.training_tiles()) if context.margin_px else ():
        context.cell(tile.name)
        if context.margin_px > min(tile.shape):
            raise ConfigError(f"context_px: expected at most a tile's {min(tile.shape)} px, but got {context_px}.")
    return context


@entry
def stored_context(
    description: Mapping[str, Any],
    items: Sequence[Mapping[str, Any]],
    *,
    context_px: int | None,
    tile_columns: Mapping[str, int] | str | None,
) -> SceneContext:
    """The context that the weights were trained with.

    Args:
        description: the content of `model.json`.
        items: the tiles that are to be seen; those of scenes that the training did not know have their columns found
            at their borders, where the training's were, too.
        context_px: must say the same; None is left out.
        tile_columns: of other scenes than those of the training, or `AUTO` to find them; None: as in the training, {}:
            without neighbouring tiles.
    """
    stored = trained_context(description)
    checks.check_agreement(DESCRIPTION_FILE, {"context_px": stored.margin_px}, {"context_px": context_px})
    if tile_columns == AUTO or (tile_columns is None and stored.found):
        # Asked for, all are found anew: scenes of these names may have been cut in another way.
        begun = stored if tile_columns is None else SceneContext(stored.margin_px, {}, found=True)
        known = stored.tile_columns.values()
        context = _completed(begun, stored.margin_px, items, description["band"], known=known)
    elif tile_columns is None:
        context = stored
    else:
        context = SceneContext(stored.margin_px, tile_columns)  # type: ignore[arg-type]
    if context.margin_px != stored.margin_px:
        logger.warning(
            "tiles are seen without neighbouring tiles; the weights were trained with %d px of them", stored.margin_px
        )
    return context


@entry
def inference_context(
    description: Mapping[str, Any], items: Sequence[Mapping[str, Any]], tile_columns: Mapping[str, int] | str | None
) -> SceneContext:
    """The context of images to infer: that of the weights where all of them are tiles with a place, else none.

    A large image holds its own context; it is seen in windows of a tile with its margins.
    """
    context = stored_context(description, items, context_px=None, tile_columns=tile_columns)
    names = [str(item["tile"]) for item in items]
    placed = {name for name in names if context.has_place(name)}
    # Where grids were found, a tile of a scene without one is seen with an empty margin, as in the training.
    strangers = [name for name in names if name not in placed and not (context.found and tile_number(name))]
    if not context.margin_px or (placed and not strangers):
        return context
    if tile_columns and not context.found:
        context.cell(strangers[0])
    if placed:
        logger.warning(
            "%d of %d images have no place in a grid (%s), so that all are seen without neighbours; infer them apart",
            len(strangers),
            len(items),
            listed(strangers),
        )
    return SceneContext()


@entry
def scene_tiles(
    data: Sequence[Mapping[str, Any]], transform: Any, context: SceneContext, *, cache: bool = True
) -> SceneTiles:
    """The data set of these items; with `cache` all tiles are loaded at once and stay in memory."""
    # A bar is for people at a terminal.
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
    """The context with the columns of further scenes, as far as they show at the borders of `items`."""
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
    """By the tiles' names; where one has no number, its name itself."""
    names = [str(item["tile"]) for item in items]
    return {named[0] if (named := tile_number(name)) else name for name in names}


def trained_context(description: Mapping[str, Any]) -> SceneContext:
    """What `model.json` says; weights of a version that knew no context were trained without neighbouring tiles."""
    return SceneContext(**description.get("context", {}))
