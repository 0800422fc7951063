"""The table of a Triton: every format, tile and architecture, compiled in parallel, kept per wheel."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import msgspec

from quantroof.errors import EnvironmentMissing, unknown_name
from quantroof.files import cache_folder, writing
from quantroof.kernels.architectures import ARCHITECTURES
from quantroof.kernels.sass.batch import functions_of
from quantroof.kernels.sass.cache import require_cache
from quantroof.kernels.stack.cell import Compiled, StackCell, read
from quantroof.kernels.stack.probes import BY_NAME, tiles_of

Progress = Callable[[str], None]
_HERE = Path(__file__).parent
_SHIPPED = _HERE / "tables"
_COMPILER = (sys.executable, "-P", "-m", "quantroof.kernels.stack.compile")
_LIMIT_S = 900  # per architecture; none took more than 90 s of one core
_SOURCES = ("probes.py", "cell.py", "compile.py", "device/products.py")
_DECODER = msgspec.json.Decoder(StackCell)
_RESULT = msgspec.json.Decoder(Compiled)


def triton_version() -> str:
    """The installed Triton, without importing it. EnvironmentMissing where there is none."""
    try:
        return distribution("triton").version
    except PackageNotFoundError:
        raise EnvironmentMissing(
            "stack needs triton, which is not installed", hint="pip install triton"
        ) from None


def shipped_versions() -> tuple[str, ...]:
    """The Triton versions whose tables travel with quantroof, oldest first."""
    names = [entry.name for entry in _SHIPPED.iterdir() if entry.name.endswith(".jsonl")]
    versions = [name.removeprefix("triton-").removesuffix(".jsonl") for name in names]
    return tuple(sorted(versions, key=lambda text: [int(part) for part in text.split(".")]))


@lru_cache(maxsize=8)
def shipped(version: str) -> tuple[StackCell, ...]:
    """The table that was made with a version; empty for a version that does not travel with quantroof."""
    file = _SHIPPED / f"triton-{version}.jsonl"
    if not file.is_file():
        return ()
    return tuple(_DECODER.decode_lines(file.read_text(encoding="utf-8")))


def installed(
    archs: Sequence[str] = ARCHITECTURES, workers: int = 2, say: Progress = lambda _text: None
) -> list[StackCell]:
    """What the installed Triton makes of every format, from the cache where this wheel was compiled before.

    UsageError for an unknown architecture, EnvironmentMissing where Triton or a disassembler is missing.
    """
    for arch in archs:
        if arch not in ARCHITECTURES:
            raise unknown_name("architecture", arch, list(ARCHITECTURES))
    key = _key()
    with ThreadPoolExecutor(workers) as pool:  # each thread waits for a process
        tables = list(pool.map(lambda arch: _of(arch, key, say), archs))
    return [cell for table in tables for cell in table]


def _of(arch: str, key: str, say: Progress) -> list[StackCell]:
    kept = cache_folder("stack") / key / f"{arch}.jsonl"
    if kept.is_file():
        return _DECODER.decode_lines(kept.read_text(encoding="utf-8"))
    require_cache()
    say(f"compiling for {arch}")
    cells = compile_arch(arch)
    with writing(kept):
        kept.parent.mkdir(parents=True, exist_ok=True)
        beside = kept.with_suffix(".part")
        beside.write_bytes(b"".join(msgspec.json.encode(cell) + b"\n" for cell in cells))
        beside.replace(kept)  # whole or not at all
    return cells


def compile_arch(arch: str) -> list[StackCell]:
    """Compile in processes of their own; a product that ends its process is an error of that product."""
    expected = [f"{item.name}/{tile}" for item in BY_NAME.values() for tile in tiles_of(item, arch)]
    results: dict[str, Compiled] = {}
    while missing := [name for name in expected if name not in results]:
        results |= _one_process(arch, tuple(results))
        died = next((name for name in missing if name not in results), None)
        if died is not None:
            results[died] = _died(arch, died)
    return _read([results[name] for name in expected], arch)


def _read(results: Sequence[Compiled], arch: str) -> list[StackCell]:
    """The cells, with all machine code of the architecture disassembled in one call."""
    cubins = [result.cubin for result in results if result.cubin is not None]
    functions = iter(functions_of(cubins, arch) if cubins else [])
    return [r.cell if r.cubin is None else read(r.cell, next(functions)) for r in results]


def _one_process(arch: str, done: tuple[str, ...]) -> dict[str, Compiled]:
    """The results until the process ended, by name. EnvironmentMissing where it could not begin."""
    command = [*_COMPILER, arch, *done]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT_S, check=False)
        out, err = run.stdout, run.stderr
    except subprocess.TimeoutExpired as late:
        out, err = _text(late.stdout), ""
    lines = out.splitlines()
    if not lines and len(done) < len(BY_NAME):
        reason = err.strip().splitlines()[-1:] or ["it ended without a word"]
        raise EnvironmentMissing(f"the compiler could not start: {reason[0]}")
    names, results = lines[0::2], lines[1::2]
    return {name: _RESULT.decode(result) for name, result in zip(names, results, strict=False)}


def _text(output: str | bytes | None) -> str:
    return output.decode(errors="replace") if isinstance(output, bytes) else output or ""


def _died(arch: str, name: str) -> Compiled:
    item, _, tile = name.partition("/")
    return Compiled(StackCell(arch=arch, format=item, tile=tile, error="the compiler ended its process"))


def _key() -> str:
    """What a kept table depends on: Triton's wheel file by file, the disassembler, and what is compiled."""
    made_with: list[str] = [triton_version(), distribution("triton").read_text("RECORD") or ""]
    for package in ("nvidia-cuda-cuobjdump", "nvidia-cuda-nvdisasm"):
        try:
            made_with.append(distribution(package).version)
        except PackageNotFoundError:
            made_with.append("absent")
    made_with += [(_HERE / name).read_text(encoding="utf-8") for name in _SOURCES]
    return hashlib.sha256(json.dumps(made_with).encode()).hexdigest()[:16]
