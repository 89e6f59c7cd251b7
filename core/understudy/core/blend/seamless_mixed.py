"""As `seamless`, but of face and plate the stronger gradients win: the plate's stubble, strands of hair and wrinkles
stay where the face is smooth. For mattes that reach into hair; a plate's edge of jaw or nose shows through as well.

Which is stronger, Pérez, Gangnet and Blake (SIGGRAPH 2003, equation 12) ask of each gradient for itself. An edge that
both pictures have, a pixel apart or softer in one, is then taken twice, and in a logarithm twice is a factor: a glint
of 150 came out at 33,000. Here it is asked of a neighbourhood, as pyramids are fused by local energy (Burt and
Kolczynski, "Enhanced Image Capture through Fusion", ICCV 1993): one feature comes from one picture, whole.

Where neighbourhoods do not add up either, as between two glints side by side, there is a bound: nothing becomes more
than a stop brighter, or darker, than both the plate and what `seamless` has there, nor runs away as there.
"""

from __future__ import annotations

import cv2
import numpy as np

from understudy.core.blend import Wants, _light, _poisson, seamless
from understudy.core.frames import Array, Float

WANTS = Wants(whole=True)
_AROUND = 2.0  # plate px, deviation of the neighbourhood: what an edge moves by when a face is resampled


def finish(plate: Float, face: Float, matte: Float) -> Float:
    """The face with the plate's stronger gradients, meeting the plate all around the matte."""
    return seamless.clone(plate, face, matte, _correction)


def _correction(free: _light.Mask, known: _light.Mask, code: Float, plates: Float) -> Float:
    difference = plates - code
    plain = seamless.solution(free, code, plates)
    mixed = _poisson.solve(free, difference, _divergence(known, code, plates))
    above = mixed - np.maximum(plain, difference)
    below = np.minimum(plain, difference) - mixed
    mixed += seamless.beyond(below) - seamless.beyond(above)
    return seamless.held(mixed, free, code, plates, plain)


def _divergence(known: _light.Mask, code: Float, plates: Float) -> Float:
    """(h, w, 3) at each pixel the sum, over its neighbours, of what the plate's step is beyond the face's, where the
    plate is the stronger; in all channels alike, so that no colour gets an edge of its own.
    """
    own, theirs = (tuple(np.diff(each, axis=axis) for axis in (0, 1)) for each in (code, plates))
    both = (known[1:] & known[:-1], known[:, 1:] & known[:, :-1])
    theirs = tuple(np.where(b[..., None], t, o) for b, t, o in zip(both, theirs, own, strict=True))
    lead = _energy(theirs) - _energy(own)
    leads = (lead[1:] + lead[:-1], lead[:, 1:] + lead[:, :-1])
    total = np.zeros_like(code)
    for axis in (0, 1):
        beyond = np.where(leads[axis][..., None] > 0.0, theirs[axis] - own[axis], np.float32(0.0))
        before, after = ([(0, 0), (0, 0), (0, 0)] for _ in range(2))
        before[axis], after[axis] = (1, 0), (0, 1)
        total += np.pad(beyond, after) - np.pad(beyond, before)
    return total


def _energy(steps: tuple[Array, ...]) -> Array:
    """(h, w): the sum of all squared steps (h − 1, w, 3) and (h, w − 1, 3) around a pixel."""
    down, across = (np.square(step).sum(axis=-1) for step in steps)
    energy = np.pad(down, ((1, 0), (0, 0))) + np.pad(down, ((0, 1), (0, 0)))
    energy += np.pad(across, ((0, 0), (1, 0))) + np.pad(across, ((0, 0), (0, 1)))
    return np.asarray(cv2.GaussianBlur(energy, (0, 0), _AROUND))
