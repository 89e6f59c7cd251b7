"""DFM, the file that DeepFaceLive runs: ONNX of opset 12 with DeepFaceLab's names and layout.

`in_face:0` (N, S, S, 3) goes in; `out_face_mask:0` (dst's own matte), `out_celeb_face:0` and `out_celeb_face_mask:0`
(N, S, S, 1, 3 and 1) come out: BGR from 0 to 1, as a screen shows it (DeepFaceLab, Model_SAEHD/Model.py:700-750).

DeepFaceLive shows sRGB codes. A model that learnt in swap space gets them converted on the way in and out, inside of
the file: sRGB to the working space, the swap curve with one fixed gain, and back. A model that came from DeepFaceLab
and was not trained since learnt such codes, so for that one nothing is converted.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from understudy.core.colour import ColourConfig
from understudy.core.model.exchange import onnx
from understudy.core.model.exchange.settings import same_space
from understudy.core.model.exchange.wrapped import (
    DeepFaceLive,
    Display,
    Exported,
    card_of,
    crops,
    curve_of,
    swap_of,
)
from understudy.core.model.swap import SwapModel

OPSET = 12
PORTS = onnx.Ports(
    input="in_face:0", outputs=("out_face_mask:0", "out_celeb_face:0", "out_celeb_face_mask:0")
)


def export(
    model: SwapModel,
    path: Path,
    *,
    colour: ColourConfig | None = None,
    gain: float = 1.0,
    half: bool = False,
    back: bool = False,
    said: Mapping[str, Any] | None = None,
) -> Exported:
    """Write the model for DeepFaceLive.

    Args:
        path: of the file, which DeepFaceLive expects to end in `.dfm`; replaced if it is there.
        colour: in which the model was trained. Not needed for one that learnt display codes.
        gain: brings a face as shown to mid grey; what `exposure_gain` gives for a shot.
        half: weights and arithmetic in float16.
        back: src goes in and dst's face comes out.
        said: the options, for the card.

    Raises:
        InvalidInput: `colour` lacks or is another, or the gain is out of range; and as `onnx.export`.
        ModelInvalid, DiskFull, WriteFailed: as `onnx.export`.
    """
    module = DeepFaceLive(swap_of(model, half=half, back=back), _display(model, colour, gain)).eval()
    tried = crops(model, 3).permute(0, 2, 3, 1).contiguous()
    facts = card_of(model, export=said)
    return onnx.write(module, tried, path, PORTS, facts, options=model.config.options, opset=OPSET, half=half)


def _display(model: SwapModel, colour: ColourConfig | None, gain: float) -> Display | None:
    same_space(model.state, colour.working if colour is not None else None)
    if colour is None or not model.state.working_space:
        return None
    return Display(curve_of(model, gain), colour)
