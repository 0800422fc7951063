"""From a cubin to a CodeReport: registers, spills, shared memory, instruction class and inner loop."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import msgspec

from quantroof.kernels.sass.classify import instruction_class
from quantroof.kernels.sass.listing import DisassemblyError, Function, parse_listing
from quantroof.kernels.sass.loops import innermost, natural_loops

_USAGE = re.compile(
    r"Function (?P<name>\S+?):\s*\n\s*REG:(?P<registers>\d+) STACK:(?P<stack>\d+) SHARED:(?P<shared>\d+)"
)
_TIMEOUT_S = 120


class CodeReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was read in the machine code of one function.

    `stack_bytes` is a thread's local memory; `spill_instructions` counts loads and stores of it (LDL, STL).
    `static_shared_bytes` excludes what is requested at launch. `loop_opcodes` counts the opcodes of the
    innermost loop (the whole function where it has none, then `has_loop` is false).
    """

    name: str
    arch: str
    instruction_class: str
    registers: int
    stack_bytes: int
    static_shared_bytes: int
    spill_instructions: int
    instructions: int
    loop_instructions: int
    has_loop: bool
    loop_opcodes: dict[str, int]
    opcodes: dict[str, int]


@lru_cache(maxsize=1)
def cuobjdump() -> Path:
    """The disassembler: the one of NVIDIA's pip packages, else triton's bundled one, else the one on PATH.

    The packages come first because they know architectures that an older Triton's tool does not. Found
    without importing triton, so that reading CUDA C++ code needs no Triton.
    """
    for tool in (*_below("nvidia", "cu*/bin"), *_below("triton", "backends/nvidia/bin")):
        if (tool.parent / "nvdisasm").is_file():  # cuobjdump calls the nvdisasm that lies beside it
            return tool
    if found := shutil.which("cuobjdump"):
        return Path(found)
    hint = "pip install nvidia-cuda-cuobjdump nvidia-cuda-nvdisasm"
    raise DisassemblyError("no cuobjdump found", hint=hint)


def _below(package: str, folder: str) -> list[Path]:
    """Every cuobjdump in a folder of an installed package, highest CUDA version first."""
    spec = find_spec(package)
    roots = (spec.submodule_search_locations or ()) if spec else ()
    return [tool for root in roots for tool in sorted(Path(root).glob(f"{folder}/cuobjdump"), reverse=True)]


def read_cubin(cubin: bytes | Path) -> tuple[CodeReport, ...]:
    """Disassemble a cubin and report on each of its functions. DisassemblyError if that fails."""
    with _on_disk(cubin) as path:
        return _read(path)


@contextmanager
def _on_disk(cubin: bytes | Path) -> Iterator[Path]:
    if isinstance(cubin, Path):
        yield cubin
        return
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        yield Path(file.name)


def report_on(cubin: bytes, functions: Sequence[Function]) -> tuple[CodeReport, ...]:
    """Reports on the functions of a cubin that is disassembled already."""
    with _on_disk(cubin) as path:
        return _reports(path, functions)


def _read(path: Path) -> tuple[CodeReport, ...]:
    return _reports(path, parse_listing(_run("-sass", path)))


def _reports(path: Path, functions: Sequence[Function]) -> tuple[CodeReport, ...]:
    usage = {match["name"]: match for match in _USAGE.finditer(_run("-res-usage", path))}
    reports = []
    for function in functions:
        if function.name not in usage:
            raise DisassemblyError(f"no resource usage for function {function.name}", where=str(path))
        reports.append(_report(function, usage[function.name]))
    return tuple(reports)


def _report(function: Function, usage: re.Match[str]) -> CodeReport:
    opcodes = function.opcode_counts()
    repeated = innermost(natural_loops(function.instructions))
    loop = repeated or function.instructions
    return CodeReport(
        name=function.name,
        arch=function.arch,
        instruction_class=instruction_class(function),
        registers=int(usage["registers"]),
        stack_bytes=int(usage["stack"]),
        static_shared_bytes=int(usage["shared"]),
        spill_instructions=opcodes["STL"] + opcodes["LDL"],
        instructions=len(function.instructions),
        loop_instructions=len(loop),
        has_loop=repeated is not None,
        loop_opcodes=dict(Counter(i.base for i in loop).most_common()),
        opcodes=dict(opcodes.most_common()),
    )


def _run(option: str, path: Path) -> str:
    return run_tool(cuobjdump(), option, str(path))


def run_tool(tool: Path, *arguments: str) -> str:
    """What a tool prints about the file that its last argument names. DisassemblyError if it fails."""
    command = [str(tool), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    if done.returncode:
        message = (done.stderr or done.stdout).strip().splitlines()
        raise DisassemblyError(message[0] if message else f"{tool.name} failed", where=arguments[-1])
    return done.stdout
