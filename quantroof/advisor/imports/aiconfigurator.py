"""Kernel tables of aiconfigurator: linear layers of an installed package or a checkout, row by row.

A table is `data/<system>/gemm/<framework>/<version>/gemm_perf.parquet`: one latency in ms per kernel, format
and shape, the mean of six replays of a CUDA graph. Its collector cycled through a number of weight sets that
the table does not record; the rules here state it by framework.
"""

from __future__ import annotations

import importlib.util
import math
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from importlib import metadata
from pathlib import Path

import msgspec

from quantroof.advisor.choices import choice
from quantroof.errors import EnvironmentMissing, UsageError, first_line, unknown_name
from quantroof.files import require
from quantroof.hwprofiles.types import HardwareProfile
from quantroof.kernels.cases import Case
from quantroof.kernels.schemes import Scheme
from quantroof.records.run import Imported

PACKAGE = "aiconfigurator_core"
# The system folders of the tables and the profiles of their GPUs.
SYSTEMS = {
    "a100_sxm": "a100-sxm4-80gb",
    "l40s": "l40s",
    "h100_sxm": "h100-sxm5-80gb",
    "h200_sxm": "h200-sxm",
    "b200_sxm": "b200",
    "b300_sxm": "b300",
    "gb200": "gb200",
    "gb300": "gb300",
    "rtx_pro_6000_server": "rtx-pro-6000-server",
}
FORMATS = {
    "bfloat16": "bf16",
    "fp8": "fp8-w8a8",
    "fp8_static": "fp8-w8a8-static",
    "fp8_block": "fp8-block-w8a8",
    "int8_wo": "int8-w8a16",
    "int4_wo": "int4-w4a16",
    "sq": "int8-w8a8",
    "nvfp4": "nvfp4-w4a4",
}
BATCHES = (1, 2, 4, 8, 16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 1024, 2048, 4096, 8192, 16384)
LEAST_SIZE = 512
# The collectors of vLLM and SGLang cycle through six weight sets, eager ones through one, TensorRT-LLM's
# through enough to fill the L2, at most five.
_CYCLED, _MOST_OF_TRTLLM = 6, 5
_EAGER_BELOW = 1024  # vLLM's fp8 blocks are timed with their launches, which decide the time below this M


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """One collection: a framework's version on a system."""

    system: str
    framework: str
    version: str
    path: str


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One kernel time with the case it belongs to and how many weight sets were used in turn."""

    case: Case
    kernel: str
    seconds: float
    copies: int
    weight_bytes: int
    bytes_moved: int
    fill: str
    eager: bool


def root(checkout: Path | None) -> Path:
    """The folder of the systems: of a checkout, or of the installed package."""
    if checkout is not None:
        folders = [path for path in checkout.glob("**/systems/data") if path.is_dir()]
        if folders:
            return folders[0]
        raise UsageError("holds no folder systems/data", where=str(checkout))
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise EnvironmentMissing(
            "aiconfigurator's tables are not installed",
            hint="pip install aiconfigurator-core, or name a checkout with --from",
        )
    return Path(next(iter(spec.submodule_search_locations))) / "systems" / "data"


def tables(folder: Path) -> list[Table]:
    """Every table of linear layers under a folder of systems."""
    found = []
    for path in sorted(folder.glob("*/gemm/*/*/gemm_perf.parquet")):
        version, framework, system = path.parts[-2], path.parts[-3], path.parts[-5]
        found.append(Table(system=system, framework=framework, version=version, path=str(path)))
    return found


def pick(found: list[Table], system: str, framework: str | None, version: str | None) -> list[Table]:
    """The tables of a system, each framework's newest unless a version is named."""
    systems = sorted({table.system for table in found})
    if system not in systems:
        raise unknown_name("system", system, systems, "--system")
    if system not in SYSTEMS:
        raise UsageError(f"no profile is known for the system {system}", where="--system")
    own = [table for table in found if table.system == system]
    names = sorted({table.framework for table in own})
    if framework is not None and framework not in names:
        raise unknown_name("framework", framework, names, "--framework")
    own = [table for table in own if framework in (None, table.framework)]
    if version is not None:
        named = [table for table in own if table.version == version]
        if not named:
            raise unknown_name("version", version, sorted({table.version for table in own}), "--version")
        return named
    newest = {table.framework: table for table in sorted(own, key=lambda table: _order(table.version))}
    return list(newest.values())


