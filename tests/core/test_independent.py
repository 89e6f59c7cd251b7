"""The torture set's merges by readers that are not ours: the OpenEXR package, and the OpenEXR and OpenImageIO tools.

Their names and versions are in the last row of the torture table.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import numpy as np
import OpenEXR
import pytest

from tests.core.torture_bench import LINEAR, PICTURES, bits
from tests.core.torture_files import LAYOUT
from understudy.core import plate
from understudy.core.plate import torture

COLOUR = ("R", "G", "B")
_ADDED = "understudy/"


def tool(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not on this machine (Debian: openimageio-tools, openexr)")
    return path


def said(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout.decode(errors="replace")


@cache
def version(path: str) -> str:
    return said(path, "--version").strip()


@cache
def debian(package: str) -> str:
    """The version of a tool that cannot say its own."""
    query = shutil.which("dpkg-query")
    return said(query, "-W", "-f", "${Version}", package) if query else "unknown"


@pytest.fixture
def row(torture_table):
    """How a test writes into the table: broken until it comes to its end."""

    def begin(name: str, reader: str, version: str):
        torture_table.setdefault("version", {})[reader] = version
        torture_table.setdefault(name, {})[reader] = "BROKEN"
        return torture_table[name]

    return begin


def mattes(parts) -> dict[str, np.ndarray]:
    """View (`""` for mono) → the matte that was used, wherever a file keeps it."""
    found = {}
    for part in parts:
        for name, channel in part.channels.items():
            layer = f"{part.name()}.{name}" if "." not in name and len(parts) > 1 else name
            words = layer.split(".")
            if words[0] == "mask_blend":
                found[next((w for w in words[1:] if w in ("left", "right")), "")] = channel.pixels
    return found


EXR = [name for name in torture.names() if not name.startswith("dpx") and name != "latin1"]


@pytest.mark.parametrize("name", EXR)
def test_torture_by_the_openexr_package(name, torture_bench, row):
    """All attributes, and the bits of all channels: of the picture, those outside the matte.

    Not the plate `latin1`, which this package cannot open: it takes every text for UTF-8.
    """
    mine = row(name, "OpenEXR", OpenEXR.__version__)
    done = torture_bench.merged(name)
    for theirs, ours in done.files(done.entry["frames"][0]):
        before, after = (OpenEXR.File(str(path), separate_channels=True).parts for path in (theirs, ours))
        used = mattes(after)
        assert used
        for index, (old, new) in enumerate(zip(before, after, strict=False)):
            attributes(old.header, new.header, done.entry["must_go"])
            for channel, pixels in old.channels.items():
                plane, found = pixels.pixels, new.channels[channel].pixels
                view = shows(channel, old.name(), index in PICTURES.get(name, {0}))
                if view and done.entry["colour_space"] not in LINEAR:
                    continue  # was made linear
                same = bits(found) == bits(plane)
                kept = same if not view else same | (used[view if view in used else ""] > 0)
                assert found.dtype == plane.dtype, channel
                assert kept.all(), f"part {index} {channel}"
    mine["OpenEXR"] = "ok"


def shows(channel: str, part: str, picture: bool) -> str:
    """The view whose picture a channel is part of (mono counts as left), or nothing."""
    *layer, last = channel.split(".")
    if not picture or last not in COLOUR or layer not in ([], ["right"]):
        return ""
    return "right" if layer or part.endswith("right") else "left"


def attributes(old: dict, new: dict, gone: list[str]) -> None:
    for key, value in old.items():
        if key in LAYOUT:
            continue
        if key in gone:
            assert key not in new
            continue
        found = new[key]
        assert type(found) is type(value), key
        same = repr(found) == repr(value)
        assert same or np.array_equal(np.asarray(found), np.asarray(value)), (
            f"{key}: {found!r}, not {value!r}"
        )
    assert all(key in old or key in LAYOUT or key.startswith(_ADDED) for key in new)


@pytest.mark.parametrize("name", torture.names())
def test_torture_by_oiiotool(name, torture_bench, row):
    """Plate minus output, R, G and B, where the matte is 0: nothing is left."""
    mine = row(name, "oiiotool", version(tool("oiiotool")))
    done = torture_bench.merged(name)
    if done.entry["colour_space"] not in LINEAR and not done.settings.dpx:
        mine["oiiotool"] = "-"  # the picture was made linear; other tests see to it
        return
    number = done.entry["frames"][0]
    for theirs, ours in done.files(number):
        mask = ours.with_name(f"{name}_layers.{number:04d}.exr") if done.settings.dpx else ours
        for view in done.views if not done.settings.out.has_view else [""]:
            views = 1 if done.settings.out.has_view else len(done.views)
            assert left(name, view, views, theirs, ours, mask) == 0.0
    mine["oiiotool"] = "ok"


def left(name: str, view: str, views: int, theirs: Path, ours: Path, mask: Path) -> float:
    """The largest difference of plate and output where the matte is 0; two that are not finite differ by none."""
    picture, layer, channels, matte = where(name, view, views)
    command: list[str | Path] = []
    for path in (theirs, ours):
        command += [path, *picture, "--ch", channels, "--chnames", "R,G,B"]
        command += ["--origin", "+0+0"] if path.suffix == ".dpx" else []  # its header's offset is the scan's
    command += ["--absdiff", "--fixnan", "black", mask, *layer, "--ch", ",".join([matte] * 3)]
    command += ["--chnames", "R,G,B", "--mulc", "-1e10", "--addc", "1", "--clamp:min=0:max=1", "--mul"]
    text = said(tool("oiiotool"), *command, "--printstats")
    found = re.search(r"Stats Max:\s+(\S+) (\S+) (\S+)", text)
    assert found is not None, text
    return max(map(float, found.groups()))


def where(name: str, view: str, views: int) -> tuple[tuple[str, ...], tuple[str, ...], str, str]:
    """Options that choose the parts of picture and matte, the picture's channels, the matte's."""
    apart = {"parts_plain": "rgba", "parts_windows": "rgba", "stereo_parts": f"rgba.{view}"}
    if name in apart:
        layer = f"mask_blend.{view}".rstrip(".")
        return ("--subimage", apart[name]), ("--subimage", layer), "R,G,B", "A"
    if name == "parts_dotted":
        return ("--subimage", "beauty"), ("--subimage", "beauty"), "R,G,B", "mask_blend.A"
    if views > 1:
        picture = {"left": "R,G,B", "right": "right.R,right.G,right.B"}[view]
        return (), (), picture, f"mask_blend.{view}.A"
    return (), (), "R,G,B", "mask_blend.A"


def test_torture_oiiotool_sees_one_bit(tmp_path, torture_bench):
    """Lest a command that compares nothing pass for one that finds nothing."""
    ((theirs, ours),) = torture_bench.merged("zips_half").files(1001)
    frame = plate.read_file(ours, 1001)
    green = frame.planes["G"].copy()
    green.view(np.uint16)[100, 3] ^= 1
    plate.write(frame.with_planes({**frame.planes, "G": green}), tmp_path / ours.name)
    assert left("zips_half", "", 1, theirs, ours, ours) == 0.0
    assert left("zips_half", "", 1, theirs, tmp_path / ours.name, ours) > 0.0


@pytest.mark.parametrize("name", [name for name in torture.names() if not name.startswith("dpx")])
def test_torture_by_exrheader(name, torture_bench, row):
    """What the OpenEXR tool prints of the plate's attributes it prints of the output's too."""
    exrheader = tool("exrheader")
    mine = row(name, "exrheader", debian("openexr"))
    done = torture_bench.merged(name)
    for theirs, ours in done.files(done.entry["frames"][0]):
        gone = (*LAYOUT, *done.entry["must_go"], "file format version", "flags")
        before = [line for line in dump(said(exrheader, theirs)) if not line.startswith(gone)]
        after = dump(said(exrheader, ours))
        assert len(before) > 5
        assert [line for line in before if line not in after] == []
    mine["exrheader"] = "ok"


def dump(text: str) -> list[str]:
    """One entry an attribute; what is indented belongs to the line before."""
    return [entry.strip() for entry in re.split(r"\n(?=\S)", text) if " (type " in entry]
