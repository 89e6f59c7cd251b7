"""Facesets of DeepFaceLab: imported with every field, exported so that it reads them.

Their metadata are Python pickles, which are read without running anything (`pickles`).
"""

from understudy.core.faceset.dfl.exporting import ExportSettings, export
from understudy.core.faceset.dfl.importing import ImportSettings, import_

__all__ = ["ExportSettings", "ImportSettings", "export", "import_"]
