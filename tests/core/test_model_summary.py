"""What a network costs, against counts by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from understudy.core.model.presets import PRESETS, ModelConfig
from understudy.core.model.summary import summarise

SMALL = ModelConfig(options="", resolution=64, e_dims=2, d_dims=2, d_mask_dims=2, ae_dims=8)

# multiplications of one face through SMALL: kernel area · channels in · channels out · pixels
FIRST = 25 * 3 * 2 * 32**2
ENCODER = FIRST + 25 * 2 * 4 * 16**2 + 25 * 4 * 8 * 8**2 + 25 * 8 * 16 * 4**2
INTER = (16 * 4**2) * 8 + 8 * (4**2 * 8) + 9 * 8 * 32 * 4**2
FACE = (
    9 * (8 * 64 * 8**2 + 16 * 32 * 16**2 + 8 * 16 * 32**2)  # upscales
    + 9 * 2 * (16 * 16 * 16**2 + 8 * 8 * 32**2 + 4 * 4 * 64**2)  # residual blocks
    + 4 * 3 * 64**2
)
MATTE = 9 * (8 * 64 * 8**2 + 16 * 32 * 16**2 + 8 * 16 * 32**2) + 4 * 1 * 64**2

# numbers that one face leaves for the backward pass: what layers read; activations keep what they give to the next one
KEPT = (
    3 * 64**2
    + 2 * 32**2 + 4 * 16**2 + 8 * 8**2 + 16 * 4**2
    + 8  # between the dense layers
    + 8 * 4**2 + 8 * 8**2  # around the inter's upscale
    + (1 + 2) * (16 * 16**2 + 8 * 32**2 + 4 * 64**2)  # upscales and residual blocks
    + 16 * 16**2 + 8 * 32**2 + 4 * 64**2  # the matte's upscales
)  # fmt: skip


def test_a_small_df_by_hand():
    found = summarise(SMALL, batch_size=3)
    face = ENCODER + INTER + FACE + MATTE
    assert found.swap_flops == 2 * face
    # forward, and back to weights and to inputs; the picture needs no gradient
    assert found.step_flops == 6 * (6 * face - 2 * FIRST)
    assert found.activation_bytes == 4 * 6 * KEPT
    assert found.parameters["inter"] == 256 * 8 + 8 + 8 * 128 + 128 + 9 * 8 * 32 + 32
    assert found.state_bytes == 16 * sum(found.parameters.values())


def test_liae_goes_twice_through_one_inter_and_once_through_the_other():
    found = summarise(replace(SMALL, arch="liae"), batch_size=1)
    inter = (16 * 4**2) * 8 + 8 * (4**2 * 16) + 9 * 16 * 64 * 4**2
    wider = 9 * (32 - 8) * 64 * 8**2  # a decoder's first upscale reads 4 · ae
    decoder = FACE + MATTE + 2 * wider
    assert found.swap_flops == 2 * (ENCODER + inter + decoder)
    assert found.step_flops == 6 * (2 * ENCODER + 3 * inter + 2 * decoder) - 2 * 2 * FIRST


def test_bfloat16_halves_activations():
    wide, narrow = summarise(SMALL), summarise(SMALL, bfloat16=True)
    assert narrow.activation_bytes * 2 == wide.activation_bytes
    assert narrow.step_flops == wide.step_flops
    assert narrow.state_bytes * 16 == wide.state_bytes * 18


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_can_be_summarised(name):
    config = PRESETS[name]
    found = summarise(config, batch_size=2)
    once = summarise(config, batch_size=1)
    assert found.step_flops == 2 * once.step_flops
    heads = (
        2 * 12 * 2 * config.d_dims * 9 * 4 if "d" in config.options else 0
    )  # of both, joined: whatever the batch
    assert 0 <= 2 * once.activation_bytes - found.activation_bytes <= heads
    assert 6 < found.step_flops / found.swap_flops < 24


def test_the_table_says_it_in_words():
    lines = str(summarise(PRESETS["liae-ud-128"])).splitlines()
    assert lines[0] == "liae-ud, 128 px, dims e 64, d 64, mask 22, ae 256"
    assert [line.split()[0] for line in lines[1:6]] == ["encoder", "inter_AB", "inter_B", "decoder", "all"]
    assert "82,376,555 parameters, 314 MiB" in lines[5]
    assert "a step of 4 + 4 faces in float32" in lines[6]
