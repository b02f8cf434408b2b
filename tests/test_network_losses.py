from __future__ import annotations

import math

import pytest
import torch
from monai.losses import DiceLoss
from torch.nn import functional

from seep_monai.errors import ConfigError
from seep_monai.network.losses import CLASS_TERMS, SEEP_TERMS, SeepLoss, seep_logit

ONES = [1.0] * 7


def only(term: str, weights: list[float] = ONES, weighted: tuple[str, ...] = CLASS_TERMS) -> SeepLoss:
    return SeepLoss(weights, {term: 1.0}, weighted)


def random_batch(seed: int = 0, shape: tuple[int, int] = (6, 5)) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, 8, *shape, generator=generator)
    label = torch.randint(0, 8, (2, 1, *shape), generator=generator)
    return logits, label


def logits_of(probabilities: list[list[float]]) -> torch.Tensor:
    """Pixels in one row, each given by its eight probabilities: (1, 8, 1, n)."""
    return torch.tensor(probabilities).T.log()[None, :, None, :]


def test_seep_logit_sigmoid_is_summed_seep_probability() -> None:
    logits, _ = random_batch()
    summed = logits.softmax(1)[:, 1:].sum(1)
    assert torch.allclose(seep_logit(logits).sigmoid(), summed, atol=1e-6)


def test_seep_ce_is_binary_cross_entropy_of_summed_probability() -> None:
    logits, label = random_batch()
    summed = logits.double().softmax(1)[:, 1:].sum(1)
    expected = functional.binary_cross_entropy(summed, (label[:, 0] > 0).double())
    assert float(only("seep_ce")(logits, label)) == pytest.approx(float(expected), rel=1e-5)


def test_seep_ce_and_class_ce_in_pixel_proportion_are_plain_cross_entropy() -> None:
    logits, label = random_batch()
    share = float((label > 0).float().mean())
    loss = SeepLoss(ONES, {"seep_ce": 1.0, "class_ce": share})
    expected = functional.cross_entropy(logits, label[:, 0])
    assert float(loss(logits, label)) == pytest.approx(float(expected), rel=1e-5)


def test_seep_dice_equals_monai_dice_pooled_over_the_batch() -> None:
    logits, label = random_batch()
    summed = logits.softmax(1)[:, 1:].sum(1, keepdim=True)
    expected = DiceLoss(batch=True)(summed, (label > 0).float())
    assert float(only("seep_dice")(logits, label)) == pytest.approx(float(expected), abs=1e-6)


def test_seep_jaccard_equals_monai_jaccard_pooled_over_the_batch() -> None:
    logits, label = random_batch()
    summed = logits.softmax(1)[:, 1:].sum(1, keepdim=True)
    expected = DiceLoss(batch=True, jaccard=True)(summed, (label > 0).float())
    assert float(only("seep_jaccard")(logits, label)) == pytest.approx(float(expected), abs=1e-6)


def test_class_dice_equals_monai_dice_on_the_seep_pixels() -> None:
    logits, label = random_batch(shape=(20, 20))
    seep = label[:, 0] > 0
    rows, truth = logits[:, 1:].movedim(1, -1)[seep], label[:, 0][seep] - 1
    one_hot = functional.one_hot(truth, 7).float()
    expected = DiceLoss(softmax=True, batch=True)(rows.T[None], one_hot.T[None])
    assert float(only("class_dice")(logits, label)) == pytest.approx(float(expected), abs=1e-5)


def test_class_ce_weighted_equals_torch_weighted_cross_entropy_on_the_seep_pixels() -> None:
    logits, label = random_batch()
    weights = [0.5, 1, 2, 3, 1, 1, 0.1]
    seep = label[:, 0] > 0
    rows, truth = logits[:, 1:].movedim(1, -1)[seep], label[:, 0][seep] - 1
    expected = functional.cross_entropy(rows, truth, weight=torch.tensor(weights))
    assert float(only("class_ce", weights)(logits, label)) == pytest.approx(float(expected), rel=1e-5)


