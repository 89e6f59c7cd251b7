"""A faceset: a folder of aligned faces, each an image that any host opens and that says of itself what it is.

One OpenEXR a face, half float, scene-linear in the working space; landmarks, alignment, where it comes from and how
it was made are in its header. The files are the truth: who deletes, moves or renames one has edited the faceset, and
the hidden `.index/` beside them (`index`) only saves time. Names are made so that each person is a sequence to a host:
`performer_t0.1001.exr`, `performer_t0.1002.exr`, …; of a stereo plate a sequence for each eye,
`performer_left_t0.1001.exr`. Beside the images may lie `release.json`, `extract.jsonl`, which extraction alone reads
(`journal`), `manual.json`, what a person drew (`labels/`), what a segmenter made of it (`mattes/`), and the folder
`rejected/` (`curate`). For training, all of it may be one file (`packed`).
"""

from understudy.core.faceset.record import FORMAT, FaceRecord
from understudy.core.faceset.store import RELEASE_FILE, Faceset, Track, attach_release, write

__all__ = ["FORMAT", "RELEASE_FILE", "FaceRecord", "Faceset", "Track", "attach_release", "write"]
