"""Where a crop lies on the plate: similarity alignment of 68 landmarks, and the head's pose.

The geometry is DeepFaceLab's (facelib/LandmarksProcessor.py), so that its facesets and models fit ours. Its steps
come down to one similarity and one square: landmarks 17-48 and 54 are fitted to a mean frontal face drawn in the
unit square (Umeyama 1991), and the crop is an upright square in that unit space; or in the picture, for the types
that do not turn with the face.

Fitting happens in *square* space (plate x times pixel aspect): an anamorphic face is un-squeezed before it is
measured, and the squeeze is folded into the matrix.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from understudy.core.errors import InvalidInput
from understudy.core.face import Alignment, Matrix

Points = npt.NDArray[np.floating]

# fmt: off
# Mean face in the unit square, landmarks 17…48 then 54.
_TEMPLATE = np.array([
    (.000213256, .106454), (.0752622, .038915), (.18113, .0187482), (.29077, .0344891), (.393397, .0773906),
    (.586856, .0773906), (.689483, .0344891), (.799124, .0187482), (.904991, .038915), (.98004, .106454),
    (.490127, .203352), (.490127, .307009), (.490127, .409805), (.490127, .515625),
    (.36688, .587326), (.426036, .609345), (.490127, .628106), (.554217, .609345), (.613373, .587326),
    (.121737, .216423), (.187122, .178758), (.265825, .179852), (.334606, .231733), (.260918, .245099),
    (.182743, .244077),
    (.645647, .231733), (.714428, .179852), (.793132, .178758), (.858516, .216423), (.79751, .244077),
    (.719335, .245099),
    (.254149, .780233), (.726104, .780233),
])
_TEMPLATE_OF_68 = np.array([*range(17, 49), 54])

# A head in millimetres, x to the right of the picture, y down, z away from the camera: landmarks 0…26, 30…35.
_HEAD = np.array([
    (-73.393523, -29.801432, 47.667532), (-72.775014, -10.949766, 45.909403), (-70.533638, 7.929818, 44.84258),
    (-66.850058, 26.07428, 43.141114), (-59.790187, 42.56439, 38.635298), (-48.368973, 56.48108, 30.750622),
    (-34.121101, 67.246992, 18.456453), (-17.875411, 75.056892, 3.609035), (.098749, 77.061286, -.881698),
    (17.477031, 74.758448, 5.181201), (32.648966, 66.929021, 19.176563), (46.372358, 56.311389, 30.77057),
    (57.34348, 42.419126, 37.628629), (64.388482, 25.45588, 40.886309), (68.212038, 6.990805, 42.281449),
    (70.486405, -11.666193, 44.142567), (71.375822, -30.365191, 47.140426),
    (-61.119406, -49.361602, 14.254422), (-51.287588, -58.769795, 7.268147), (-37.8048, -61.996155, .442051),
    (-24.022754, -61.033399, -6.606501), (-11.635713, -56.686759, -11.967398),
    (12.056636, -57.391033, -12.051204), (25.106256, -61.902186, -7.315098), (38.338588, -62.777713, -1.022953),
    (51.191007, -59.302347, 5.349435), (60.053851, -50.190255, 11.615746),
    (1.226783, -8.414541, -36.94806), (-14.772472, 2.598255, -20.132003), (-7.180239, 4.751589, -23.536684),
    (.55592, 6.5629, -25.944448), (8.272499, 4.661005, -23.695741), (15.214351, 2.643046, -20.858157),
])
_HEAD_OF_68 = np.array([*range(27), *range(30, 36)])
# fmt: on
_TEMPLATE_MM = 124.0  # the mean face's unit on that head

# That head looks up when its axes are level: a face that looks ahead is told to look down. On 77 pictures of six
# people (the shared footage and the two portraits of `bench`, default networks) FSA-Net, which learnt from dense fits
# of a head, reads 2° to 11° more, 6° in the mean of the people. The mean face above reads −11°.
_LEVEL = math.radians(6.0)
_LEVELLED = _HEAD @ np.array(
    [(1.0, 0.0, 0.0), (0.0, math.cos(_LEVEL), math.sin(_LEVEL)), (0.0, -math.sin(_LEVEL), math.cos(_LEVEL))]
)


@dataclass(frozen=True)
class FaceType:
    """How much around the face a crop holds, in units of the mean face.

    Attributes:
        padding: DeepFaceLab's padding number; the crop's side is 1 + 2·√2·padding.
        lift: how far the crop's centre moves up towards the forehead.
        follow_yaw: whether the centre follows a turned head sideways, so that the back of the head stays inside.
        turned: whether the crop leans as the face does; else its edges run along those of the (un-squeezed) plate.
            Such crops are for looking at: a model has to see all faces upright.
    """

    padding: float
    lift: float = 0.0
    follow_yaw: bool = False
    turned: bool = True

    @property
    def side(self) -> float:
        return 1.0 + 2.0 * math.sqrt(2.0) * self.padding


FACE_TYPES: dict[str, FaceType] = {
    "half": FaceType(0.0),
    "mid_full": FaceType(0.0675),
    "full": FaceType(0.2109375),
    "whole": FaceType(0.40, lift=0.07),
    "head": FaceType(0.70, lift=0.5, follow_yaw=True),
    "full_no_align": FaceType(0.2109375, turned=False),
    "head_no_align": FaceType(0.70, turned=False),  # nor does it move: DeepFaceLab lifts `head` only
}

MODEL_TYPES = tuple(name for name, kind in FACE_TYPES.items() if kind.turned)
"""The face types that a model can be trained on."""


def umeyama(source: Points, target: Points) -> Matrix:
    """The similarity (2, 3) that carries `source` (N, 2) onto `target` (N, 2) with the least squared error.

    Rotation, uniform scale and shift, never a mirror image. Umeyama, "Least-squares estimation of transformation
    parameters between two point patterns", PAMI 1991.

    Raises:
        InvalidInput: points that are not finite, or all in one place.
    """
    source, target = np.asarray(source, np.float64), np.asarray(target, np.float64)
    if not np.isfinite(source).all() or np.ptp(source, axis=0).max() == 0.0:
        raise InvalidInput("landmarks: points are not finite, or all lie in one place", field="landmarks")
    mean_s, mean_t = source.mean(0), target.mean(0)
    s, t = source - mean_s, target - mean_t
    u, d, vt = np.linalg.svd(t.T @ s / len(s))
    sign = np.array([1.0, np.sign(np.linalg.det(u) * np.linalg.det(vt))])
    linear = (u * sign) @ vt * (d @ sign) / s.var(axis=0).sum()
    return np.column_stack([linear, mean_t - linear @ mean_s])


def fit(
    landmarks: Points, face_type: str, size: int, pixel_aspect: float = 1.0, scale: float = 1.0
) -> Alignment:
    """The crop of `size`×`size` aligned pixels around a face whose 68 landmarks (68, 2) are in plate pixels.

    `scale` > 1 makes the face larger in the crop. The matrix is a similarity between square and aligned space.

    Raises:
        InvalidInput: unknown face type, a size below 1, landmarks of another count, degenerate or not finite.
    """
    if face_type not in FACE_TYPES:
        raise InvalidInput(
            f"face_type: no {face_type!r}; there are {', '.join(FACE_TYPES)}",
            field="face_type",
            value=face_type,
        )
    if size < 1 or scale <= 0.0 or pixel_aspect <= 0.0:
        raise InvalidInput(
            f"alignment: size {size}, scale {scale} and pixel aspect {pixel_aspect} must be above 0",
            field="size",
        )
    points = _square(landmarks, pixel_aspect)
    unit = umeyama(points[_TEMPLATE_OF_68], _TEMPLATE)  # square → unit
    kind = FACE_TYPES[face_type]
    yaw = _damped(averaged_yaw(points @ unit[:, :2].T)) if kind.follow_yaw else 0.0
    middle = np.array([0.5 - yaw / 2.0, 0.5 - kind.lift])
    zoom = size * scale / kind.side
    linear = (unit[:, :2] if kind.turned else np.eye(2) * math.sqrt(np.linalg.det(unit[:, :2]))) * zoom
    middle = np.linalg.solve(unit[:, :2], middle - unit[:, 2])  # unit → square
    matrix = np.column_stack([linear, size / 2.0 - linear @ middle])
    matrix[:, 0] *= pixel_aspect
    return Alignment(matrix=matrix, size=size, face_type=face_type)


def rect_from_landmarks(landmarks: Points, pixel_aspect: float = 1.0) -> tuple[float, float, float, float]:
    """The box x0, y0, x1, y1 in plate pixels of a face of which only the 68 landmarks (68, 2) are known.

    The square of `full_no_align`, as DeepFaceLab has it: from the crop's point (0, 0) to (255, 255) of 256.

    Raises:
        InvalidInput: as `fit`.
    """
    crop = fit(landmarks, "full_no_align", 256, pixel_aspect)
    inverse = crop.inverse
    x0, y0 = inverse[:, 2].tolist()
    x1, y1 = (inverse @ (255.0, 255.0, 1.0)).tolist()
    return x0, y0, x1, y1


def pose(
    landmarks: Points, focal: float, centre: tuple[float, float] | None = None, pixel_aspect: float = 1.0
) -> tuple[float, float, float]:
    """Pitch, yaw and roll in degrees (signs as in `face.Face`) of a face with 68 landmarks (68, 2), plate pixels.

    Right at any roll: the face is set upright before it is solved, so an upside-down head differs in its roll only.
    Pitch lies within ±90, so that a head turned beyond its profile has a yaw beyond 90 instead of standing on its
    head; yaw and roll within ±180. Always finite: points in which the solver finds no head (a landmarker's guesses on
    what is none) give the angles of a face that looks ahead, leaning as they lie.

    Args:
        landmarks: (68, 2) in plate pixels; they may lie outside the picture.
        focal: the camera's focal length in (square) pixels; picture width × focal mm / sensor width mm.
        centre: principal point. None takes the landmarks' own middle: the pose is then as seen along the ray to
            the face, which is what two pictures of equal look share wherever the face stands in the frame.
        pixel_aspect: width over height of a plate pixel.

    Raises:
        InvalidInput: not 68 points, not finite ones, or all in one place; a focal length not above 0.
    """
    if not focal > 0.0:
        raise InvalidInput(f"pose: focal length {focal} is not above 0", field="focal", value=focal)
    points = _square(landmarks, pixel_aspect)
    principal = points.mean(axis=0) if centre is None else np.array((centre[0] * pixel_aspect, centre[1]))
    pitch, yaw, roll = np.degrees(_euler(_turn(points - principal, focal, _LEVELLED))).tolist()
    if abs(pitch) > 90.0:  # the same turn, told as a head turns that has a neck
        pitch, yaw, roll = pitch - math.copysign(180.0, pitch), 180.0 - yaw, roll - 180.0
    return -pitch, (180.0 - yaw) % 360.0 - 180.0, (roll + 180.0) % 360.0 - 180.0


def dfl_pose(aligned: Points, size: int) -> tuple[float, float, float]:
    """Pitch, yaw and roll in radians as DeepFaceLab tells them of landmarks (68, 2) in a crop of `size`, aligned px.

    What its sorts, its bins of yaw and its facesets go by. It differs from `pose` in this: the crop stands in for the
    picture, so that the focal length is the crop's side, the face type changes the perspective, and the roll is near 0
    because the crop has been turned already; yaw is positive to the *left* of the picture; each angle is held within
    ±π/2; and the head is not levelled, so that a face looking ahead has a pitch of about −0.1.

    Raises:
        InvalidInput: as `pose`.
    """
    points = _square(aligned, 1.0)
    pitch, yaw, roll = np.clip(
        _euler(_turn(points - size / 2.0, float(size), _HEAD)), -math.pi / 2.0, math.pi / 2.0
    )
    return -float(pitch), float(yaw), float(roll)


def _turn(
    points: npt.NDArray[np.float64], focal: float, head: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """The rotation (3, 3) of the head whose 68 landmarks lie at `points`, pixels from the principal point.

    The solver starts from a head that looks ahead, at the size and lean of the mean face. Without a start it would
    take one from a linear solution, which noise may mirror or put behind the camera.
    """
    unit = umeyama(points[_TEMPLATE_OF_68], _TEMPLATE)[:, :2]
    upright = unit / math.sqrt(max(np.linalg.det(unit), 1e-30))
    seen = points[_HEAD_OF_68] @ upright.T
    camera = np.array([[focal, 0.0, 0.0], [0.0, focal, 0.0], [0.0, 0.0, 1.0]])
    far = focal * _TEMPLATE_MM * math.sqrt(max(np.linalg.det(unit), 1e-30))
    shift = np.array([*(seen.mean(axis=0) * far / focal), far])
    _, found, _ = cv2.solvePnP(
        head, seen, camera, None, np.zeros(3), shift, useExtrinsicGuess=True, flags=cv2.SOLVEPNP_ITERATIVE
    )
    turn = cv2.Rodrigues(found)[0] if np.isfinite(found).all() else np.eye(3)
    turn[:2] = upright.T @ turn[:2]
    return np.asarray(turn, np.float64)


def _euler(turn: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Radians about x, y and z, of a turn that is Rz·Ry·Rx."""
    (a, _, _), (b, _, _), (c, d, e) = turn
    return np.array([math.atan2(d, e), math.atan2(-c, math.hypot(a, b)), math.atan2(b, a)])


def _square(landmarks: Points, pixel_aspect: float) -> npt.NDArray[np.float64]:
    """Plate → square pixels, checked."""
    points = np.asarray(landmarks, np.float64)
    if points.shape != (68, 2):
        raise InvalidInput(f"landmarks: expected 68 points, got shape {points.shape}", field="landmarks")
    return points * (pixel_aspect, 1.0)


def averaged_yaw(points: npt.NDArray[np.float64]) -> float:
    """How far the nose is off the middle between the edges of the face, of landmarks (68, 2) in unit space.

    Positive to the right of the picture; DeepFaceLab's measure with the other sign.
    """
    nose, left, right = points[27:30, 0], points[0:3, 0], points[[16, 15, 14], 0]
    return float(np.mean(nose - left) + np.mean(nose - right))


def _damped(yaw: float) -> float:
    """Nothing where the head looks ahead, so that noise does not move the crop."""
    return yaw * abs(math.tanh(2.0 * yaw))