def test_terms_on_two_pixels_match_hand_worked_numbers() -> None:
    # Pixel 0: truth 2, p0 = .4, p1 = .2, p2 = .4 -> p(seep) = .6, p(2 | seep) = 2/3. Pixel 1: truth 0, p0 = .9, p1 =
    # .1.
    logits = logits_of([[0.4, 0.2, 0.4] + [1e-12] * 5, [0.9, 0.1] + [1e-12] * 6])
    label = torch.tensor([[[[2, 0]]]])
    loss = SeepLoss(ONES, dict.fromkeys((*SEEP_TERMS, *CLASS_TERMS), 1.0))
    loss(logits, label)
    expected = {
        "seep_ce": -(math.log(0.6) + math.log(0.9)) / 2,
        "seep_dice": 1 - 2 * 0.6 / (0.6 + 0.1 + 1),
        "seep_jaccard": 1 - 0.6 / (0.6 + 0.1 + 1 - 0.6),
        "class_ce": -math.log(2 / 3),
        "class_dice": 1 - 2 * (2 / 3) / (2 / 3 + 1),
    }
    assert {term: float(value) for term, value in loss.terms.items()} == pytest.approx(expected, abs=1e-5)


def test_loss_is_the_sum_of_shares_times_terms() -> None:
    logits, label = random_batch()
    shares = {"seep_ce": 2.0, "seep_dice": 1.0, "class_ce": 0.5, "class_dice": 0.0}
    loss = SeepLoss(ONES, shares)
    value = float(loss(logits, label))
    assert set(loss.terms) == {"seep_ce", "seep_dice", "class_ce"}
    assert value == pytest.approx(sum(shares[term] * float(loss.terms[term]) for term in loss.terms), rel=1e-6)


def test_terms_are_pooled_over_the_batch_not_averaged_over_tiles() -> None:
    logits, label = random_batch()
    beside = torch.cat([logits[0], logits[1]], dim=-1)[None], torch.cat([label[0], label[1]], dim=-1)[None]
    loss = SeepLoss(ONES, dict.fromkeys((*SEEP_TERMS, *CLASS_TERMS), 1.0))
    assert float(loss(logits, label)) == pytest.approx(float(loss(*beside)), rel=1e-6)


def test_no_data_pixels_change_nothing() -> None:
    logits, label = random_batch()
    loss = SeepLoss(ONES, dict.fromkeys((*SEEP_TERMS, *CLASS_TERMS), 1.0))
    without = float(loss(logits, label))
    wider = torch.cat([logits, 9 * torch.randn(2, 8, 6, 3)], dim=-1)
    marked = torch.cat([label, torch.full((2, 1, 6, 3), 255)], dim=-1)
    assert float(loss(wider, marked)) == pytest.approx(without, rel=1e-6)


def test_no_data_pixels_get_no_gradient() -> None:
    logits, label = random_batch()
    logits.requires_grad_()
    label[:, :, :2] = 255
    SeepLoss(ONES, dict.fromkeys((*SEEP_TERMS, *CLASS_TERMS), 1.0))(logits, label).backward()
    assert logits.grad is not None
    assert float(logits.grad[:, :, :2].abs().max()) == 0
    assert float(logits.grad[:, :, 2:].abs().max()) > 0


def test_batch_of_no_data_alone_has_loss_zero_and_finite_gradient() -> None:
    logits, label = random_batch()
    logits.requires_grad_()
    loss = SeepLoss(ONES, dict.fromkeys((*SEEP_TERMS, *CLASS_TERMS), 1.0))(logits, torch.full_like(label, 255))
    loss.backward()
    assert float(loss) == pytest.approx(0, abs=1e-6)
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_batch_without_seep_has_no_naming_loss_and_flat_overlap_terms() -> None:
    logits, label = random_batch()
    logits.requires_grad_()
    loss = SeepLoss(ONES, {"seep_dice": 1.0, "seep_jaccard": 1.0, "class_ce": 1.0, "class_dice": 1.0})
    loss(logits, torch.zeros_like(label)).backward()
    terms = {term: float(value) for term, value in loss.terms.items()}
    assert terms == pytest.approx({"seep_dice": 1, "seep_jaccard": 1, "class_ce": 0, "class_dice": 0}, abs=1e-4)
    assert logits.grad is not None
    assert float(logits.grad.abs().max()) < 1e-6


