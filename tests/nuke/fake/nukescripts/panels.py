"""Panels made of Qt widgets: the widget is named as text, and evaluated when its panel opens."""

import nuke

fake = nuke._fake  # type: ignore[attr-defined]

__all__ = ["PythonPanel", "registerWidgetAsPanel"]


class PythonPanel:
    """A panel that holds one widget; attribute `widget`, once it is in a pane."""

    def __init__(self, widget, name, id):
        self.expression, self.name, self.id, self.widget = widget, name, id, None

    def addToPane(self, pane=None):
        fake.check_thread("addToPane")
        self.widget = eval(self.expression, {})()
        fake.state.panels.append(self)
        self.widget.show()
        return pane


def registerWidgetAsPanel(widget, name, id, create=False):
    """Adds it to the menu of panes; gives a panel where one is to be made."""
    nuke.menu("Pane").addCommand(name, lambda: PythonPanel(widget, name, id).addToPane())
    return PythonPanel(widget, name, id) if create else None
