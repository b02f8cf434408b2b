"""How well one fixed small classifier tells real tiles from simulated ones: an AUC of .5 would be a perfect simulator.

The classifier, its training and the split by scene are part of the definition: figures of two simulators compare only
if all of this is the same. Nothing here is an option but the number of epochs and the seeds.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy import stats
from torch import nn
from tqdm import tqdm

from seep_monai.augment import N_SYMMETRIES, symmetry
from seep_monai.errors import ConfigError, DataError
from seep_monai.realism.domain_tiles import DomainTiles

# Choice: four strided layers see 31 px, enough for speckle, swell and ribbons, and train in minutes on one thread.
N_FILTERS = (16, 32, 48, 64)
BATCH_SIZE = 16
# Choice: up to 2e-3 and down to 0 in one cycle. At 5e-3 twenty epochs may end where they began (loss ln 2, which looks
# like a perfect simulator and is none): the AUC on the training tiles, which is reported, tells.
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 1e-2
TRAIN_SHARE = 0.7
# Choice: 1,000; the interval's ends then scatter by less than the few scenes make them uncertain.
N_RESAMPLES = 1000

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class SceneSplit:
    """Scenes of each part; a scene of one domain stands in one part only.

    Attributes:
        train_real, train_simulated, test_real, test_simulated: names of scenes, ascending.
    """

    train_real: tuple[str, ...]
    train_simulated: tuple[str, ...]
    test_real: tuple[str, ...]
    test_simulated: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class SplitResult:
    """What one training on one split led to.

    Attributes:
        seed: of the split, the weights and the order of the tiles.
        split: the scenes of both parts.
        auc: area under the ROC curve over the test tiles, real = positive.
        auc_ci95: percentile interval of a bootstrap over test scenes, None with fewer than two in a domain.
        train_auc: the same over the training tiles.
        losses: mean weighted loss of each epoch.
        real_scores, simulated_scores: logits of the test tiles by name, above 0 = rather real.
    """

    seed: int
    split: SceneSplit
    auc: float
    auc_ci95: tuple[float, float] | None
    train_auc: float
    losses: tuple[float, ...]
    real_scores: dict[str, float]
    simulated_scores: dict[str, float]


def domain_classifier() -> nn.Sequential:
    """The classifier with fresh weights: (B, 1, H, W) float32 -> (B, 1) logits of being real; 46,609 parameters."""
    layers: list[nn.Module] = []
    for n_in, n_out in zip((1, *N_FILTERS), N_FILTERS, strict=False):
        layers += [nn.Conv2d(n_in, n_out, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(N_FILTERS[-1], 1))


def auc(real: npt.ArrayLike, simulated: npt.ArrayLike) -> float:
    """Share of (real, simulated) pairs in which the real score is higher; ties count half. NaN if either is empty.

    >>> auc([3, 2], [1, 2])
    0.875
    """
    first, second = np.asarray(real, float).ravel(), np.asarray(simulated, float).ravel()
    if not first.size or not second.size:
        return float("nan")
    rank_sum = stats.rankdata(np.concatenate([first, second]))[: first.size].sum()
    return float((rank_sum - first.size * (first.size + 1) / 2) / (first.size * second.size))


def auc_interval(
    real: Sequence[FloatArray], simulated: Sequence[FloatArray], rng: np.random.Generator
) -> tuple[float, float] | None:
    """95 % interval of the AUC when scenes are drawn with replacement, real and simulated ones apart.

    Args:
        real, simulated: scores of the tiles of each scene.
        rng: source of the draws.

    Returns:
        Low and high, or None with fewer than two scenes in a domain. Four scenes give a rough interval.
    """
    if min(len(real), len(simulated)) < 2:
        return None
    # Pairs won add up over pairs of scenes, so a resample is a weighted sum of one small matrix.
    n_pairs = np.array([[a.size * b.size for b in simulated] for a in real], float)
    n_won = n_pairs * np.array([[auc(a, b) for b in simulated] for a in real])
    times_real = rng.multinomial(len(real), np.full(len(real), 1 / len(real)), N_RESAMPLES)
    times_simulated = rng.multinomial(len(simulated), np.full(len(simulated), 1 / len(simulated)), N_RESAMPLES)
    won, pairs = (np.einsum("ri,ij,rj->r", times_real, m, times_simulated) for m in (n_won, n_pairs))
    low, high = np.quantile(won / pairs, [0.025, 0.975])
    return float(low), float(high)


def split_scenes(real: Sequence[str], simulated: Sequence[str], seed: int) -> SceneSplit:
    """70 % of each domain's scenes for training, the rest for the test; at least one for each.

    Args:
        real, simulated: scenes, repeats allowed.
        seed: >= 0; one seed gives one split.

    Raises:
        DataError: if a domain has fewer than two scenes.
    """
    rng, parts = np.random.default_rng(seed), []
    for what, scenes in (("real", sorted(set(real))), ("simulated", sorted(set(simulated)))):
        if len(scenes) < 2:
            raise DataError(
                f"a split by scene needs two {what} scenes or more, but got {len(scenes)}. Give more, or mend "
                "--scene_pattern."
            )
        n_train = min(max(round(TRAIN_SHARE * len(scenes)), 1), len(scenes) - 1)
        shuffled = [scenes[k] for k in rng.permutation(len(scenes))]
        parts.append((tuple(sorted(shuffled[:n_train])), tuple(sorted(shuffled[n_train:]))))
    return SceneSplit(parts[0][0], parts[1][0], parts[0][1], parts[1][1])


def compare_domains(
    real: DomainTiles, simulated: DomainTiles, *, seeds: Sequence[int], n_epochs: int, what: str = "domains"
) -> list[SplitResult]:
    """Train and test the classifier once per seed, each with its own split and weights.

    Args:
        real, simulated: tiles of one size.
        seeds: one per split.
        n_epochs: passes over the training tiles.
        what: words for the progress bar.

    Raises:
        ConfigError: if there are no seeds or epochs.
        DataError: if the sizes differ or a domain has fewer than two scenes.
    """
    if n_epochs < 1 or not seeds:
        raise ConfigError(f"expected one epoch and one split or more, but got {n_epochs} and {len(seeds)}.")
    if real.images.shape[1:] != simulated.images.shape[1:]:
        sizes = [" x ".join(map(str, tiles.images.shape[1:])) for tiles in (real, simulated)]
        raise DataError(f"expected real and simulated tiles of one size, but got {sizes[0]} and {sizes[1]} px.")
    splits = [split_scenes(real.scenes, simulated.scenes, seed) for seed in seeds]
    total = n_epochs * len(seeds)
    with tqdm(total=total, desc=what, unit="epoch", disable=not sys.stderr.isatty()) as progress:
        return [
            _result(real, simulated, split, seed=seed, n_epochs=n_epochs, progress=progress)
            for seed, split in zip(seeds, splits, strict=True)
        ]


def _result(
    real: DomainTiles, simulated: DomainTiles, split: SceneSplit, *, seed: int, n_epochs: int, progress: tqdm
) -> SplitResult:
    train = _part(real, split.train_real), _part(simulated, split.train_simulated)
    test = _part(real, split.test_real), _part(simulated, split.test_simulated)
    model, losses = train_classifier(train[0].images, train[1].images, seed=seed, n_epochs=n_epochs, progress=progress)
    train_scores = [scores(model, part.images) for part in train]
    test_scores = [scores(model, part.images) for part in test]
    real_by_scene, simulated_by_scene = (_by_scene(*both) for both in zip(test, test_scores, strict=True))
    real_scores, simulated_scores = (_by_name(*both) for both in zip(test, test_scores, strict=True))
    return SplitResult(
        seed=seed,
        split=split,
        auc=auc(*test_scores),
        auc_ci95=auc_interval(real_by_scene, simulated_by_scene, np.random.default_rng(seed)),
        train_auc=auc(*train_scores),
        losses=tuple(losses),
        real_scores=real_scores,
        simulated_scores=simulated_scores,
    )


def train_classifier(
    real: npt.NDArray[np.float16],
    simulated: npt.NDArray[np.float16],
    *,
    seed: int,
    n_epochs: int,
    progress: tqdm | None = None,
) -> tuple[nn.Sequential, list[float]]:
    """A trained classifier and the mean loss of each epoch; the same seed gives the same numbers on one CPU.

    Args:
        real, simulated: (n, size, size) normalised tiles, size a multiple of 16; each domain weighs half in the loss.
        seed: of weights, order and symmetries. The global generator of PyTorch is left as it was.
        n_epochs: passes over all tiles.
        progress: a bar to move by one per epoch.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = domain_classifier()
    # A third faster on the CPU; PyTorch's hints for `to` do not know the argument alone.
    model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    rng = np.random.default_rng(seed)
    n_real, n_tiles = len(real), len(real) + len(simulated)
    n_steps = n_epochs * -(-n_tiles // BATCH_SIZE)
    optimiser = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=n_steps)
    losses = []
    for _ in range(n_epochs):
        total = 0.0
        order = rng.permutation(n_tiles)
        for start in range(0, n_tiles, BATCH_SIZE):
            picks = order[start : start + BATCH_SIZE]
            image = _batch([real[k] if k < n_real else simulated[k - n_real] for k in picks], rng)
            loss = _weighted_loss(model(image)[:, 0], torch.from_numpy(picks < n_real), n_real=n_real, n_tiles=n_tiles)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += float(loss.detach()) * len(picks)
        losses.append(total / n_tiles)
        if progress is not None:
            progress.update()
    return model, losses


