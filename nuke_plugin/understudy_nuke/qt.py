"""The one place where Qt comes in: PySide6 from Nuke 16 on, PySide2 before."""

import nuke

if nuke.NUKE_VERSION_MAJOR >= 16:
    from PySide6 import QtCore, QtGui, QtWidgets
else:
    from PySide2 import QtCore, QtGui, QtWidgets

__all__ = ["QtCore", "QtGui", "QtWidgets"]
