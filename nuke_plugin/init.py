"""Runs in every mode of Nuke, `nuke -t` and farms included: makes `understudy_nuke` importable and does nothing else.

Where two releases lie on NUKE_PATH, Python finds the first; the others stay silent (see menu.py).
"""

import os
import sys

_folder = os.path.dirname(os.path.abspath(__file__))
if _folder not in sys.path:
    sys.path.append(_folder)
