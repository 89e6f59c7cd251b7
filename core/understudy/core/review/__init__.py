"""Reviews: a finished sequence as a movie and a contact sheet, for people to look at.

The pictures go through a display's view of the colour config: what is in a movie is for eyes, and nothing is ever made
out of it again.
"""

from understudy.core.review.job import run
from understudy.core.review.said import Spaces, spaces_of
from understudy.core.review.settings import LAYOUTS, Layout, ReviewSettings

__all__ = ["LAYOUTS", "Layout", "ReviewSettings", "Spaces", "run", "spaces_of"]
