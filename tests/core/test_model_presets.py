"""Configurations and presets: what they allow, what they are called, and how large their networks are."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.core.errors import InvalidInput
from understudy.core.model.networks import ARCHITECTURES, build
from understudy.core.model.presets import ABLATION, ARCHS, PRESETS, ModelConfig, preset

TINY = ModelConfig(options="ud", resolution=64, e_dims=4, d_dims=4, d_mask_dims=2, ae_dims=8)


def parameters(config: ModelConfig) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in build(config).parameters())


@pytest.mark.parametrize(
    ("config", "count"),  # of DeepFaceLab's own networks: shared/reference/peers.md, 2.2
    [
        (PRESETS["quick96"], 38_294_330),
        (PRESETS["df-ud-128"], 54_470_998),
        (PRESETS["liae-ud-128"], 82_376_555),
        (ModelConfig(options=""), 57_538_432),
        (ModelConfig(arch="liae", options=""), 94_963_328),
        (ModelConfig(options="udt"), 87_716_182),
        (ModelConfig(arch="liae", options="udt"), 77_537_451),
        (ModelConfig(arch="liae", resolution=224), 125_664_107),
        (ModelConfig(arch="liae", options="udt", resolution=224), 94_872_747),
        (PRESETS["df-ud-256"], 82_794_838),
        (PRESETS["liae-ud-256"], 145_340_267),
        (PRESETS["df-udt-256"], 97_165_654),
        (PRESETS["liae-udt-256"], 102_752_427),
        (ModelConfig(arch="liae", resolution=320), 192_563_051),
        (PRESETS["df-ud-512"], 196_090_198),
        (PRESETS["liae-ud-512"], 397_195_115),
        (PRESETS["df-udt-512"], 134_963_542),
        (PRESETS["liae-udt-512"], 203_612_331),
    ],
)
def test_networks_have_deepfacelabs_sizes(config, count):
    assert parameters(config) == count


def test_hd_has_more_of_everything():
    """By hand, at e 8, d 4, mask 4, ae 8 and 64 pixels, without options."""
    config = ModelConfig(arch="dfhd", options="", resolution=64, e_dims=8, d_dims=4, d_mask_dims=4, ae_dims=8)

    def conv(channels, out, kernel=3):
        return (channels * kernel**2 + 1) * out

    column = [
        sum(
            conv(a, b // 4, k)
            for a, b in zip([3, *(w * 2**i for i in range(3))], [w * 2**i for i in range(4)], strict=True)
        )
        for w, k in ((16, 3), (16, 5), (4, 5), (4, 7))
    ]
    inter = (40 * 8 * 16 + 1) * 8 + (8 + 1) * 16 * 8 + conv(8, 32)
    scales = [(8, 32), (32, 16), (16, 8), (8, 4)]
    bumps = sum(conv(c, 4 * i) + 2 * conv(i, i) + conv(i, c // 4) for c, i in scales)
    ups = sum(conv(c, 4 * i) for c, i in scales[:3])
    matte = conv(8, 128) + conv(32, 64) + conv(16, 32) + conv(8, 1, 1)
    assert parameters(config) == sum(column) + inter + 2 * (bumps + ups + conv(8, 3, 1) + matte)


@given(
    arch=st.sampled_from(ARCHS),
    options=st.sets(st.sampled_from("udtc")).map("".join),
    thirty_seconds=st.sampled_from([64, 96, 160]),
    dims=st.tuples(*[st.integers(2, 9)] * 3, st.integers(8, 20)),
)
@settings(max_examples=40, deadline=None)
def test_every_option_paints_at_the_resolution(arch, options, thirty_seconds, dims):
    e, d, d_mask, ae = dims
    if arch.endswith("hd"):
        e, d, ae, options = 8 * e, 2 * d, 4 * ae, options.replace("t", "")
    config = ModelConfig(
        arch=arch,
        options=options,
        resolution=thirty_seconds,
        e_dims=e,
        d_dims=d,
        d_mask_dims=d_mask,
        ae_dims=ae,
    )
    with torch.device("meta"):
        face, matte = build(config).swap(torch.empty(2, 3, config.resolution, config.resolution))
    assert face.shape == (2, 3, config.resolution, config.resolution)
    assert matte.shape == (2, 1, config.resolution, config.resolution)


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("resolution", 72, "multiple of 16"),
        ("resolution", 48, "64 to 640"),
        ("resolution", 1024, "64 to 640"),
        ("options", "x", "udtc"),
        ("options", "uu", "different letters"),
        ("resolution", 128.0, "64 to 640"),
        ("e_dims", 1, "2 to 256"),
        ("d_dims", "64", "2 to 256"),
        ("ae_dims", 4096, "8 to 1024"),
        ("face_type", "hat", "whole"),
        ("arch", "amp", "none of df, liae, dfhd, liaehd"),
    ],
)
def test_a_wrong_configuration_names_field_and_value(field, value, says):
    with pytest.raises(InvalidInput, match=says) as refused:
        replace(ModelConfig(options=""), **{field: value})
    assert refused.value.field == field
    assert str(value) in refused.value.message


def test_half_resolution_needs_a_multiple_of_32():
    assert ModelConfig(options="", resolution=80).resolution == 80
    for options in ("d", "t"):
        with pytest.raises(InvalidInput, match=f"80 must be .* multiple of 32 with options '{options}'"):
            ModelConfig(options=options, resolution=80)


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("options", "udt", "which arch 'liaehd' does not know"),
        ("e_dims", 12, "a multiple of 8 with arch 'liaehd'"),
        ("d_dims", 15, "a multiple of 2 with arch 'liaehd'"),
        ("ae_dims", 130, "a multiple of 4 with arch 'liaehd'"),
    ],
)
def test_the_hd_kin_take_less(field, value, says):
    with pytest.raises(InvalidInput, match=says) as refused:
        ModelConfig(arch="liaehd", **{field: value})
    assert (refused.value.field, refused.value.value) == (field, value)
    replace(ModelConfig(arch="liae"), **{field: value})


def test_options_have_one_order():
    assert ModelConfig(options="du") == ModelConfig(options="ud")


def test_an_unknown_preset_lists_those_there_are():
    with pytest.raises(InvalidInput, match="quick64, quick96"):
        preset("quick1")


def test_presets_are_what_their_names_say():
    assert set(ARCHITECTURES) == set(ARCHS)
    assert preset("liae-udt-384") == ModelConfig(arch="liae", options="udt", resolution=384)
    assert (preset("dfhd-ud-256").d_dims, preset("liaehd-ud-256").d_dims) == (48, 64)
    assert len(set(PRESETS.values())) == len(PRESETS)  # a model's preset is found by its configuration
    for name, config in PRESETS.items():
        assert name.startswith("quick") or name == f"{config.arch}-{config.options}-{config.resolution}"


def test_the_ablation_has_eight_rows():
    """DF, LIAE and their HD kin, each plain and with GAN and TrueFace; the network is the same in both."""
    assert len(ABLATION) == 8
    for arch in ARCHS:
        plain, with_losses = preset(f"ablation-{arch}"), preset(f"ablation-{arch}-gan-trueface")
        assert plain == with_losses
        assert (plain.arch, plain.options) == (arch, "")


def test_configurations_come_back():
    configs = [*PRESETS.values(), *ABLATION.values()]
    assert all(ModelConfig.from_dict(json.loads(json.dumps(c.to_dict()))) == c for c in configs)
    with pytest.raises(InvalidInput, match="depth 3 is not a field"):
        ModelConfig.from_dict({**TINY.to_dict(), "depth": 3})
