"""What the fake remembers: one script, its undo log, its callbacks, its main thread and what is queued for it."""

from __future__ import annotations

import functools
import queue
import threading
import time
from typing import Any, Callable, Dict, List, Tuple

MAIN = threading.get_ident()  # the thread that imports the module, as in Nuke

Work = Tuple[Callable[..., Any], Tuple[Any, ...], Dict[str, Any]]
Step = List[Callable[[], None]]


class State:
    """Of the whole program.

    Attributes:
        groups: the groups that are open for new nodes, the root first.
        this: node and knob that a callback or a button is about, innermost last.
        messages: what was shown to a person.
        tasks: all progress bars that there were.
    """

    def __init__(self) -> None:
        self.groups: List[Any] = []
        self.this: List[Tuple[Any, Any]] = []
        self.messages: List[str] = []
        self.tasks: List[Any] = []
        self.callbacks: Dict[str, List[Tuple[Any, ...]]] = {}
        self.layers: Dict[str, List[str]] = {
            "rgba": ["rgba.red", "rgba.green", "rgba.blue", "rgba.alpha"],
            "depth": ["depth.Z"],
            "forward": ["forward.u", "forward.v"],
        }
        self.format = (2048, 1556)  # of the script: Nuke's own default
        self.queue: "queue.Queue[Work]" = queue.Queue()
        self.undo = UndoLog()
        self.menus: Dict[str, Any] = {}
        self.panels: List[Any] = []  # of nukescripts, that were opened
        self.renderer: Any = None  # what `execute` calls; a test's own
        self.reader: Any = None  # gives the metadata of a Read's frame; a test's own
        self.colourspaces = ["default", "linear", "sRGB", "ACES - ACEScg", "ACEScg", "scene_linear (ACEScg)"]


class UndoLog:
    """Steps that can be taken back. What is done outside `begin` and `end` is a step of its own."""

    def __init__(self) -> None:
        self.steps: List[Tuple[str, Step]] = []
        self.redone: List[Tuple[str, Step]] = []
        self._depth, self._name, self._open, self._off = 0, "", [], 0  # type: int, str, Step, int

    def begin(self, name: str = "") -> None:
        if not self._depth:
            self._name = name
        self._depth += 1

    def end(self) -> None:
        assert self._depth, "Undo.end without begin"
        self._depth -= 1
        if not self._depth and self._open:
            self.steps.append((self._name, self._open))
            self._open = []

    def record(self, inverse: Callable[[], None]) -> None:
        if self._off:
            return
        if self._depth:
            self._open.append(inverse)
        else:
            self.steps.append(("", [inverse]))

    def disable(self) -> None:
        self._off += 1

    def enable(self) -> None:
        self._off -= 1

    def undo(self) -> None:
        _, step = self.steps.pop()
        self.disable()
        try:
            for inverse in reversed(step):
                inverse()
        finally:
            self.enable()


state = State()


def check_thread(what: str) -> None:
    """Nuke's own calls belong to its main thread."""
    assert threading.get_ident() == MAIN, f"{what} was called on {threading.current_thread().name}"


def on_main(kind: Any) -> Any:
    """Every public method of the class asserts that it is called on the main thread."""
    for name, member in list(vars(kind).items()):
        if callable(member) and (not name.startswith("_") or name == "__getitem__"):
            setattr(kind, name, _guarded(member, f"{kind.__name__}.{name}"))
    return kind


def _guarded(method: Any, what: str) -> Any:
    @functools.wraps(method)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        check_thread(what)
        return method(*args, **kwargs)

    return guarded


def serve(until: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Nuke's event loop, for a test: does what is queued for the main thread until the answer is true; gives it.

    The longest that one piece of work took is kept in `serve.longest`.
    """
    check_thread("serve")
    end = time.monotonic() + seconds
    while True:
        try:
            call, args, kwargs = state.queue.get(timeout=0.02)
        except queue.Empty:
            pass
        else:
            begun = time.thread_time()
            call(*args, **kwargs)
            serve.longest = max(serve.longest, time.thread_time() - begun)  # type: ignore[attr-defined]
        answer = until()
        if answer:
            return answer
        assert time.monotonic() < end, f"not within {seconds:.0f} s"


serve.longest = 0.0  # type: ignore[attr-defined]


def run_callbacks(event: str, node: Any = None, knob: Any = None) -> None:
    """Those of an event; for a node, of its class alone."""
    for call, args, kwargs, of_class, of_node in list(state.callbacks.get(event, [])):
        if node is not None and of_class not in ("*", node.Class()):
            continue
        if of_node is not None and of_node is not node:
            continue
        state.this.append((node, knob))
        try:
            call(*args, **kwargs)
        finally:
            state.this.pop()
