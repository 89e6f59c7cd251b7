"""All changes of range and primaries, both directions in one file.

- **Working space**: the config's `scene_linear` role (ACEScg). Nothing is clamped on the way there or back.
- **Viewing proxy**: sRGB-encoded Rec.709 in [0, 1], for detectors and PNGs. A one-way street: only
  coordinates and mattes come out of it, never colour. So is a display's **view**, for people.
- **Swap space**: what the networks see. An analytic curve that is inverted exactly, so that highlights are
  learnt and come back instead of being clipped.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
import PyOpenColorIO as ocio  # noqa: N813  as its own documentation does

from understudy.core import _space_names
from understudy.core._primaries import Primaries, product, transformed
from understudy.core.errors import InvalidInput, NotFound
from understudy.core.frames import Float
from understudy.core.image import in_blocks

PINNED = "ocio://studio-config-v2.2.0_aces-v1.3_ocio-v2.4"
"""Our default config. Pinned, because `ocio://default` is another config in every OpenColorIO."""

MID_GREY = 0.18

_PROXY_SPACE = "sRGB - Texture"
_SHARED = "<USE_DISPLAY_NAME>"  # as OpenColorIO says that a view's space has the display's name

# what Nuke's default config calls some of the spaces that the ACES configs have under other names
_NUKE = {"linear": "lin_rec709", "srgb": "srgb_texture", "rec709": "rec709_camera"}
_NO_CINEON = (
    "the ACES configs have no Cineon curve; add it to a config of the show (docs/pipeline-td.md, film scans). ADX10 "
    "is another film density, and no stand-in"
)


class ColourConfig:
    """An OpenColorIO config and the conversions we need of it.

    Processors are made once per space and kept. They are thread-safe, and OpenColorIO's Python binding gives
    the interpreter's lock free while one works (measured with 2.6). Pickling carries the source only; the
    other side opens it again. Pixels must be finite: OpenColorIO does different things to NaN in every space
    (`image.fill_nonfinite` first).

    Nothing is clamped, but where a config itself does so. In the pinned one, codes outside of 0 to 1, which
    only a float file can have, end at 0 or 1 in Apple Log and in Canon Log 2 and 3 (tables); negative codes
    become 0 in the displays with a pure power; ACEScc, ADX10 and ADX16 hold no light below 0, and ADX16 none
    above 65504 (code 0.48). Codes of an integer file all come back, but those of ADX16.

    Attributes:
        source: what it was opened from.
        cache_id: OpenColorIO's digest of the config: same id, same numbers. Kept with every model.
        working: the name of the scene-linear working space.
    """

    def __init__(self, source: str, config: Any) -> None:
        """Use `ColourConfig.open`."""
        self.source = source
        self.cache_id: str = config.getCacheID()
        self.working: str = config.getColorSpace(ocio.ROLE_SCENE_LINEAR).getName()
        self._config = config
        self._processors: dict[tuple[str, str], Any] = {}
        self._viewers: dict[tuple[str, str], Any] = {}
        self._matrices: dict[tuple[str, str], Primaries | None] = {}

    @classmethod
    def open(cls, source: str | None = None) -> ColourConfig:
        """Open a config.

        Args:
            source: path of a config file, or `ocio://` and the name of a built-in one; None is `PINNED`.

        Raises:
            NotFound: it is not there or not a config; the message has OpenColorIO's words.
            InvalidInput: it has no `scene_linear` role, so there is no working space.
        """
        source = source or PINNED
        try:
            config = ocio.Config.CreateFromFile(source)
        except (ocio.Exception, ocio.ExceptionMissingFile) as error:
            words = " ".join(str(error).split())
            raise NotFound(
                f"colour config {source!r} can not be opened: {words}",
                path=source,
                field="colour_config",
                value=source,
            ) from error
        if not config.hasRole(ocio.ROLE_SCENE_LINEAR):
            raise InvalidInput(
                f"colour config {source!r} has no role {ocio.ROLE_SCENE_LINEAR}",
                field="colour_config",
                value=source,
            )
        return cls(source, config)

    def __reduce__(self) -> tuple[Any, ...]:
        return ColourConfig.open, (self.source,)

    def __repr__(self) -> str:
        return f"ColourConfig.open({self.source!r})"

    def names(self) -> tuple[str, ...]:
        """All colour spaces that hold colour (not data), in the config's order."""
        spaces = self._config.getColorSpaces()
        return tuple(s.getName() for s in spaces if not s.isData())

    def resolve(self, name: str, field: str = "colour_space") -> str:
        """The space's own name, for a name, alias or role in any spelling of case.

        Raises:
            InvalidInput: there is none; the message has the closest names. Or the space holds data, not
            colour.
        """
        readable = name == name.encode("utf-8", "ignore").decode()  # a header's word may not be
        space = self._config.getColorSpace(name) if readable else None
        if space is None:
            raise InvalidInput(
                f"{field}: {self.source} has no colour space {name!r}; {self._instead(name)}",
                field=field,
                value=name,
            )
        if space.isData():
            raise InvalidInput(
                f"{field}: {space.getName()!r} is for data such as normals; name the space the picture is in",
                field=field,
                value=name,
            )
        resolved: str = space.getName()
        return resolved

    def _instead(self, name: str) -> str:
        """What to say about a name that is none: likely ones, never taken without asking."""
        known = _space_names.plain(name)
        if known == "cineon":
            return _NO_CINEON
        spaces = [s for s in self._config.getColorSpaces() if not s.isData()]
        spellings = {s.getName(): [s.getName(), *s.getAliases()] for s in spaces}
        spellings.setdefault(self.working, []).append(ocio.ROLE_SCENE_LINEAR)
        close = _space_names.closest(name, spellings)
        if elsewhere := self._config.getColorSpace(_NUKE.get(known, "")):
            close = list(dict.fromkeys((elsewhere.getName(), *close)))[: _space_names.SHOWN]
        return f"did you mean {', '.join(close)}?" if close else f"it has {', '.join(self.names())}"

    def is_scene_linear(self, name: str) -> bool:
        """Is the way from this space to the working space a matrix?

        Judged by what it does to numbers, since a config may write a matrix in many ways.
        """
        primaries = np.eye(3, dtype=np.float32)[None]
        M = self.to_working(primaries, name)[0]
        probe = np.array([[[-0.5, 0.02, 0.18], [1.0, 4.0, 0.0], [16.0, 0.001, 200.0]]], np.float32)
        black = self.to_working(np.zeros((1, 1, 3), np.float32), name)
        linear = np.allclose(self.to_working(probe, name), probe @ M, rtol=1e-4, atol=1e-4)
        return bool(linear and np.allclose(black, 0.0, atol=1e-6))

    def to_working(self, rgb: Float, space: str) -> Float:
        """(H, W, 3) finite pixels of the named space → working space, not clamped. A new array."""
        return self.convert(rgb, space, self.working)

    def from_working(self, rgb: Float, space: str) -> Float:
        """(H, W, 3) finite pixels of the working space → the named space, not clamped. A new array."""
        return self.convert(rgb, self.working, space)

    def convert(self, rgb: Float, source: str, target: str) -> Float:
        """(H, W, 3) finite pixels from one named space to another, not clamped. A new array.

        Where a matrix is all that lies between them, a pixel's last bits may differ with its place in the row.
        """
        key = (self.resolve(source), self.resolve(target))
        if key[0] == key[1]:
            return rgb.astype(np.float32)
        if (matrix := self.matrix(*key)) is not None:
            return transformed(rgb, matrix)
        if key not in self._processors:
            self._processors[key] = self._config.getProcessor(*key).getDefaultCPUProcessor()
        return self._apply(self._processors[key], rgb)

    def matrix(self, source: str, target: str) -> Primaries | None:
        """(3, 3), what carries a colour of one named space to another where that is all that OpenColorIO does; else
        None.
        """
        key = (self.resolve(source), self.resolve(target))
        if key not in self._matrices:
            whole = self._config.getProcessor(*key).getOptimizedProcessor(ocio.OPTIMIZATION_DEFAULT)
            self._matrices[key] = product(whole.createGroupTransform())
        return self._matrices[key]

    def proxy(self, rgb: Float, gain: float = 1.0) -> Float:
        """(H, W, 3) scene-linear working space → viewing proxy: sRGB-encoded Rec.709, clamped to [0, 1].

        Args:
            rgb: finite pixels.
            gain: multiplies them first; one per shot (`exposure_gain`), lest the picture pumps.
        """
        shown = self._apply(self._to_proxy, rgb if gain == 1.0 else rgb * np.float32(gain))
        return np.clip(shown, 0.0, 1.0, out=shown)

    @cached_property
    def _to_proxy(self) -> Any:
        # by way of the built-in spaces, so that it works in a config that has no sRGB, or calls it something
        # else
        way = ocio.Config.GetProcessorToBuiltinColorSpace(self._config, self.working, _PROXY_SPACE)
        return way.getDefaultCPUProcessor()

    def from_srgb(self, rgb: Float) -> Float:
        """(H, W, 3) finite, sRGB-encoded Rec.709 → scene-linear working space, not clamped. A new array.

        For pictures that are made to be looked at and come without a plate; back again is `proxy`.
        """
        return self._apply(self._from_srgb, rgb)

    @cached_property
    def _from_srgb(self) -> Any:
        way = ocio.Config.GetProcessorFromBuiltinColorSpace(_PROXY_SPACE, self._config, self.working)
        return way.getDefaultCPUProcessor()

    def display_view(self, display: str = "", view: str = "") -> tuple[str, str]:
        """A display and its view as the config spells them; empty is the default. Raises InvalidInput for no such."""
        display = _space_names.one_of(
            display or self._config.getDefaultDisplay(), self._config.getDisplays(), "display"
        )
        default = self._config.getDefaultView(display)
        return display, _space_names.one_of(view or default, self._config.getViews(display), "display_view")

    def viewed(self, rgb: Float, display: str, view: str) -> Float:
        """(H, W, 3) finite, scene-linear working space → codes of a display, which some views leave beyond [0, 1]."""
        if (display, view) not in self._viewers:
            way = ocio.DisplayViewTransform(src=self.working, display=display, view=view)
            self._viewers[display, view] = self._config.getProcessor(way).getDefaultCPUProcessor()
        return self._apply(self._viewers[display, view], rgb)

    def screen(self, display: str, view: str) -> tuple[str, ...]:
        """The names, aliases too, of the colour space that the codes of a view are in; none where it is data."""
        name = self._config.getDisplayViewColorSpaceName(display, view)
        space = self._config.getColorSpace(display if name == _SHARED else name)
        return () if space is None or space.isData() else (space.getName(), *space.getAliases())

    @staticmethod
    def _apply(processor: Any, rgb: Float) -> Float:
        # four channels, because OpenColorIO's three-channel path is three to seventeen times slower; and a
        # copy, because it writes into what it is given, even into an array that is marked as read-only
        if not rgb.size:
            return np.zeros(rgb.shape, np.float32)
        rgba = cv2.cvtColor(np.asarray(rgb, np.float32), cv2.COLOR_RGB2RGBA)
        processor.applyRGBA(rgba)
        return np.asarray(cv2.cvtColor(rgba, cv2.COLOR_RGBA2RGB), np.float32)


