"""What is done to a face that is on the plate already: pure functions on pixels, each by itself, in any order.

The order that makes sense of them: `extend` and `place` (before the warp), `denoise`, `relight`, `sharpen` or
`degrade`, then the blend, then `motion` with the matte, and `grain` last, for a camera sees all else before its own
noise. `measure` tells what grain there is.

Unless a function says otherwise, pictures are (H, W, 3) float32, scene-linear in the working space, may exceed 1 and
be negative; lengths are pixels of the picture that is given; nothing is clipped. Pixels that are not finite are filled
from their neighbours first, so that none spreads. What is asked for in no amount gives back the picture as it came.
"""