def test_absent_class_has_no_part_in_class_dice() -> None:
    # Truths 1 and 2, both predicted with certainty: Dice of the present classes is 1, whatever the weight of the
    # absent ones.
    certain = [[1e-9, 1 - 2e-9] + [1e-12] * 6, [1e-9, 1e-12, 1 - 2e-9] + [1e-12] * 5]
    loss = only("class_dice", [1, 1, 50, 50, 50, 50, 50])
    assert float(loss(logits_of(certain), torch.tensor([[[[1, 2]]]]))) == pytest.approx(0, abs=1e-5)


def test_class_weights_leave_the_seep_terms_alone() -> None:
    logits, label = random_batch()
    for term in SEEP_TERMS:
        assert float(only(term, [9, 1, 1, 1, 1, 1, 0])(logits, label)) == float(only(term)(logits, label))


def test_class_weights_on_an_unweighted_term_have_no_effect() -> None:
    logits, label = random_batch()
    weights = [9.0, 1, 1, 1, 1, 1, 0]
    assert float(only("class_ce", weights, ("class_dice",))(logits, label)) == float(only("class_ce")(logits, label))
    assert float(only("class_ce", weights)(logits, label)) != float(only("class_ce")(logits, label))


def test_naming_terms_do_not_move_the_seep_decision_of_other_pixels() -> None:
    logits, label = random_batch()
    logits.requires_grad_()
    SeepLoss([9, 1, 1, 1, 1, 1, 1], dict.fromkeys(CLASS_TERMS, 1.0))(logits, label).backward()
    assert logits.grad is not None
    assert float(logits.grad[:, 0].abs().max()) == 0
    assert float(logits.grad.movedim(1, -1)[label[:, 0] == 0].abs().max()) == 0


def test_half_precision_logits_are_computed_in_float32() -> None:
    logits, label = random_batch()
    loss = SeepLoss(ONES, dict.fromkeys((*SEEP_TERMS, *CLASS_TERMS), 1.0))
    low = logits.to(torch.bfloat16)
    assert loss(low, label).dtype == torch.float32
    assert float(loss(low, label)) == float(loss(low.float(), label))


def test_gradient_matches_finite_differences() -> None:
    logits, label = random_batch(shape=(3, 3))
    label[0, 0, 0, 0] = 255
    loss = SeepLoss([1, 2, 1, 1, 1, 1, 1], {"seep_ce": 2, "seep_dice": 1, "seep_jaccard": 0.5, "class_ce": 1})
    logits = logits.requires_grad_()
    loss(logits, label).backward()
    assert logits.grad is not None
    for index in [(0, 0, 0, 1), (1, 3, 2, 2), (0, 5, 1, 1)]:
        step = torch.zeros_like(logits)
        step[index] = 1e-2
        with torch.no_grad():
            slope = float(loss(logits + step, label) - loss(logits - step, label)) / 2e-2
        assert float(logits.grad[index]) == pytest.approx(slope, abs=2e-4)


@pytest.mark.parametrize("weights", [[1.0] * 6, [1.0] * 8, [0.0] * 7, [math.nan] * 7])
def test_class_weights_that_cannot_be_used_raise(weights: list[float]) -> None:
    with pytest.raises(ConfigError, match="class_weights: expected 7"):
        SeepLoss(weights, {"seep_ce": 1})


@pytest.mark.parametrize("shares", [{"dice": 1.0}, {"seep_ce": -1.0}, {"seep_ce": 0.0}, {}])
def test_shares_that_cannot_be_used_raise(shares: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="loss#shares"):
        SeepLoss(ONES, shares)


def test_weighting_a_seep_term_raises() -> None:
    with pytest.raises(ConfigError, match="loss#weighted_terms"):
        SeepLoss(ONES, {"seep_ce": 1}, ["seep_ce"])
