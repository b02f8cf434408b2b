"""Sites of random archives: planted ones are found apart, chance makes few, and intervals hold what they promise."""

from __future__ import annotations

import math

import numpy as np
import soak
from scipy.spatial import cKDTree
from small_archives import KM_PER_DEG, joined, scenes_of, seeps_of

from seep_monai.archive.sites import Sites, find_sites
from seep_monai.archive.sites_input import Seeps
from seep_monai.archive.sites_places import SiteSettings

N_PASSES, SCATTER_KM = 60, 0.6


def strays(rng: np.random.Generator, per_1000_km2: float) -> Seeps:
    """Slicks at random places and times over one square degree."""
    n = rng.poisson(per_1000_km2 / 1000 * KM_PER_DEG**2 * N_PASSES)
    return seeps_of(rng.integers(0, N_PASSES, n), *(rng.uniform(-0.5, 0.5, (2, n)) * KM_PER_DEG))


def planted(rng: np.random.Generator, places_km: np.ndarray, rates: np.ndarray) -> Seeps:
    """Slicks that scatter around places, each active on a random share of the passes."""
    site, number = np.nonzero(rng.random((len(places_km), N_PASSES)) < rates[:, None])
    origins = places_km[site] + rng.normal(0, SCATTER_KM, (len(site), 2))
    return seeps_of(number, *origins.T)


def grid_km(rng: np.random.Generator, step_km: float) -> np.ndarray:
    """Places this far apart or more, on a jittered grid of which a third is left out."""
    axis = np.arange(-50, 50, 3 * step_km)
    corners = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    pairs = np.concatenate([corners, corners + step_km * np.array([math.cos(0.4), math.sin(0.4)])])
    return pairs[rng.random(len(pairs)) < 2 / 3] + rng.uniform(0, 0.5)


def places_of(sites: Sites) -> np.ndarray:
    return np.stack([sites.columns["lon"], sites.columns["lat"]], axis=1) * KM_PER_DEG


def found(seeps: Seeps) -> Sites:
    return find_sites(seeps, scenes_of(N_PASSES), SiteSettings())


def test_planted_sites_three_km_apart_are_found_one_by_one() -> None:
    rng = np.random.default_rng(0)
    n_true = n_hit = n_wrong = n_inside = n_covered = 0
    for _ in range(soak.trials(small=2, full=60)):
        places = grid_km(rng, 3.0)
        rates = rng.uniform(0.3, 0.6, len(places))
        sites = found(joined(planted(rng, places, rates), strays(rng, 0.5)))
        distances, nearest = cKDTree(places).query(places_of(sites))
        hit = np.unique(nearest[distances < 1.0])
        n_true, n_hit, n_wrong = n_true + len(places), n_hit + len(hit), n_wrong + len(sites) - len(hit)
        own = np.flatnonzero(distances < 1.0)
        low, high = (sites.columns[f"recurrence_{end}"][own] for end in ("low", "high"))
        n_inside += int(((low <= rates[nearest[own]]) & (rates[nearest[own]] <= high)).sum())
        n_covered += int(inside_ellipse(sites, own, places[nearest[own]]).sum())
    soak.record(
        "Sites 3 km apart are found one by one",
        f"{n_hit} of {n_true} sites (recurrence .3 to .6, {N_PASSES} passes, scatter {SCATTER_KM} km), {n_wrong} "
        f"others; recurrence inside its 95 % interval at {n_inside / n_hit:.3f}, place inside its 95 % ellipse at "
        f"{n_covered / n_hit:.3f}",
    )
    assert n_hit / n_true > 0.9
    assert n_wrong / n_true < 0.05
    assert n_inside / n_hit > 0.9
    assert n_covered / n_hit > 0.9


def inside_ellipse(sites: Sites, rows: np.ndarray, places_km: np.ndarray) -> np.ndarray:
    """Whether a place is inside the ellipse of each site."""
    columns = {name: column[rows] for name, column in sites.columns.items()}
    east, north = (places_km - places_of(sites)[rows]).T
    turn = np.radians(columns["ellipse_deg"])
    along, across = east * np.sin(turn) + north * np.cos(turn), east * np.cos(turn) - north * np.sin(turn)
    return (along / columns["ellipse_major_km"]) ** 2 + (across / columns["ellipse_minor_km"]) ** 2 <= 1


def test_strays_alone_make_as_few_sites_as_promised() -> None:
    rng = np.random.default_rng(1)
    trials = soak.trials(small=4, full=60)
    counts = [len(found(strays(rng, rng.choice([0.3, 1.0, 3.0])))) for _ in range(trials)]
    soak.record(
        "Slicks at random places make about one site an archive or fewer",
        f"{np.mean(counts):.2f} a random archive of {N_PASSES} passes and one square degree, at most {max(counts)}; "
        f"{trials} archives",
    )
    # One is promised; twice that, plus three standard errors of a Poisson mean.
    assert np.mean(counts) <= 2 + 3 * math.sqrt(2 / trials)
