"""The golden tables of machine code, and Triton's IR from which the rows of the newest were compiled.

`python -m tests.kernels.golden > tests/data/machine_code.json` compiles all rows of the architectures that
GPU nodes have had for long anew; with the argument `newer` those of machine_code_newer.json.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import triton

from quantroof.kernels.architectures import AMD, number_of
from quantroof.kernels.program import CudaProgram, Program
from quantroof.kernels.sass.ahead import ast_source
from quantroof.kernels.sass.nvrtc import nvrtc_version
from quantroof.kernels.sass.table import Job, all_architectures, jobs, machine_code_table, program_of

_DATA = Path(__file__).parents[1] / "data"
ARCHITECTURES = ("sm_80", "sm_86", "sm_89", "sm_90a", "sm_100a", "sm_120a")
NEWER = tuple(arch for arch in all_architectures() if arch not in ARCHITECTURES)
NEWER_FILE = _DATA / "machine_code_newer.json"
FILES = {
    "3.9.0": _DATA / "machine_code.json",
    "3.7.1": _DATA / "machine_code_3.7.1.json",
    "3.6.0": _DATA / "machine_code_3.6.0.json",
}


@cache
def golden(version: str) -> dict[str, Any]:
    """The committed table of a version of Triton."""
    document: dict[str, Any] = json.loads(FILES[version].read_text())
    assert document["triton"] == version
    return document


def ir_digests(archs: Sequence[str] = ARCHITECTURES) -> dict[str, str]:
    """Digests of what Triton's compiler gets for each row: its IR without line numbers, and its options.

    The compiler is deterministic, so that rows of equal digests have the same machine code.
    """
    programs = {job: program_of(job) for job in jobs(archs)}
    return {_name(job): _digest(p, job.arch) for job, p in programs.items() if isinstance(p, Program)}


def sample(version: str) -> list[Job]:
    """One compiled row per Triton kernel, spread over cases and architectures, and all rows of CUDA C++."""
    compiled: dict[str, list[Job]] = {}
    for row in golden(version)["rows"]:
        if row["status"] == "compiled":
            job = Job(row["kernel"], row["case"], row["arch"])
            compiled.setdefault(job.kernel, []).append(job)
    chosen = []
    for index, of_kernel in enumerate(compiled.values()):
        all_of_it = isinstance(program_of(of_kernel[0]), CudaProgram)
        chosen += of_kernel if all_of_it else [of_kernel[7 * index % len(of_kernel)]]
    return chosen


def _name(job: Job) -> str:
    return f"{job.kernel} {job.case} {job.arch}"


def _digest(program: Program, arch: str) -> str:
    from triton._C.libtriton import ir
    from triton.backends.compiler import GPUTarget
    from triton.compiler.compiler import make_backend

    target = GPUTarget("hip", arch, 64) if arch in AMD else GPUTarget("cuda", number_of(arch), 32)
    source = ast_source(program)
    backend, context = make_backend(target), ir.context()
    ir.load_dialects(context)
    backend.load_dialects(context)
    options = backend.parse_options({**program.compile_options, **source.parse_options()})
    functions = backend.get_codegen_implementation(options), backend.get_module_map()
    module = source.make_ir(target, options, *functions, context)
    text = f"{arch} {sorted(program.compile_options.items())}\n{module.str_nodebug()}"
    return sha256(text.encode()).hexdigest()[:16]


def main() -> None:
    """Print a table as `quantroof compile --json` does, with the digests."""
    archs = NEWER if sys.argv[1:] == ["newer"] else ARCHITECTURES
    rows = msgspec.to_builtins(machine_code_table(archs))
    head = {"schema_version": 1, "kind": "machine-code", "triton": triton.__version__}
    document = {**head, "nvrtc": nvrtc_version(), "rows": rows, "ir": ir_digests(archs)}
    json.dump(document, sys.stdout, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