def exposure_gain(log_means: Sequence[float]) -> float:
    """One gain for a shot, that brings the face to mid grey (0.18) on its middle frame.

    The median over the frames, so that a flash or a few frames of a wrong detection do not move it; to be
    found once for the whole shot and stored, never per frame or per chunk.

    Args:
        log_means: per frame, the mean natural logarithm of the face's luminance (`image.log_mean`).

    Raises:
        InvalidInput: there is none, or one is not finite.
    """
    if not log_means or not all(map(math.isfinite, log_means)):
        raise InvalidInput(
            f"exposure: no finite log mean in {log_means!r}", field="log_means", value=log_means
        )
    return MID_GREY / math.exp(statistics.median(log_means))


# sRGB's encoding (IEC 61966-2-1) from its exponent and offset, with the join of line and power where value
# and slope both meet; the standard's rounded 12.92 and 0.0031308 leave a kink of 2 % there, and differ by
# 1e-5 at most
SRGB_POWER, SRGB_OFFSET = 2.4, 0.055
SRGB_TOE_CODE = SRGB_OFFSET / (SRGB_POWER - 1)
SRGB_TOE_SLOPE = ((1 + SRGB_OFFSET) / SRGB_POWER) ** SRGB_POWER * ((SRGB_POWER - 1) / SRGB_OFFSET) ** (
    SRGB_POWER - 1
)
SRGB_TOE = SRGB_TOE_CODE / SRGB_TOE_SLOPE
TOP = 63.0 / 64.0
"""Code of the curve's maximum: below 1, so that a sigmoid can reach it."""

