"""Proof on the finished frames themselves: is every promise of a merge kept, frame by frame?

Nothing is taken from the merge's memory: the output and the plate are read from disk, the plate is linearised again
where the merge had to, and the published mix rule is worked out anew, in double precision, from the layers that a
compositor will use.
"""

from understudy.core.verify.sequence import REASON, plate_of, run

__all__ = ["REASON", "plate_of", "run"]