def scores(model: nn.Module, images: npt.NDArray[np.float16]) -> FloatArray:
    """(n,) logits of (n, size, size) tiles, above 0 = rather real."""
    model.eval()
    with torch.inference_mode():
        parts = [
            model(torch.from_numpy(images[start : start + BATCH_SIZE, None].astype(np.float32)))[:, 0].numpy()
            for start in range(0, len(images), BATCH_SIZE)
        ]
    return np.concatenate(parts).astype(np.float64) if parts else np.zeros(0)


def _weighted_loss(logits: torch.Tensor, is_real: torch.Tensor, *, n_real: int, n_tiles: int) -> torch.Tensor:
    """Binary cross-entropy with both domains weighing the same: 300 of 400 tiles real -> weights 2/3 and 2."""
    weight = torch.where(is_real, n_tiles / (2 * n_real), n_tiles / (2 * (n_tiles - n_real)))
    return nn.functional.binary_cross_entropy_with_logits(logits, is_real.float(), weight)


def _batch(tiles: Sequence[npt.NDArray[np.float16]], rng: np.random.Generator) -> torch.Tensor:
    """(B, 1, size, size) float32, each tile under one of the eight symmetries."""
    indices = rng.integers(0, N_SYMMETRIES, len(tiles)).tolist()
    turned = [symmetry(torch.from_numpy(tile), index) for tile, index in zip(tiles, indices, strict=True)]
    return torch.stack(turned)[:, None].float().contiguous(memory_format=torch.channels_last)


def _part(tiles: DomainTiles, scenes: Sequence[str]) -> DomainTiles:
    return tiles.only(np.isin(tiles.scenes, list(scenes)))


def _by_scene(tiles: DomainTiles, values: FloatArray) -> list[FloatArray]:
    return [values[np.array(tiles.scenes) == scene] for scene in sorted(set(tiles.scenes))]


def _by_name(tiles: DomainTiles, values: FloatArray) -> dict[str, float]:
    return dict(zip(tiles.names, values.tolist(), strict=True))