_NOTHING = np.float32(0.0)
_TOE, _TOE_CODE = np.full(1, SRGB_TOE, np.float32), np.full(1, SRGB_TOE_CODE, np.float32)


def _power(x: Float) -> Float:
    """sRGB's encoding above its toe."""
    code: Float = np.power(x, np.float32(1 / SRGB_POWER))
    code *= np.float32(1 + SRGB_OFFSET)
    code -= np.float32(SRGB_OFFSET)
    return code


def _root(code: Float) -> Float:
    """The way back."""
    x: Float = code + np.float32(SRGB_OFFSET)
    x /= np.float32(1 + SRGB_OFFSET)
    np.power(x, np.float32(SRGB_POWER), out=x)
    return x


@dataclass(frozen=True)
class SwapCurve:
    """The curve between the working space and the numbers a swap network sees, inverted in closed form.

    For a value v of any channel and x = v · gain:

        |x| ≤ k:   sRGB's encoding, linear at the bottom          (k: where it reaches the code `knee`)
        |x| > k:   knee + a · log(1 + (|x| − k) / b)              up to code 63/64 at |x| = maximum

    a / b is sRGB's slope at k, so the curve has no kink. It is odd: a negative value has the code of its
    magnitude with the sign, so small negatives (grain in black, wide-gamut colours) survive, down to
    −maximum. Beyond ±maximum the code stays at ±63/64. All in the working space's own primaries, in which a
    real camera's colours are nearly always positive.

    Attributes:
        gain: of the shot (`exposure_gain`).
        knee: code where the shoulder begins, 0.1 to 0.95.
        maximum: the largest |v · gain| that comes back, at least 4.
    """

    gain: float
    knee: float = 0.8
    maximum: float = 64.0

    def __post_init__(self) -> None:
        limits = {"gain": (2.0**-24, 2.0**24), "knee": (0.1, 0.95), "maximum": (4.0, 65504.0)}
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not (isinstance(value, (int, float)) and low <= value <= high):
                raise InvalidInput(
                    f"swap curve: {name} {value!r} is not from {low:g} to {high:g}", field=name, value=value
                )

    @cached_property
    def shoulder(self) -> tuple[float, float, float]:
        """k, a and b of the class's formula; b by bisection, since the top's equation has no closed form."""
        k = ((self.knee + SRGB_OFFSET) / (1 + SRGB_OFFSET)) ** SRGB_POWER
        slope = (1 + SRGB_OFFSET) / SRGB_POWER * k ** (1 / SRGB_POWER - 1)
        span, rise = self.maximum - k, (TOP - self.knee) / slope
        low, high = 1e-12, 1e12
        for _ in range(200):  # b · log(1 + span / b) grows with b
            b = math.sqrt(low * high)
            low, high = (b, high) if b * math.log1p(span / b) < rise else (low, b)
        return k, slope * b, b

    def encode(self, rgb: Float) -> Float:
        """(…, 3) finite, working space → codes in [−63/64, 63/64], negative only where `rgb` is."""
        return in_blocks(self._encode, rgb)

    def _encode(self, rgb: Float) -> Float:
        k, a, b = self.shoulder
        x: Float = rgb * np.float32(self.gain)
        is_signed = bool(x.min(initial=0.0) < 0.0)
        # NumPy clips in less than half the time of a minimum with a number, or of a sign
        np.clip(np.abs(x, out=x) if is_signed else x, _NOTHING, np.float32(self.maximum), out=x)
        # each part stands still beyond its own range: a sum takes a fifth of the time of a choice by pixel
        code: Float = np.clip(x, _NOTHING, _TOE)
        code *= np.float32(SRGB_TOE_SLOPE)
        power = _power(np.clip(x, _TOE, np.float32(k)))
        power -= _power(_TOE)
        code += power
        if float(x.max(initial=0.0)) > k:
            np.clip(x, np.float32(k), np.float32(self.maximum), out=x)
            x -= np.float32(k)
            x /= np.float32(b)
            np.log1p(x, out=x)
            x *= np.float32(a)
            code += x
        return np.copysign(code, rgb, out=code) if is_signed else code

    def decode(self, code: Float) -> Float:
        """Codes → (…, 3) scene-linear working space; codes beyond ±63/64 count as ±63/64."""
        return in_blocks(self._decode, code)

    def _decode(self, code: Float) -> Float:
        _, a, b = self.shoulder
        is_signed = bool(code.min(initial=0.0) < 0.0)
        y: Float = np.clip(np.abs(code) if is_signed else code, _NOTHING, np.float32(TOP))
        x: Float = np.clip(y, _NOTHING, _TOE_CODE)
        x /= np.float32(SRGB_TOE_SLOPE)
        root = _root(np.clip(y, _TOE_CODE, np.float32(self.knee)))
        root -= _root(_TOE_CODE)
        x += root
        if float(y.max(initial=0.0)) > self.knee:
            np.clip(y, np.float32(self.knee), np.float32(TOP), out=y)
            y -= np.float32(self.knee)
            y /= np.float32(a)
            np.expm1(y, out=y)
            y *= np.float32(b)
            x += y
        x /= np.float32(self.gain)
        return np.copysign(x, code, out=x) if is_signed else x

    def to_dict(self) -> dict[str, float]:
        """For the model file and the frame header."""
        return {"gain": self.gain, "knee": self.knee, "maximum": self.maximum}

    @classmethod
    def from_dict(cls, values: Mapping[str, float]) -> SwapCurve:
        """The inverse of `to_dict`.

        Raises:
            InvalidInput: an entry is unknown, missing or out of range.
        """
        if set(values) - {"gain", "knee", "maximum"} or "gain" not in values:
            raise InvalidInput(
                f"swap curve: {dict(values)!r} is not gain, knee and maximum",
                field="curve",
                value=dict(values),
            )
        return cls(**values)
