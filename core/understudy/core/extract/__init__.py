"""A plate becomes a faceset: find the faces of every frame, say who is who, cut them out.

Faces are looked for block by block (`walk`, `follow`), by as many hands as pay (`crew`); `job` tells who is who,
in the order of frames, and writes, with a handful of frames in memory however long the shot. Landmarks are stored as
found: smoothing is the merge's, over the whole track, so that no frame depends on which others were extracted in the
same run.

Of a stereo plate all views are extracted together: in one exposure, and a person has the same id in both eyes.
"""

from understudy.core.extract.job import run
from understudy.core.extract.people import Pick
from understudy.core.extract.settings import VERSION, ExtractSettings

__all__ = ["VERSION", "ExtractSettings", "Pick", "run"]
