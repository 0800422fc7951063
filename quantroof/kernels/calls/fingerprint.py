"""What identifies a user's own function: launches and operators, its host source, and its CUDA C++."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from warnings import catch_warnings, simplefilter

import msgspec

from quantroof.errors import QuantroofError, described
from quantroof.kernels.architectures import number_of
from quantroof.kernels.calls import functions
from quantroof.kernels.calls.call import Call
from quantroof.kernels.calls.trace import Trace, traced
from quantroof.kernels.cases import CallCase
from quantroof.kernels.sass.nvrtc import compile_cuda
from quantroof.kernels.sources import host_digest, native_sources, without_comments

_DEVICE = (".cu", ".cuh")
# Code that depends on the definitions of a build, or exists only where it is instantiated.
_OPEN = re.compile(r"^\s*#\s*(?:if|ifdef|ifndef|elif)\b|\btemplate\b", re.MULTILINE)


def function_row(
    calls: list[dict[str, Any]], case: str, name: str, target: Any, files: Any
) -> dict[str, Any]:
    """The row of one function in one case, `absent` where this side has none."""
    match = _find_call(calls, case, name)
    if match is None:
        return {"absent": True}
    call, own_case = match
    reference = call.kernels[name]
    row: dict[str, Any] = {}
    trace = Trace()
    try:
        with catch_warnings():
            simplefilter("ignore")  # Triton's about its defaults, which the user's launches have too
            trace = traced(lambda: functions.load(reference), call, own_case, target)
            row["launches"] = [_launch(launch, files) for launch in trace.launches]
        row["operators"] = trace.operators
    except Exception as error:  # noqa: BLE001 - foreign code may raise anything; its source is compared instead
        row = {"launches": [], "untraced": described(error)[:200]}
    if functions.is_torch(reference):
        return row
    path = functions.split(reference)[0].resolve()
    only_torch = "untraced" not in row and all(one.startswith(("aten.", "prims.")) for one in trace.operators)
    native = [_native(file, path.parent, files) for file in native_sources(path, every=not only_torch)]
    return {**row, "host": host_digest(path), "native": native}


def _find_call(calls: list[dict[str, Any]], case: str, name: str) -> tuple[Call, CallCase] | None:
    for data in calls:
        call = msgspec.convert(data, Call)
        own = next((one for one in call.cases() if one.id == case), None)
        if own is not None and name in call.kernels:
            return call, own
    return None


def _launch(launch: Any, files: Any) -> dict[str, Any]:
    described_launch = launch.described
    key = json.dumps([described_launch, launch.function.fn.__module__, str(launch.options)])
    file, shared = files.file(key, lambda: launch.compiled(number_of(files.arch)))
    return {**described_launch, "file": file, "shared bytes": shared}


def _native(path: Path, folder: Path, files: Any) -> dict[str, Any]:
    """A file of C++: its machine code where NVRTC makes all of it, else its text without comments."""
    text = path.read_text(encoding="utf-8", errors="replace")
    plain = without_comments(text)
    row: dict[str, Any] = {"name": path.name}
    if path.suffix in _DEVICE and not _OPEN.search(text) and "__global__" in plain:
        try:
            key = f"{path} {text}"
            include = (f"--include-path={path.parent}", f"--include-path={folder}")
            row["file"] = files.file(
                key, lambda: (compile_cuda(text, files.arch, name=path.name, options=include), 0)
            )[0]
        except QuantroofError:
            row["text"] = plain
    else:
        row["text"] = plain
    return row
