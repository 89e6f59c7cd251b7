"""Networks in TensorFlow Lite's format, run on the CPU by ai-edge-litert."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from understudy.core.errors import WeightsCorrupt
from understudy.core.frames import Float


class Network:
    """One network with one input. Not safe to run from two threads at once.

    Raises:
        WeightsCorrupt: the file is not a network that this runtime can read.
    """

    def __init__(self, path: Path, threads: int = 1) -> None:
        try:
            self._interpreter = Interpreter(model_path=str(path), num_threads=threads)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise WeightsCorrupt(f"{path}: not a network that litert can run: {error}", path=path) from error
        self._input = self._interpreter.get_input_details()[0]
        self._outputs = self._interpreter.get_output_details()
        self.size = int(self._input["shape"][1])  # of the square picture it looks at

    def __call__(self, picture: Float) -> list[Float]:
        """Picture (size, size, 3) float32 in the network's own range → its outputs, in the file's order."""
        self._interpreter.set_tensor(self._input["index"], np.ascontiguousarray(picture[None]))
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(output["index"]) for output in self._outputs]
