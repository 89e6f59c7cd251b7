"""The plates of the torture set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle, product
from typing import Any

import numpy as np

from understudy.core.frames import Array, Float, Window
from understudy.core.plate.torture import curves, dpx, exr, headers
from understudy.core.plate.torture.sample import (
    FORMAT,
    MONO,
    Sample,
    depth,
    dpx_codes,
    fixed,
    full,
    half,
    openexr,
    parts,
)
from understudy.core.plate.torture.scene import Scene

_LOG = "ARRI LogC3 (EI800)"
_STEREO = {"left": MONO, "right": Scene(parallax=-5.0)}


def plates() -> Iterator[Sample]:
    """Every plate, then every file that must be refused."""
    yield from _geometry()
    yield from _codecs()
    yield from _layouts()
    yield from _channels()
    yield from _parts()
    yield from _views()
    yield from _metadata()
    yield from _values()
    yield from _colour()
    yield from _numbers()
    yield from _dpx()
    yield from _odd_dpx()
    yield from _refused()


def _geometry() -> Iterator[Sample]:
    yield openexr("overscan", "data window beyond the format on all sides", data=Window(-16, -12, 288, 216))
    yield openexr("crop", "data window smaller than the format", data=Window(36, 20, 170, 150))
    yield openexr("half_a_face", "data window that ends on the face", data=Window(0, 0, 124, 192))
    yield openexr("face_outside", "data window that holds no part of the face", data=Window(206, 0, 50, 70))
    moved = Scene(origin=(-128, -96))
    window = Window(-128, -96, 256, 192)
    yield openexr(
        "negative_origin", "format around the origin", scenes={"": moved}, display=window, data=window
    )
    moved = Scene(origin=(100, 50))
    yield openexr(
        "display_elsewhere",
        "display window not at 0, 0, and overscan around it",
        scenes={"": moved},
        display=Window(100, 50, 256, 192),
        data=Window(90, 45, 276, 200),
    )
    for name, aspect, width in (
        ("anamorphic_2", 2.0, 128),
        ("anamorphic_133", float(np.float32(4 / 3)), 192),
    ):
        window = Window(0, 0, width, 192)
        yield openexr(
            name,
            f"pixel aspect {aspect:.4g}: the ring in the chart is round once un-squeezed",
            scenes={"": Scene(aspect=aspect)},
            aspect=aspect,
            display=window,
            data=window,
        )


def _codecs() -> Iterator[Sample]:
    for codec in ("none", "rle", "zips", "zip", "piz"):
        yield openexr(f"{codec}_half", f"{codec.upper()}, half", codec=codec)
        yield openexr(f"{codec}_float", f"{codec.upper()}, float", full, codec=codec)
    yield openexr("pxr24_half", "PXR24, half: loses nothing", codec="pxr24")
    yield openexr("pxr24_float", "PXR24, float: 24 bits are left", full, codec="pxr24", lossy=True)
    for codec in ("b44", "b44a", "dwaa", "dwab"):
        yield openexr(codec, f"{codec.upper()}, half: a lossy plate", codec=codec, lossy=True)


def _layouts() -> Iterator[Sample]:
    yield openexr("decreasing_y", "lines from the bottom up", decreasing=True)
    for levels, words in (("one", "tiles"), ("mip", "tiles with a mip map"), ("rip", "tiles with a rip map")):
        name = "tiled" if levels == "one" else f"tiled_{levels}map"
        yield openexr(name, f"{words} of 48 × 48, ZIP", codec="zip", tile=48, levels=levels)
    over = Window(-16, -12, 287, 215)
    yield openexr(
        "tiled_overscan", "tiles of 40 × 40 over an odd data window beyond the format", data=over, tile=40
    )


def _channels() -> Iterator[Sample]:
    yield openexr("mixed_types", "R half, G float, B half, and a uint id", _mixed)
    yield openexr("alpha", "alpha of its own, premultiplied, 0 on parts of the face", _alpha)
    yield openexr("aovs", "depth.Z float, N.x/y/z, diffuse.R/G/B, motion.u/v, and single letters", _aovs)
    yield openexr(
        "cryptomatte", "cryptomatte in float32 with its manifest", _crypto, attributes=_crypto_header
    )
    yield openexr("long_names", "channel names above 31 characters, with spaces and three dots", _long)
    yield openexr("many_channels", "64 channels", _many)


def _mixed(rgb: Float) -> dict[str, Array]:
    ids = (np.arange(rgb[..., 0].size, dtype=np.uint32) * np.uint32(2654435761)).reshape(rgb.shape[:2])
    return {**half(rgb), "G": full(rgb)["G"], "id": ids, "Z": depth(rgb)}


def _alpha(rgb: Float) -> dict[str, Array]:
    columns = np.linspace(0.0, 1.0, rgb.shape[1], dtype=np.float32)
    alpha = np.broadcast_to(np.clip(columns * 3.0 - 1.0, 0.0, 1.0), rgb.shape[:2])
    return {**half(rgb * alpha[..., None]), "A": alpha.astype(np.float16)}


def _aovs(rgb: Float) -> dict[str, Array]:
    planes: dict[str, Array] = {**half(rgb), "depth.Z": depth(rgb), "Y": rgb[..., 1].astype(np.float16)}
    planes |= {f"N.{c}": np.sin(rgb[..., i] * 9.0).astype(np.float16) for i, c in enumerate("xyz")}
    planes |= {f"diffuse.{c}": plane * np.float16(0.5) for c, plane in half(rgb / 4.0).items()}
    return {**planes, "motion.u": rgb[..., 0] * 3.0, "motion.v": np.full(rgb.shape[:2], np.nan, np.float32)}


def _crypto(rgb: Float) -> dict[str, Array]:
    ids = np.where(rgb[..., 0] > 0.2, 0x7F3A11C2, 0x00000001).astype(np.uint32)  # floats by their bits alone
    cover = np.clip(rgb[..., 1], 0.0, 1.0)
    ranks = {"R": ids.view(np.float32), "G": cover, "B": ids[::-1].copy().view(np.float32), "A": 1.0 - cover}
    return {**half(rgb), **{f"CryptoObject00.{c}": plane for c, plane in ranks.items()}}


def _crypto_header(frame: int) -> list[bytes]:
    key = "cryptomatte/2f8b4c1/"
    words = {
        "name": "CryptoObject",
        "hash": "MurmurHash3_32",
        "conversion": "uint32_to_float32",
        "manifest": '{"head":"7f3a11c2","wall":"00000001"}',
    }
    return [*headers.plain(frame), *(headers.text(key + name, value) for name, value in words.items())]


def _long(rgb: Float) -> dict[str, Array]:
    grey = rgb[..., 1].astype(np.float16)
    names = ("a_layer_with_a_name_of_more_than_31_characters.R", "four.pieces.of.R", "with space.R", "1")
    return {**half(rgb), **dict.fromkeys(names, grey)}


def _many(rgb: Float) -> dict[str, Array]:
    grey = rgb[..., 1].astype(np.float16)
    return {**half(rgb), **{f"light{i:02d}.R": grey * np.float16(i / 64) for i in range(61)}}


def _parts() -> Iterator[Sample]:
    def plain(frame: int, data: Window) -> Sequence[exr.Part]:
        rgb = MONO.picture(frame, data)
        return [
            _part(frame, data, half(rgb), name="rgba"),
            _part(frame, data, half(rgb / 2.0), name="diffuse", codec="piz"),
            _part(frame, data, {"Z": depth(rgb)}, name="depth"),
        ]

    def dotted(frame: int, data: Window) -> Sequence[exr.Part]:
        rgb = MONO.picture(frame, data)
        diffuse = {f"diffuse.{c}": plane for c, plane in half(rgb / 2.0).items()}
        return [
            _part(frame, data, {"depth.Z": depth(rgb)}, name="depth"),
            _part(frame, data, half(rgb), name="beauty"),
            _part(frame, data, diffuse, name="diffuse", codec="zip", tile=64),
        ]

    def windows(frame: int, data: Window) -> Sequence[exr.Part]:
        rgb, inner = MONO.picture(frame, data), Window(60, 40, 90, 80)
        return [
            _part(frame, data, half(rgb), name="rgba"),
            _part(frame, inner, half(MONO.picture(frame, inner)), name="clean"),
        ]

    yield parts("parts_plain", "parts with plain names: rgba, diffuse (R, G, B), depth (Z)", plain)
    yield parts("parts_dotted", "parts with dotted names, the picture second, one of them tiled", dotted)
    yield parts("parts_windows", "a part whose data window is smaller than the picture's", windows)


def _part(
    frame: int,
    data: Window,
    planes: Mapping[str, Array],
    *,
    name: str = "",
    codec: str = "zips",
    tile: int = 0,
    extra: Sequence[bytes] = (),
) -> exr.Part:
    attributes = (*headers.plain(frame), *extra)
    return exr.Part(
        planes=planes, data=data, display=FORMAT, name=name, codec=codec, tile=tile, attributes=attributes
    )


def _views() -> Iterator[Sample]:
    def one_part(frame: int, data: Window, space: str = "ACEScg") -> Sequence[exr.Part]:
        left, right = (curves.encode(scene.picture(frame, data), space) for scene in _STEREO.values())
        planes = {**half(left), **{f"right.{c}": plane for c, plane in half(right).items()}}
        planes |= {"depth.left.Z": depth(left), "depth.right.Z": depth(right)}
        views = exr.attribute("multiView", "stringvector", exr.strings("left", "right"))
        return [_part(frame, data, planes, extra=(views,))]

    def log(frame: int, data: Window) -> Sequence[exr.Part]:
        return one_part(frame, data, _LOG)

    def view_parts(frame: int, data: Window) -> Sequence[exr.Part]:
        made = []
        for view, scene in _STEREO.items():
            rgb, extra = scene.picture(frame, data), (headers.text("view", view),)
            made.append(_part(frame, data, half(rgb), name=f"rgba.{view}", extra=extra))
            made.append(_part(frame, data, {"Z": depth(rgb)}, name=f"depth.{view}", extra=extra))
        return made

    yield parts("stereo_one_part", "multiView: right.R, depth.left.Z in one part", one_part, scenes=_STEREO)
    yield parts("stereo_log", "the same in camera log", log, scenes=_STEREO, colour_space=_LOG)
    yield parts("stereo_parts", "a part a view, and depth as parts of their own", view_parts, scenes=_STEREO)
    yield openexr("stereo_files", "a file a view: %V", scenes=_STEREO, in_files=True)


def _metadata() -> Iterator[Sample]:
    yield openexr(
        "time", "drop frame, all flags, user bits, rational rates, key code, reel", attributes=headers.time
    )
    yield openexr(
        "camera", "standard camera and lens keys, chromaticities, matrices", attributes=headers.camera
    )
    yield openexr(
        "vendor_types", "vendors' keys of all types incl. double and unknown ones", attributes=headers.vendors
    )
    yield openexr("unicode", "text in several scripts and empty; long names", attributes=headers.unicode)
    yield openexr("latin1", "text that is not UTF-8", attributes=headers.latin1)
    yield openexr(
        "stale", "what describes the old file and must go", attributes=headers.stale, stale=headers.STALE
    )


_ODD = (0x7E00, 0x7C01, 0xFE55, 0xFDFF, 0x7C00, 0xFC00)
"""Halves: quiet and signalling NaN with payloads and signs, both infinities."""


def _values() -> Iterator[Sample]:
    def holed(rgb: Float) -> dict[str, Array]:
        planes = half(rgb)
        for channel, plane in enumerate(planes.values()):
            bits = plane.view(np.uint16)
            for i, word in enumerate(_ODD):
                bits[6, 100 + 3 * i + channel] = word  # on the wall
                bits[88 + 3 * channel, 104 + 6 * i] = word  # on the face
        return planes

    def holed_float(rgb: Float) -> dict[str, Array]:
        planes = full(rgb)
        for plane in planes.values():
            bits = plane.view(np.uint32)
            bits[6, 100:104] = (0x7FC12345, 0xFF812345, 0x7F800000, 0xFF800000)
            bits[90, 116:120] = (0x7FC12345, 0xFF812345, 0x7F800000, 0xFF800000)
            bits[8, 100:104] = (1, 0x80000001, 0x7F7FFFFF, 0x80000000)  # the least, the largest, -0
        return planes

    def every_half(rgb: Float) -> dict[str, Array]:
        words = np.arange(rgb[..., 0].size, dtype=np.uint32).astype(np.uint16).reshape(rgb.shape[:2])
        finite = np.where((words & 0x7C00) == 0x7C00, 0, words).astype(np.uint16)
        planes = half(rgb)
        face = np.isfinite(rgb[..., 0])
        face[40:150, 60:190] = False
        for plane in planes.values():
            plane.view(np.uint16)[face] = finite[face]
        return {**planes, "A": words.view(np.float16)}

    yield openexr(
        "non_finite",
        "NaN of several payloads and signs, ±Inf, on the face and off it",
        holed,
        non_finite=True,
    )
    yield openexr(
        "non_finite_float", "the same in float32, with subnormals and -0", holed_float, non_finite=True
    )
    yield openexr("every_half", "subnormals and all other finite halves around the face", every_half)


def _colour() -> Iterator[Sample]:
    yield openexr(
        "aces2065", "ACES2065-1 with its chromaticities", colour_space="ACES2065-1", attributes=_ap0
    )
    yield openexr("linear_rec709", "scene-linear Rec.709", colour_space="Linear Rec.709 (sRGB)")
    for name, space in (
        ("logc3", _LOG),
        ("logc4", "ARRI LogC4"),
        ("slog3", "S-Log3 S-Gamut3"),
    ):
        yield openexr(name, f"{space} in half", colour_space=space)


def _ap0(frame: int) -> list[bytes]:
    ap0 = (0.7347, 0.2653, 0.0, 1.0, 0.0001, -0.077, 0.32168, 0.33767)
    return [*headers.plain(frame), headers.floats("chromaticities", "chromaticities", *ap0)]


def _numbers() -> Iterator[Sample]:
    yield openexr("negative_frames", "frames below zero", numbers=(-2, -1, 0, 1))
    yield openexr("past_9999", "9999 to 10000 with four digits", numbers=(9999, 10000))
    yield openexr("every_third", "frames at a step, with nothing between", numbers=(1001, 1004, 1007))
    yield openexr("hole", "frame 1002 is not there", numbers=(1001, 1003), missing=(1002,))


_CODINGS = (
    (8, "packed"),
    (10, "a"),
    (10, "b"),
    (10, "packed"),
    (12, "a"),
    (12, "b"),
    (12, "packed"),
    (16, "a"),
)
_TRANSFERS = (("logarithmic", _LOG), ("linear", "Linear Rec.709 (sRGB)"), ("rec709", "Camera Rec.709"))


def _dpx() -> Iterator[Sample]:
    kinds = product(_CODINGS, ("big", "little"))
    for ((bits, packing), end), (transfer, space) in zip(kinds, cycle(_TRANSFERS), strict=False):
        coding = dpx.Coding(
            depth=bits, packing=packing, big=end == "big", transfer=transfer, user=b"\0\1kept\xff" * 9
        )
        how = "packed" if packing == "packed" else f"filled, method {packing.upper()}"
        words = f"DPX {bits} bits, {how}, {end} endian, {transfer}"
        yield dpx_codes(f"dpx{bits}_{packing}_{end}", words, coding, colour_space=space)


def _odd_dpx() -> Iterator[Sample]:
    yield dpx_codes("dpx_rgba", "DPX 10 bits with alpha", dpx.Coding(descriptor="rgba"), colour_space=_LOG)
    wide = Window(0, 0, 255, 191)
    yield dpx_codes(
        "dpx_odd",
        "DPX 12 bits packed, of odd size",
        dpx.Coding(depth=12, packing="packed"),
        colour_space=_LOG,
        display=wide,
        data=wide,
    )
    squeezed = Window(0, 0, 128, 192)
    yield dpx_codes(
        "dpx_anamorphic",
        "DPX with pixel aspect 2",
        dpx.Coding(aspect=2.0),
        scenes={"": Scene(aspect=2.0)},
        aspect=2.0,
        colour_space=_LOG,
        display=squeezed,
        data=squeezed,
    )


def _refused() -> Iterator[Sample]:
    window = Window(0, 0, 32, 24)
    items: dict[str, Any] = {"numbers": (1001,), "display": window, "data": window}
    small = MONO.picture(1001, window)
    red, z = small[..., 0].astype(np.float16), depth(small)

    def exr_of(planes: Mapping[str, Array]) -> bytes:
        return exr.file(exr.Part(planes=planes, data=window, display=window))

    whole = exr_of(half(small))
    ids = {c: np.full((24, 32), 7, np.uint32) for c in "RGB"}
    sampled = exr.sub_sampled(red, {"RY": red[::2, ::2], "BY": red[::2, ::2]}, window)
    yield fixed("deep", "a deep scanline image", "deep", exr.deep({**half(small), "Z": z}, window), **items)
    yield fixed("sub_sampled", "luminance and chroma at half size", "sub-sampled", sampled, **items)
    yield fixed("empty", "a file of zero bytes", "empty", b"", **items)
    yield fixed("truncated", "half of a file", "truncated", whole[: len(whole) // 2], **items)
    yield fixed("header_only", "a file that ends in its header", "truncated", whole[:100], **items)
    yield fixed("text", "a text file with an image's name", "not", b"This is no picture.\n" * 9, **items)
    yield fixed("whole_numbers", "R, G and B of type uint", "UINT", exr_of(ids), **items)
    yield fixed("no_colour", "depth alone: nothing to swap in", "no channel R", exr_of({"Z": z}), **items)
    coding = dpx.Coding(descriptor="cbycr", depth=8, packing="packed", transfer="rec709")
    yield dpx_codes("dpx_cbycr", "DPX in Y'CbCr", coding, refused="CbCr", **items)
    coding = dpx.Coding(descriptor="luma")
    yield dpx_codes(
        "dpx_luma", "DPX of luma alone: nothing to swap in", coding, refused="no channel R", **items
    )
    whole = dpx.file(np.zeros((24, 32, 3), np.uint32), dpx.Coding(), 1001, "dpx_truncated.1001.dpx")
    cut = whole[: len(whole) - 1000]
    yield fixed("dpx_truncated", "DPX without its end", "truncated", cut, extension=".dpx", **items)
