"""A model out of parts of others: each is its giver's to the bit; what does not fit is refused with both values."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.core.exchanging import STATE, TINY, crops, made
from tests.core.shots import make_release
from understudy.core.errors import InvalidInput, ModelInvalid, NotFound
from understudy.core.model import combine, store, swap
from understudy.core.model.combine import CombineSettings
from understudy.core.model.exchange.saehd import PARTS
from understudy.core.model.networks import build
from understudy.core.reports import Advanced, Artifact, Started, Warned

B_RELEASE = make_release(subject="performer-b")


def other(folder, kind="df-ud", by=0.05, widths=None, **state):
    """Another model of the kind, with other weights, maybe of other widths."""
    arch, _, options = kind.partition("-")
    config = replace(TINY, arch=arch, options=options, **(widths or {}))
    net = build(config)
    net.initialise(torch.Generator().manual_seed(9))
    weights = {name: each + by for name, each in net.state_dict().items()}
    store.create(folder, config)
    store.save(folder, replace(STATE, **{"releases": (B_RELEASE,), "src": "c" * 64} | state), weights, {})
    return folder


@pytest.fixture
def a(tmp_path):
    made(tmp_path / "a")
    return tmp_path / "a"


def combined(settings):
    return list(combine.combine(settings))


@pytest.mark.parametrize("kind", ["df-ud", "liae-ud", "dfhd", "liaehd-d"])
def test_parts_are_those_of_the_network(kind):
    arch, _, options = kind.partition("-")
    with torch.device("meta"):
        assert tuple(build(replace(TINY, arch=arch, options=options)).parts) == PARTS[arch]


def test_each_part_is_its_givers_to_the_bit(tmp_path, a):
    b, out = other(tmp_path / "b"), tmp_path / "c"
    reports = combined(CombineSettings(out=out, base=a, parts={"decoder_src": b}))
    assert reports == [
        Started(total=2, unit="step"),
        Advanced(done=1),
        Advanced(done=2),
        Artifact(kind="model", path=out),
    ]
    (_, of_a), (_, of_b), (state, of_c) = map(store.load, (a, b, out))
    assert of_c.keys() == of_a.keys()
    for name, each in of_c.items():
        assert torch.equal(each, (of_b if name.startswith("decoder_src.") else of_a)[name]), name
    assert (state.iteration, state.seconds) == (0, 0.0)
    assert state.releases == (make_release(), B_RELEASE)
    assert (state.src, state.dst) == ("", "b" * 64)  # they learnt of different faces, and of one performance
    digests = {name: store.read_state(a).digest for name in PARTS["df"]}
    assert state.combined == digests | {"decoder_src": store.read_state(b).digest}
    assert store.load_optimizer(out) == {}
    face = swap.load(out, "cpu").swap(crops(1))[0]
    assert np.abs(face - swap.load(a, "cpu").swap(crops(1))[0]).max() > 0.01


def test_all_parts_named_from_three(tmp_path, a):
    b, c = other(tmp_path / "b"), other(tmp_path / "c", by=0.02)
    parts = {"encoder": a, "inter": b, "decoder_src": c, "decoder_dst": b}
    assert combined(CombineSettings(out=tmp_path / "d", parts=parts))[0] == Started(total=3, unit="step")
    of = {folder: store.load(folder)[1] for folder in (a, b, c)}
    made_ = store.load(tmp_path / "d")[1]
    assert all(torch.equal(each, of[parts[name.partition(".")[0]]][name]) for name, each in made_.items())


def test_widths_that_meet_in_no_part_may_differ(tmp_path, a):
    """Both decoders of a wider model fit on the inter of this one."""
    b = other(tmp_path / "b", widths={"d_dims": 6, "d_mask_dims": 3})
    parts = {"decoder_src": b, "decoder_dst": b}
    combined(CombineSettings(out=tmp_path / "c", base=a, parts=parts))
    assert swap.load(tmp_path / "c", "cpu").config == replace(TINY, d_dims=6, d_mask_dims=3)
    b = other(tmp_path / "e", widths={"e_dims": 16})
    combined(CombineSettings(out=tmp_path / "f", base=a, parts={"encoder": b, "inter": b}))
    assert swap.load(tmp_path / "f", "cpu").config == replace(TINY, e_dims=16)


@pytest.mark.parametrize(
    ("widths", "parts", "says"),
    [
        ({"e_dims": 16}, ["encoder"], "e_dims of encoder and inter .* 16 in .*b and 8 in .*a"),
        ({"ae_dims": 16}, ["inter"], "ae_dims of inter and decoder_src .* 16 in .*b and 8 in .*a"),
        ({"d_dims": 6}, ["decoder_dst"], "d_dims of decoder_src and decoder_dst .* 4 in .*a and 6 in .*b"),
        ({"d_mask_dims": 4}, ["decoder_src"], "d_mask_dims of decoder_src and decoder_dst .* 4 in .*b and 2"),
        ({"resolution": 96}, ["decoder_src"], "resolution must be the same, but is 64 in .*a and 96 in .*b"),
        ({"face_type": "full"}, ["encoder"], "face_type must .* 'whole' in .*a and 'full' in .*b"),
    ],
)
def test_what_does_not_fit(tmp_path, a, widths, parts, says):
    b = other(tmp_path / "b", widths=widths)
    wanted = CombineSettings(out=tmp_path / "c", base=a, parts=dict.fromkeys(parts, b))
    with pytest.raises(InvalidInput, match=says) as refused:
        combined(wanted)
    assert refused.value.field == "parts"
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize(
    ("kind", "says"), [("df-u", "options .* 'ud' .* 'u'"), ("dfhd-ud", "arch .* 'df' .* 'dfhd'")]
)
def test_other_networks(tmp_path, a, kind, says):
    wanted = CombineSettings(out=tmp_path / "c", base=a, parts={"encoder": other(tmp_path / "b", kind)})
    with pytest.raises(InvalidInput, match=says):
        wanted.check()


@pytest.mark.parametrize(
    ("state", "says"),
    [
        (
            {"working_space": "ACEScg"},
            "working_space must be the same, but is 'ACEScg' in .*b and 'none' in .*a",
        ),
        ({"curve": {"knee": 0.5}}, r"curve must .*'knee': 0\.5.* in .*b and .*'knee': 0\.8.* in .*a"),
    ],
)
def test_other_colours(tmp_path, a, state, says):
    wanted = CombineSettings(out=tmp_path / "c", base=a, parts={"encoder": other(tmp_path / "b", **state)})
    with pytest.raises(InvalidInput, match=says):
        wanted.check()


def test_a_curve_that_is_the_default_by_name(tmp_path, a):
    b = other(tmp_path / "b", curve={"knee": 0.8, "maximum": 64.0})
    assert CombineSettings(out=tmp_path / "c", base=a, parts={"encoder": b}).check()


def test_other_colour_configs_are_told(tmp_path, a):
    b = other(tmp_path / "b", colour="2e")
    reports = combined(CombineSettings(out=tmp_path / "c", base=a, parts={"encoder": b}))
    assert [each.reason for each in reports if isinstance(each, Warned)] == ["COLOUR_CONFIG_DIFFERS"]


class TestRefused:
    def test_a_part_that_there_is_not(self, tmp_path, a):
        wanted = CombineSettings(out=tmp_path / "c", base=a, parts={"inter_AB": a})
        with pytest.raises(
            InvalidInput, match="'inter_AB' is none of encoder, inter, decoder_src, decoder_dst"
        ):
            wanted.check()

    def test_parts_without_a_giver(self, tmp_path, a):
        wanted = CombineSettings(out=tmp_path / "c", parts={"encoder": a, "inter": a})
        with pytest.raises(InvalidInput, match="decoder_src, decoder_dst: no model gives it"):
            wanted.check()

    def test_no_part(self, tmp_path, a):
        with pytest.raises(InvalidInput, match="no part is named"):
            CombineSettings(out=tmp_path / "c", base=a)

    def test_a_model_that_is_not_trained(self, tmp_path, a):
        store.create(tmp_path / "b", TINY)
        with pytest.raises(NotFound, match="no trained model"):
            CombineSettings(out=tmp_path / "c", base=a, parts={"encoder": tmp_path / "b"}).check()

    def test_a_model_is_not_written_over(self, tmp_path, a):
        with pytest.raises(InvalidInput, match="there is a trained model already"):
            CombineSettings(out=a, base=a, parts={"encoder": a})

    def test_altered_weights(self, tmp_path, a):
        b = other(tmp_path / "b")
        file = store.current(b) / store.WEIGHTS
        file.write_bytes(file.read_bytes()[:-1] + b"\x7f")
        with pytest.raises(ModelInvalid, match="altered"):
            combined(CombineSettings(out=tmp_path / "c", base=a, parts={"encoder": b}))
        assert not (tmp_path / "c").exists()