def _order(version: str) -> tuple[tuple[int, int], ...]:
    """Numbers of a version in order; a release candidate comes before its release."""
    parts = version.replace("rc", ".-1.").replace("post", ".1.").split(".")
    return tuple((int(part), 0) for part in parts if part.lstrip("-").isdigit())


def origin(picked: list[Table]) -> Imported:
    """What the header of the run says about its source."""
    return Imported(
        source="aiconfigurator (github.com/ai-dynamo/aiconfigurator)",
        version=_installed(),
        license="Apache-2.0",
        framework=", ".join(f"{table.framework} {table.version}" for table in picked),
        rule="the mean of six replays of a CUDA graph, weights cycled by framework, clocks unknown",
    )


def _installed() -> str:
    try:
        return metadata.version("aiconfigurator-core")
    except metadata.PackageNotFoundError:
        return "a checkout"


def rows(
    table: Table, profile: HardwareProfile, aside: Counter[str], *, every: bool = False
) -> Iterator[Row]:
    """The rows of a table. What is set aside is counted by its reason."""
    duckdb = require("duckdb", "reading Parquet", "store")
    query = """select gemm_dtype, kernel_source, m, n, k, latency::double from read_parquet($path)
        where $every or (list_contains($batches, m) and n >= $least and k >= $least)"""
    values = {"path": table.path, "every": every, "batches": list(BATCHES), "least": LEAST_SIZE}
    schemes = {name: choice(ours) for name, ours in FORMATS.items()}
    llc = (profile.l2_mb or 0) * (1 << 20)
    try:
        found = duckdb.execute(query, values).fetchall()
    except duckdb.Error as error:
        raise UsageError(f"is not a table of linear layers: {first_line(error)}", where=table.path) from None
    for dtype, kernel, m, n, k, latency in found:
        reason = _refused(table, dtype, m, n, k, latency, schemes.get(dtype))
        if reason is not None:
            aside[reason] += 1
            continue
        yield _row(table, schemes[dtype], dtype, kernel, (m, n, k), latency, llc)


def _row(
    table: Table,
    scheme: Scheme,
    dtype: str,
    kernel: str,
    sizes: tuple[int, int, int],
    latency: float,
    llc: float,
) -> Row:
    m, n, k = sizes
    case, weights = Case.linear(scheme, m, n, k), _weight_bytes(scheme, n, k)
    eager = table.framework == "vllm" and dtype == "fp8_block"
    copies = 1 if eager or (table.framework == "vllm" and dtype == "nvfp4") else _CYCLED
    if table.framework == "trtllm":
        copies = max(1, min(_MOST_OF_TRTLLM, math.ceil(llc / weights)))
    fill = "normal" if table.framework != "vllm" else ("unfilled" if dtype == "bfloat16" else "constant")
    return Row(
        case=case,
        kernel=f"{table.framework}/{kernel}",
        seconds=latency * 1e-3,
        copies=copies,
        weight_bytes=weights,
        bytes_moved=weights + scheme.activation.storage_bytes(m, k) + scheme.output.storage_bytes(m, n),
        fill=fill,
        eager=eager,
    )


@lru_cache(maxsize=4096)
def _weight_bytes(scheme: Scheme, n: int, k: int) -> int:
    return scheme.weight.storage_bytes(n, k)


def _refused(
    table: Table, dtype: str, m: int, n: int, k: int, latency: float, scheme: Scheme | None
) -> str | None:
    if scheme is None:
        return f"format {dtype} is not known here"
    if m < 1 or n < 1 or k < 1 or not (math.isfinite(latency) and latency > 0):
        return "a size or a time is not positive"
    group = scheme.weight.group or scheme.activation.group
    if group is not None and k % group:
        return "the group of the scales does not divide K"
    if table.framework == "sglang" and dtype == "int8_wo":
        return "SGLang's int8_wo multiplies in int8: it is W8A8"
    if table.framework == "vllm" and dtype == "fp8_block" and m < _EAGER_BELOW:
        return f"vLLM's fp8 blocks below M = {_EAGER_BELOW} are timed with their launches"
    return None
