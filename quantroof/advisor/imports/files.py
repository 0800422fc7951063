"""Files of other tools as a Source for a run: their origin, kernel times and ceilings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from quantroof.advisor.imports import mamf, nccl_tests, nvbandwidth, nvbench
from quantroof.advisor.imports.columns import Columns, read_columns, rows, rows_of
from quantroof.advisor.imports.rows import Row
from quantroof.files import read_bytes, read_text
from quantroof.records.lines import Ceiling
from quantroof.records.run import Imported

_UNSTATED = "not stated"


@dataclass(frozen=True, slots=True)
class Source:
    """What a file holds. `kind` names its ceilings."""

    imported: Imported
    kind: str = ""
    ceilings: Sequence[Ceiling] = ()
    rows: Iterable[Row] = ()


def from_nccl_tests(file: Path) -> Source:
    """The text of `all_reduce_perf -g N`."""
    imported = Imported(
        source="nccl-tests",
        version=_UNSTATED,
        license="BSD-3-Clause",
        framework="NCCL",
        rule="all_reduce_perf on this node, out of place, the mean of its iterations",
    )
    return Source(imported, "all-reduces", nccl_tests.read(read_text(file), str(file)))


def from_nvbandwidth(file: Path) -> Source:
    """The JSON of `nvbandwidth -j`."""
    imported = Imported(
        source="nvbandwidth",
        version=_UNSTATED,
        license="Apache-2.0",
        framework="CUDA",
        rule="copies between two GPUs of this node in one direction, the median of its samples",
    )
    return Source(imported, "copies between GPUs", nvbandwidth.read(read_bytes(file), file))


def from_mamf_finder(file: Path) -> Source:
    """The log of mamf-finder: every shape, and the best of them as the ceiling of the element type."""
    imported = Imported(
        source="mamf-finder (github.com/stas00/ml-engineering)",
        version="benchmark version 2",
        license="CC-BY-SA-4.0",
        framework="torch",
        rule="one event pair per call, the same operands every time, the median of its repetitions",
    )
    log = mamf.read(read_text(file), file)
    return Source(imported, "matrix ceilings", (log.ceiling,), log.rows)


def from_csv(file: Path, columns: Path, aside: Counter[str]) -> Source:
    """A CSV file with a TOML file that names its columns."""
    named = read_columns(columns)
    return Source(named.imported, rows=rows(file, named, aside))


def from_nvbench(file: Path, columns: Path, aside: Counter[str]) -> Source:
    """The JSON of nvbench or cuda-bench; a time that is one of its cold ones follows a flush of the L2."""
    named: Columns = read_columns(columns)
    named = replace(named, flushed=named.time.startswith(nvbench.COLD))
    cells = list(nvbench.table(read_bytes(file), file, aside))
    names = {name for row in cells for name in row}
    return Source(named.imported, rows=rows_of(cells, names, named, aside, file))
