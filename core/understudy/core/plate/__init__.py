"""Plates: OpenEXR and DPX sequences on disk; what we do not touch keeps its bits."""

from understudy.core.plate.find import Plate, find, refuse_other_padding, views_of
from understudy.core.plate.header import LOSSLESS, Header
from understudy.core.plate.hints import guess_colour_space
from understudy.core.plate.ingest import PLATE_SPACE, ingest
from understudy.core.plate.metadata import COLOUR_KEY, Typed
from understudy.core.plate.read import EXTENSIONS, read, read_file, read_header
from understudy.core.plate.template import Template
from understudy.core.plate.timing import KEYCODE_KEY, RATE_KEY, TIMECODE_KEY, Timecode, rate, rate_entry
from understudy.core.plate.write import write

__all__ = [
    "COLOUR_KEY",
    "EXTENSIONS",
    "KEYCODE_KEY",
    "LOSSLESS",
    "PLATE_SPACE",
    "RATE_KEY",
    "TIMECODE_KEY",
    "Header",
    "Plate",
    "Template",
    "Timecode",
    "Typed",
    "find",
    "guess_colour_space",
    "ingest",
    "rate",
    "rate_entry",
    "read",
    "read_file",
    "read_header",
    "refuse_other_padding",
    "views_of",
    "write",
]
