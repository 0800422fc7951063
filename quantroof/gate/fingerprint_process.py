"""Compile kernels on one side of a comparison, in its interpreter: machine code to files, the rest as JSON.

Run by its path, with the side's tree first on PYTHONPATH, so that it compiles the side's kernels even where
that version does not have this file. It reads one JSON object: `arch`, `out` and `pairs` of case and kernel.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def main() -> None:
    """Answer on standard output; what a compiler prints goes to standard error."""
    request = json.load(sys.stdin)
    answer, sys.stdout = sys.stdout, sys.stderr
    rows = rows_of(request["arch"], request["pairs"], Path(request["out"]))
    json.dump({f"{case} {kernel}": row for case, kernel, row in rows}, answer)


def rows_of(
    arch: str, pairs: Iterable[tuple[str, str]], out: Path
) -> Iterable[tuple[str, str, dict[str, Any]]]:
    """(case, kernel, what it is): its launches with the file of their machine code, or why there are none."""
    from quantroof.kernels import registry
    from quantroof.kernels.cases import Case
    from quantroof.kernels.program import Target
    from quantroof.kernels.sass.ahead import compile_ahead
    from quantroof.kernels.sass.table import device_of

    kernels = registry.load().kernels
    device, files = device_of(arch), dict[str, str]()
    for case, name in pairs:
        kernel = kernels.get(name)
        if kernel is None:
            yield case, name, {"absent": True}
            continue
        if kernel.machine_code is None:
            yield case, name, {"launches": []}
            continue
        try:
            launches = []
            for program in kernel.machine_code.programs(Case.parse(case), Target.of(device)):
                launch = _launch(program)
                key = json.dumps([launch, _identity(program)], sort_keys=True)
                if key not in files:
                    code, shared = compile_ahead(program, arch)
                    file = out / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.cubin"
                    file.write_bytes(code)
                    files[key] = f"{file.name} {shared}"
                code_file, _, shared_bytes = files[key].partition(" ")
                launches.append({**launch, "file": code_file, "shared bytes": int(shared_bytes)})
            yield case, name, {"launches": launches}
        except Exception as error:  # noqa: BLE001 - a kernel or a compiler may raise anything
            lines = str(error).strip().splitlines()
            yield case, name, {"failed": f"{type(error).__name__}: {lines[-1] if lines else ''}"[:200]}


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
