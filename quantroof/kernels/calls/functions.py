"""The functions of a call by reference: `path.py:NAME`, or a function of torch such as `torch.softmax`.

A file is imported as a kernel's file is. Nothing but torch can be named without a file.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from quantroof.errors import UsageError, unknown_name
from quantroof.kernels.foreign import guarded, import_file

_TORCH = re.compile(r"torch(\.[A-Za-z]\w*)+")
_FILE = re.compile(r"(?P<path>.+\.py):(?P<name>[A-Za-z_]\w*(\.[A-Za-z_]\w*)?)")
_HINT = "write PATH.py:NAME, or torch.NAME"
DECLARED = "__quantroof_call__"


def is_torch(reference: str) -> bool:
    """Whether a reference names a function of torch."""
    return _TORCH.fullmatch(reference) is not None


def split(reference: str) -> tuple[Path, str]:
    """Path and name of a reference to a file; UsageError if it is not one."""
    match = _FILE.fullmatch(reference)
    if match is None:
        raise UsageError(f"'{reference}' does not name a function", hint=_HINT)
    return Path(match["path"]), match["name"]


def require_reference(reference: str) -> None:
    """UsageError where a text is not a reference, or its file does not exist."""
    if is_torch(reference):
        return
    path, _ = split(reference)
    if not path.is_file():
        raise UsageError("no such file", where=str(path))


def names_of(references: Iterable[str]) -> dict[str, str]:
    """The name of each function in records: `softmax.fused`, with its folder where two would be equal."""
    own = list(dict.fromkeys(references))
    short = Counter(_name(reference, folders=0) for reference in own)
    names = {r: _name(r, folders=int(short[_name(r, folders=0)] > 1)) for r in own}
    if len(set(names.values())) < len(names):
        raise UsageError(f"two functions have the same name: {', '.join(own)}", hint="rename a file")
    return names


def provider_of(reference: str) -> str:
    """What a function comes from: the stem of its file, or torch."""
    return "torch" if is_torch(reference) else _plain(split(reference)[0].stem)


def load(reference: str) -> Callable[..., Any]:
    """The function behind a reference; of a class, what an instance of it is called by."""
    if is_torch(reference):
        return _callable(_of_torch(reference), reference)
    path, name = split(reference)
    owner, _, method = name.partition(".")
    module = imported(path)
    if not hasattr(module, owner):
        raise unknown_name("function", owner, _own_names(module), str(path))
    value = getattr(module, owner)
    if isinstance(value, type):
        with guarded(f"{owner} cannot be made", str(path)):
            value = value()
        value = getattr(value, method or ("call" if hasattr(value, "call") else "__call__"), None)
    elif method:
        value = getattr(value, method, None)
    return _callable(value, reference)


def _of_torch(reference: str) -> Any:
    value: Any = import_module("torch")
    for part in reference.split(".")[1:]:
        if not hasattr(value, part):
            public = [name for name in dir(value) if not name.startswith("_")]
            raise unknown_name("function", part, public, reference)
        value = getattr(value, part)
    return value


def imported(path: Path) -> ModuleType:
    """The module of a file, imported once per version of the file."""
    if not path.is_file():
        raise UsageError("no such file", where=str(path))
    return _imported(path.resolve(), path.stat().st_mtime_ns)


@lru_cache(maxsize=64)
def _imported(path: Path, _version: int) -> ModuleType:
    return import_file(path)


def public_functions(module: ModuleType) -> list[str]:
    """The public functions that a module defines itself; those with a declaration alone if there are any."""
    own = _own_names(module)
    declared = [name for name in own if hasattr(getattr(module, name), DECLARED)]
    return declared or own


def _own_names(module: ModuleType) -> list[str]:
    return [name for name, value in vars(module).items() if _is_own(name, value, module.__name__)]


def _is_own(name: str, value: Any, module: str) -> bool:
    return callable(value) and not name.startswith("_") and getattr(value, "__module__", None) == module


def _callable(value: Any, reference: str) -> Callable[..., Any]:
    if not callable(value):
        raise UsageError("is not a function", where=reference)
    function: Callable[..., Any] = value
    return function


def _name(reference: str, folders: int) -> str:
    if is_torch(reference):
        return reference
    path, name = split(reference)
    parts = [*path.resolve().parent.parts[-folders:]] if folders else []
    return "/".join(map(_plain, (*parts, f"{path.stem}.{name}")))


def _plain(text: str) -> str:
    return re.sub(r"[^\w.+-]", "_", text)
