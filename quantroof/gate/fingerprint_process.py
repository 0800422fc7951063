"""Compile kernels on one side of a comparison, in its interpreter: machine code to files, the rest as JSON.

Run by its path, with the side's tree first on PYTHONPATH, so that it compiles the side's kernels even where
that version does not have this file. It reads one JSON object: `arch`, `out`, `tree`, `calls`, and `pairs` of
case and kernel.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any


def main() -> None:
    """Write the rows to standard output; compiler messages go to standard error."""
    request = json.load(sys.stdin)
    answer, sys.stdout = sys.stdout, sys.stderr
    reads = _Reads(Path(request["tree"]))
    rows = list(rows_of(request["arch"], request["pairs"], Path(request["out"]), request["calls"]))
    by_name = {f"{case} {kernel}": row for case, kernel, row in rows}
    json.dump({"rows": by_name, "files": reads.files(), "folders": sorted(reads.folders)}, answer)


class _Reads:
    """The files and folders below a tree that this process reads, by paths relative to it."""

    def __init__(self, tree: Path) -> None:
        self._top = f"{tree}/"
        self._opened: set[str] = set()
        self.folders: set[str] = set()
        sys.addaudithook(self._note)

    def files(self) -> list[str]:
        """What was opened, and the sources of modules, of which it may have read a compiled copy."""
        modules = [getattr(module, "__file__", None) or "" for module in list(sys.modules.values())]
        sources = {path[len(self._top) :] for path in modules if path.startswith(self._top)}
        return sorted(name for name in self._opened | sources if not name.endswith(".pyc"))

    def _note(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event not in ("open", "os.listdir", "os.scandir") or not arguments:
            return
        name = os.fsdecode(arguments[0]) if isinstance(arguments[0], str | bytes | os.PathLike) else ""
        path = os.path.abspath(name) if name else ""  # noqa: PTH100 - links are not followed
        if f"{path}/".startswith(self._top):
            relative = path[len(self._top) :]
            if event == "open":
                self._opened.add(relative)
            else:
                self.folders.add(relative)


def rows_of(
    arch: str, pairs: Iterable[tuple[str, str]], out: Path, calls: list[dict[str, Any]]
) -> Iterable[tuple[str, str, dict[str, Any]]]:
    """(case, kernel, row): its launches with the file of their machine code, or why there are none."""
    from quantroof.kernels import registry
    from quantroof.kernels.cases import Case
    from quantroof.kernels.program import Target
    from quantroof.kernels.sass.table import device_of

    kernels = registry.load().kernels
    target, files = Target.of(device_of(arch)), Codes(arch, out)
    own = _Functions(calls, target, files)
    for case, name in pairs:
        kernel = kernels.get(name)
        if case.startswith("call/"):
            yield case, name, own.row(case, name)
        elif kernel is None:
            yield case, name, {"absent": True}
        elif kernel.machine_code is None:
            yield case, name, {"launches": []}
        else:
            try:
                programs = kernel.machine_code.programs(Case.parse(case), target)
                yield case, name, {"launches": [files.of_program(program) for program in programs]}
            except Exception as error:  # noqa: BLE001 - a kernel or a compiler may raise anything
                yield case, name, {"failed": _short(error)}


class Codes:
    """Machine code in files, each compiled once."""

    def __init__(self, arch: str, out: Path) -> None:
        self.arch, self._out = arch, out
        self._made: dict[str, tuple[str, int]] = {}

    def of_program(self, program: Any) -> dict[str, Any]:
        """A Program's launch with the file of its machine code."""
        from quantroof.kernels.sass.ahead import compile_ahead

        launch = _launch(program)
        key = json.dumps([launch, _identity(program)], sort_keys=True)
        file, shared = self.file(key, lambda: compile_ahead(program, self.arch))
        return {**launch, "file": file, "shared bytes": shared}

    def file(self, key: str, compiled: Callable[[], tuple[bytes, int]]) -> tuple[str, int]:
        """The file of one key, and the shared memory of a launch."""
        if key not in self._made:
            code, shared = compiled()
            path = self._out / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.cubin"
            path.write_bytes(code)
            self._made[key] = path.name, shared
        return self._made[key]


class _Functions:
    """The user's own functions: traced, with the CUDA C++ that they name."""

    def __init__(self, calls: list[dict[str, Any]], target: Any, files: Codes) -> None:
        self._calls, self._target, self._files = calls, target, files

    def row(self, case: str, name: str) -> dict[str, Any]:
        """The row of one function in one case."""
        from quantroof.kernels.calls.fingerprint import function_row

        try:
            return function_row(self._calls, case, name, self._target, self._files)
        except Exception as error:  # noqa: BLE001 - foreign code may raise anything
            return {"failed": _short(error)}


def _short(error: BaseException) -> str:
    """The innermost cause in one line: around it a compiler puts code, and a line with a caret alone."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip(" ^")]
    return f"{type(error).__name__}: {lines[-1] if lines else ''}"[:200]


def _launch(program: Any) -> dict[str, Any]:
    """What a launch is given besides its tensors."""
    launch: dict[str, Any] = {"warps": program.num_warps}
    for name, label in (("grid", "grid"), ("num_stages", "stages"), ("arguments", "arguments")):
        if hasattr(program, name):
            value = getattr(program, name)
            launch[label] = list(value) if isinstance(value, tuple) else value
    constants = dict(getattr(program, "constants", {}))
    options = getattr(program, "options", ())
    constants |= dict(options) if hasattr(options, "items") else {"options": list(options)}
    return {**launch, "constants": {name: str(value) for name, value in sorted(constants.items())}}


def _identity(program: Any) -> str:
    """Which function or source a program is, within one side."""
    function = getattr(program, "function", None)
    if function is None:
        return f"{program.source} {program.name}"
    inner = getattr(function, "fn", function)
    return f"{inner.__module__}.{inner.__qualname__}"


if __name__ == "__main__":
    main()
