"""Published checkpoints as plain tensors: PyTorch's files old and new, TorchScript archives, safetensors.

A checkpoint is somebody else's file. PyTorch's are pickles, and a pickle may name any function of the interpreter to
be called: here torch's restricted reader (`weights_only`) reads them, and a TorchScript archive, which that reader
refuses, is read by one that knows nothing but tensors and the modules that hold them. No code of a file is ever run.
"""

from __future__ import annotations

import pickle
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from understudy.core.errors import WeightsCorrupt

M = TypeVar("M", bound=nn.Module)

_NESTED = ("state_dict", "model_state_dict", "model", "net", "params_ema", "params")
"""Where training scripts keep the weights when they also keep other things."""

_PARALLEL = "module."  # what nn.DataParallel puts before every name

_BROKEN = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,
    RuntimeError,
    SafetensorError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
    struct.error,
    zipfile.BadZipFile,
)
"""What readers raise on a file that was cut or altered: a pickle of chance bytes fails in every way there is."""

_STORAGES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}


def load(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint by name, on the CPU, in their stored types; without `module.` before every name.

    Reads `.safetensors`; what `torch.save` wrote in either of its formats, a state dict or one beside other things;
    and TorchScript archives, whose parameters and buffers have the names they have in the module.

    Raises:
        WeightsCorrupt: not such a file, cut, or with something in it that is not weights; names the file.
    """
    try:
        if path.suffix == ".safetensors":
            found: object = load_file(path)
        elif _is_torchscript(path):
            found = _torchscript(path)
        else:
            found = torch.load(path, map_location="cpu", weights_only=True)
        state = _state(found)
    except _BROKEN as error:
        why = str(error).partition("\n")[0] or type(error).__name__
        raise WeightsCorrupt(f"{path}: not a checkpoint that can be read safely: {why}", path=path) from error
    if not state:
        raise WeightsCorrupt(f"{path}: a checkpoint without weights", path=path)
    return state


def fill(module: M, state: Mapping[str, Tensor], path: Path) -> M:
    """Put the weights of a checkpoint into a network that has exactly these; the network, for evaluation.

    Batch counters of normalisation layers may be lacking (old checkpoints have none): inference does not look at them.

    Raises:
        WeightsCorrupt: weights are missing, are too many or have other shapes; names the file and some of them.
    """
    own = module.state_dict()
    given = {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}
    wanted = {name: value for name, value in own.items() if not name.endswith("num_batches_tracked")}
    wrong = [
        f"{name} is {tuple(given[name].shape)}, not {tuple(wanted[name].shape)}"
        for name in wanted
        if name in given and given[name].shape != wanted[name].shape
    ]
    faults = (
        ("lacks", [name for name in wanted if name not in given]),
        ("has besides", [name for name in given if name not in wanted]),
        ("has of another shape", wrong),
    )
    said = [f"it {what} {', '.join(names[:3])}{' …' * (len(names) > 3)}" for what, names in faults if names]
    if said:
        kind = type(module).__name__
        raise WeightsCorrupt(f"{path}: not the weights of {kind}: {'; '.join(said)}", path=path)
    module.load_state_dict(given, strict=False)
    return module.eval().requires_grad_(False)


def _state(found: object) -> dict[str, Tensor]:
    """The dictionary of tensors in what a file held."""
    if isinstance(found, Mapping):
        found = next((found[k] for k in _NESTED if isinstance(found.get(k), Mapping)), found)
    if not isinstance(found, Mapping):
        raise TypeError(f"it holds a {type(found).__name__}, not weights by name")
    state = {str(name): value.detach() for name, value in found.items() if isinstance(value, Tensor)}
    if all(name.startswith(_PARALLEL) for name in state):
        state = {name.removeprefix(_PARALLEL): value for name, value in state.items()}
    return state


def _is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.count("/") == 1 and name.endswith("/constants.pkl") for name in archive.namelist())


def _torchscript(path: Path) -> dict[str, Tensor]:
    with zipfile.ZipFile(path) as archive:
        root = next(name for name in archive.namelist() if name.endswith("/data.pkl")).partition("/")[0]
        with archive.open(f"{root}/data.pkl") as file:
            module = _ModuleReader(file, archive, root).load()
    if not isinstance(module, _Node):
        raise TypeError("its root is no module")
    return dict(module.tensors())


class _Node:
    """A TorchScript object: its attributes, none of its code."""

    attributes: dict[str, object]

    def __setstate__(self, state: dict[str, object]) -> None:
        self.attributes = dict(state)

    def tensors(self, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
        for name, value in self.attributes.items():
            if isinstance(value, Tensor):
                yield prefix + name, value
            elif isinstance(value, _Node):
                yield from value.tensors(f"{prefix}{name}.")


def _tensor(
    storage: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: object
) -> Tensor:
    """As torch rebuilds one; `as_strided` refuses what would lie outside of the storage."""
    return storage.as_strided(size, stride, offset).clone()


def _as_it_is(value: object, *_: object) -> object:
    """For the functions that only tell TorchScript the type of a list."""
    return value


_KNOWN: dict[tuple[str, str], Callable[..., object]] = {
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("collections", "OrderedDict"): dict,
    **{
        ("torch.jit._pickle", name): _as_it_is
        for name in (
            "build_intlist",
            "build_doublelist",
            "build_boollist",
            "build_tensorlist",
            "restore_type_tag",
        )
    },
}


class _ModuleReader(pickle.Unpickler):
    """Reads the module of an archive; every name that a pickle may call comes from this file."""

    def __init__(self, file: Any, archive: zipfile.ZipFile, root: str) -> None:
        super().__init__(file)
        self._archive = archive
        self._root = root

    def find_class(self, module: str, name: str, /) -> Any:
        if module.partition(".")[0] == "__torch__":
            return _Node
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        if (module, name) in _KNOWN:
            return _KNOWN[module, name]
        raise pickle.UnpicklingError(f"it wants {module}.{name}, which is not weights")

    def persistent_load(self, pid: Any, /) -> Tensor:
        kind, dtype, key, _, count = pid
        if kind != "storage":
            raise pickle.UnpicklingError(f"it wants a {kind}")
        entry = self._archive.getinfo(f"{self._root}/data/{key}")
        size = count * torch.empty((), dtype=dtype).element_size()
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != size:
            raise pickle.UnpicklingError(f"{entry.filename} does not have the {size} bytes it should")
        if not size:
            return torch.empty(0, dtype=dtype)
        return torch.frombuffer(bytearray(self._archive.read(entry)), dtype=dtype)
