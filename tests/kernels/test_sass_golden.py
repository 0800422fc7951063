"""Machine code of every kernel for every architecture, against the promise and against the golden tables.

There is a golden table per version of Triton: the newest, with which the tests compile, and those that torch
2.13 and 2.11 bring to GPU nodes. Under any other version the promises still hold, and no table is compared.

The table of the newest has digests of Triton's IR. Rows of equal IR are not compiled again, except for a
sample that has every kernel and every architecture; `scripts/acceptance` compiles them all.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import triton

from quantroof.kernels import registry
from quantroof.kernels.kernel import Skip
from quantroof.kernels.sass import table
from quantroof.kernels.sass.nvrtc import nvrtc_version
from quantroof.kernels.sass.table import Row, declared, jobs, machine_code_table
from tests.kernels.golden import ARCHITECTURES, FILES, golden, ir_digests, sample

_CUDA = ("cupy.int4",)
_VERSION = triton.__version__
_REGENERATE = "the kernels changed: python -m tests.kernels.golden > tests/data/machine_code.json"


def _has_digests() -> bool:
    return _VERSION in FILES and "ir" in golden(_VERSION)


@pytest.fixture(scope="module")
def compiled() -> list[Row]:
    """What is compiled here: the sample, and everything where the golden table has no digests."""
    return table.rows_of(sample(_VERSION), workers=1) if _has_digests() else _all()


@pytest.fixture(scope="module")
def machine_code(compiled: list[Row]) -> list[Row]:
    """Every row with what is declared today, compiled or from the golden table."""
    if not _has_digests():
        return compiled
    rows = {_key(row): row for row in msgspec.convert(golden(_VERSION)["rows"], list[Row])}
    rows |= {_key(row): row for row in compiled}
    return [_as_declared(row) for row in rows.values()]


def _all() -> list[Row]:
    return machine_code_table(ARCHITECTURES)


def _as_declared(row: Row) -> Row:
    code = registry.load().kernels[row.kernel].machine_code
    program = table.program_of(table.Job(row.kernel, row.case, row.arch))
    if code is None or isinstance(program, Skip):
        return msgspec.structs.replace(row, reason=program.reason if isinstance(program, Skip) else None)
    row = msgspec.structs.replace(
        row, expected=code.expects.get(row.arch), budget=code.budget_of(row.case, row.arch)
    )
    return msgspec.structs.replace(row, verdict=table.verdict_of(row))


@pytest.mark.skipif(not _has_digests(), reason="the golden table of this Triton has no digests")
def test_every_kernel_is_the_one_of_the_golden_table() -> None:
    """Triton's compiler gets the same IR and options for every row: the table is that of today's kernels."""
    assert ir_digests() == golden(_VERSION)["ir"], _REGENERATE


def test_every_kernel_keeps_its_promise(machine_code: list[Row]) -> None:
    """Declared instruction class, no spills, within the budget of a weight, or a Skip with its reason."""
    assert [row for row in machine_code if row.verdict is not None] == []
    assert all(row.reason for row in machine_code if row.status == "skipped")


def test_every_compiled_architecture_declares_its_class(machine_code: list[Row]) -> None:
    """Every compiled row has a declaration that it is compared with."""
    assert [row for row in machine_code if row.status == "compiled" and row.expected is None] == []


def test_int4_gemv_takes_at_most_3_instructions_per_weight_on_hopper(machine_code: list[Row]) -> None:
    """An H200 leaves 3.9 instructions per weight at full bandwidth; the budget is 3.0."""
    (row,) = [
        r
        for r in machine_code
        if r.arch == "sm_90a"
        and r.case == "gemv/int4.g128-bf16-bf16/m1-n4096-k4096"
        and r.kernel == "triton.int4"
    ]
    assert row.instructions_per_weight is not None
    assert row.instructions_per_weight <= 3.0


def test_the_golden_table_is_what_compiles_today(machine_code: list[Row]) -> None:
    """A change is a reviewed difference: the sample compiled, declarations and skips of all rows."""
    _assert_golden(machine_code)


@pytest.mark.slow
def test_the_whole_golden_table_is_what_compiles_today() -> None:
    """The same of all rows, those with equal IR too."""
    _assert_golden(_all())


def _assert_golden(rows: list[Row]) -> None:
    if _VERSION not in FILES:
        pytest.skip(f"golden tables are of triton {', '.join(FILES)}, this is {_VERSION}")
    committed = {_key(row): row for row in msgspec.convert(golden(_VERSION)["rows"], list[Row])}
    wanted = {(job.kernel, job.case, job.arch) for job in jobs(ARCHITECTURES)}
    assert committed.keys() == wanted == {_key(row) for row in rows}, _REGENERATE
    if nvrtc_version() != golden(_VERSION)["nvrtc"]:  # another version of the compiler of CUDA C++
        rows = [row for row in rows if row.kernel not in _CUDA]
    assert [row for row in rows if row != committed[_key(row)]] == [], _REGENERATE


def test_the_sample_has_every_kernel_and_every_architecture() -> None:
    """Whatever is not compiled in this suite has a row of its kernel and one of its architecture that is."""
    chosen = sample("3.9.0")
    assert {job.kernel for job in chosen} == {kernel.name for kernel in declared()}
    assert {job.arch for job in chosen if job.kernel not in _CUDA} == set(ARCHITECTURES)


def test_all_tritons_compile_to_the_same_classes_without_spills() -> None:
    """Versions differ in counts; in class only for int8 on sm_100a, which has tcgen05 since 3.8."""
    new, *older = ({_name(row): row for row in golden(version)["rows"]} for version in FILES)
    for old in older:
        assert old.keys() == new.keys()
        differ = {k for k in old if old[k].get("instruction_class") != new[k].get("instruction_class")}
        assert {(kernel, arch) for kernel, _, arch in differ} == {
            ("triton.int8", "sm_100a"),
            ("triton.quant+int8", "sm_100a"),
        }
    assert [k for table in (new, *older) for k, row in table.items() if row.get("verdict")] == []


@pytest.mark.parametrize(
    ("found", "expected", "fits"),
    [
        ("matrix:HMMA", "matrix:HMMA", True),
        ("matrix:IMMA", "matrix:HMMA", False),
        ("matrix:UTCIMMA", "matrix:IMMA|UTCIMMA", True),
        ("matrix:IMMA", "matrix:IMMA|UTCIMMA", True),
        ("matrix:HMMA", "matrix:IMMA|UTCIMMA", False),
        ("simt:FFMA", "simt", True),
        ("matrix:HMMA", "simt", False),
        (None, "simt", False),
    ],
)
def test_a_class_is_one_of_the_declared(found: str | None, expected: str, fits: bool) -> None:
    """One opcode, one of two where compilers differ, or any opcode of a unit."""
    assert table._is_class(found, expected) == fits


def test_kernels_with_device_code_of_ours_are_all_declared() -> None:
    """Every kernel of the providers triton and cupy is in the table."""
    ours = {k.name for k in registry.load().kernels.values() if k.provider in ("triton", "cupy")}
    assert ours == {k.name for k in declared()}


def _key(row: Row) -> tuple[str, str, str]:
    return row.kernel, row.case, row.arch


def _name(row: dict[str, Any]) -> tuple[str, str, str]:
    return row["kernel"], row["case"], row["arch"]
