from __future__ import annotations

import json

import pytest
import torch

from seep_monai.errors import ConfigError
from seep_monai.network.segresnet import SegResNetSettings, build_network, settings_from_json
from seep_monai.steps import default_amp, place_network

SMALL = SegResNetSettings(init_filters=8, blocks_down=(1, 1), blocks_up=(1,))
BLOCKS = SegResNetSettings(init_filters=8, blocks_down=(1, 1), blocks_up=(1,), block_px=2)


@pytest.mark.parametrize("settings", [SMALL, BLOCKS])
def test_network_keeps_the_full_resolution_with_eight_logits(settings: SegResNetSettings) -> None:
    logits = build_network(settings)(torch.zeros(2, 1, 16, 24))
    assert logits.shape == (2, 8, 16, 24)


def test_pixels_of_a_block_have_their_own_logits_in_their_own_places() -> None:
    network = build_network(BLOCKS)
    with torch.no_grad():
        # Only the last bias is left: eight times four numbers, of class k and pixel (row, col) of the block.
        for parameter in network.parameters():
            parameter.zero_()
        network.conv_final[-1].conv.bias.copy_(torch.arange(32.0))
        logits = network(torch.randn(1, 1, 8, 8))
    for row, col in ((0, 0), (0, 1), (1, 0), (1, 1), (6, 7)):
        expected = [4.0 * k + 2 * (row % 2) + col % 2 for k in range(8)]
        assert logits[0, :, row, col].tolist() == expected


def test_block_that_is_no_size_raises() -> None:
    with pytest.raises(ConfigError, match="block_px"):
        SegResNetSettings(block_px=0)


def test_size_multiple_is_what_the_levels_halve() -> None:
    assert (SMALL.size_multiple, BLOCKS.size_multiple) == (2, 4)
    assert SegResNetSettings(blocks_down=(1, 1, 1, 1, 1), blocks_up=(1, 1, 1, 1)).size_multiple == 16


def test_network_on_a_size_that_is_no_multiple_fails_so_the_rule_is_needed() -> None:
    with pytest.raises(RuntimeError):
        build_network(SMALL)(torch.zeros(1, 1, 15, 16))


def test_settings_through_json_come_back_equal() -> None:
    stored = json.loads(json.dumps(SMALL.to_json()))
    assert settings_from_json(stored) == SMALL


def test_settings_with_an_unknown_argument_raise() -> None:
    with pytest.raises(ConfigError, match="attention"):
        settings_from_json({"init_filters": 8, "attention": True})


@pytest.mark.parametrize("init_filters", [0, 12, -8, 8.0, "16"])
def test_init_filters_that_group_norm_cannot_take_raise(init_filters: object) -> None:
    with pytest.raises(ConfigError, match="multiple of 8"):
        SegResNetSettings(init_filters=init_filters)  # type: ignore[arg-type]


def test_blocks_that_do_not_fit_together_raise() -> None:
    with pytest.raises(ConfigError, match="blocks_up"):
        SegResNetSettings(blocks_down=(1, 1), blocks_up=(1, 1))


def test_dropout_out_of_range_raises() -> None:
    with pytest.raises(ConfigError, match="dropout_prob"):
        SegResNetSettings(dropout_prob=1.0)


def test_dropout_setting_reaches_the_network() -> None:
    network = build_network(SegResNetSettings(init_filters=8, blocks_down=(1, 1), blocks_up=(1,), dropout_prob=0.3))
    assert any(isinstance(module, torch.nn.Dropout2d) and module.p == 0.3 for module in network.modules())


@pytest.mark.parametrize("settings", [SMALL, BLOCKS])
def test_untrained_network_gives_a_seep_about_the_prior_probability(settings: SegResNetSettings) -> None:
    torch.manual_seed(0)
    with torch.no_grad():
        prob = build_network(settings)(torch.randn(1, 1, 32, 32)).softmax(1)
    assert 0.005 < float(1 - prob[:, 0].mean()) < 0.08


@pytest.mark.parametrize("settings", [SMALL, BLOCKS])
def test_network_placed_on_a_cpu_with_amp_computes_in_bf16_nearly_the_same(settings: SegResNetSettings) -> None:
    torch.manual_seed(0)
    network, image = build_network(settings), torch.randn(1, 1, 32, 32)
    with torch.no_grad():
        exact = place_network(network, "cpu", False)(image)
        rough = place_network(network, "cpu", True)(image)

    assert exact.dtype == rough.dtype == torch.float32
    # bf16 has eight bits: about three digits.
    torch.testing.assert_close(rough, exact, atol=0.1, rtol=0.05)
    assert not torch.equal(rough, exact)
    assert set(network.state_dict()) == set(build_network(settings).state_dict())


def test_default_amp_is_on_for_gpus_alone() -> None:
    assert default_amp("cuda:0")
    assert not default_amp("cpu")


@pytest.mark.parametrize(("capability", "warned"), [("AVX2", True), ("AVX512", False)])
def test_bf16_that_a_cpu_imitates_is_a_warning(
    capability: str, warned: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    place_network(torch.nn.Conv2d(1, 1, 1), "cpu", True)

    assert ("Leave out --amp True" in caplog.text) == warned


def test_weights_of_the_blocks_are_fewer_than_all_and_most_of_them() -> None:
    for settings in (SegResNetSettings(), SegResNetSettings(24, (2, 2, 2, 4), (1, 1, 3), block_px=2)):
        n_weights = sum(weights.numel() for weights in build_network(settings).parameters())
        assert 0.9 * n_weights < settings.least_weights < n_weights


@pytest.mark.parametrize(
    "settings",
    [
        {"blocks_down": [10**9, 1], "blocks_up": [1]},
        {"blocks_down": [1] * 9, "blocks_up": [1] * 8},
        {"init_filters": 8 * 10**9},
        {"block_px": 17},
    ],
)
def test_network_larger_than_any_machine_trains_is_refused(settings: dict) -> None:
    with pytest.raises(ConfigError, match="network_settings: expected at most 8 levels"):
        SegResNetSettings(**settings)
