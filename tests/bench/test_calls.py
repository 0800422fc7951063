"""Functions of a user's own, measured in this process: checked before and after, cold, with their counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from quantroof.bench.calls.measure import UNCHECKED, measure_call
from quantroof.bench.local import local_bench
from quantroof.bench.settings import Settings
from quantroof.hwprofiles.types import Device
from quantroof.kernels.calls.call import Call
from quantroof.records.lines import Measurement

FILE = Path(__file__).parent / "calls.py"
X, Y = "x: fp32[M, N]", "y: fp32[M, N] = out"


def _measured(cpu: Device, name: str, *args: str, **fields: object) -> Measurement:
    call = Call(
        function=f"{FILE}:{name}",
        name=name,
        args=args or (X,),
        axes=("M=8", "N=64"),
        **fields,  # type: ignore[arg-type]
    )
    settings = Settings(precision=0.5, min_samples=3, max_samples=20, seconds_per_case=0.02, calls=(call,))
    return measure_call(local_bench(cpu, settings), call.cases()[0], f"calls.{name}")


@pytest.mark.parametrize(
    ("name", "args", "bytes_moved"),
    [("honest", (X, "scale = 1/2"), 4096), ("writes", (X, Y), 4096)],
)
def test_an_honest_function_has_a_time_an_error_and_its_bytes(
    cpu: Device, name: str, args: tuple[str, ...], bytes_moved: int
) -> None:
    """Cold copies of its arguments; every argument and output counts once."""
    line = _measured(cpu, name, *args, reference=f"{FILE}:exact", flops="5*M*N")

    assert line.status == "ok", line.reason
    assert line.timing is not None
    assert line.timing.copies > 1
    assert line.accuracy is not None
    assert line.accuracy.frobenius < 1e-6
    assert (line.flops, line.bytes_moved) == (5 * 8 * 64, bytes_moved)
    assert UNCHECKED not in {flag.code for flag in line.flags}


def test_without_a_reference_the_record_says_that_nothing_was_compared(cpu: Device) -> None:
    """A flag and no error, because an error against itself would look like a proof."""
    line = _measured(cpu, "honest")

    assert line.status == "ok"
    assert line.accuracy is None
    assert UNCHECKED in {flag.code for flag in line.flags}


@pytest.mark.parametrize("reference", [f"{FILE}:exact", None])
def test_a_kept_result_is_noticed_with_and_without_a_reference(cpu: Device, reference: str | None) -> None:
    """The arguments change in place between timed calls, and the output must follow."""
    line = _measured(cpu, "cached", reference=reference)

    assert (line.status, line.timing) == ("incorrect", None)
    assert "changed between timed calls" in (line.reason or "")


@pytest.mark.parametrize(
    ("name", "args", "status", "words"),
    [
        ("wrong", (X,), "incorrect", "is above the tolerance 1e-05"),
        ("half", (X, Y), "incorrect", "NaN or infinity where its reference has none"),
        ("nothing", (X,), "incorrect", "returns NoneType and no tensor"),
        ("raises", (X,), "failed", "no such layout"),
        ("leaves", (X,), "failed", "SystemExit"),
    ],
)
def test_what_goes_wrong_is_a_status_with_its_reason(
    cpu: Device, name: str, args: tuple[str, ...], status: str, words: str
) -> None:
    """A wrong or failing function costs its own record only, and has no time."""
    line = _measured(cpu, name, *args, reference=f"{FILE}:exact")

    assert (line.status, line.timing) == (status, None)
    assert words in (line.reason or "")


def test_a_function_that_writes_into_its_argument_is_incorrect(cpu: Device) -> None:
    """Its next call would compute something else."""
    line = _measured(cpu, "in_place")

    assert line.status == "incorrect"
    assert "write into x: mark it as `= out`" in (line.reason or "")


@pytest.mark.parametrize(("tolerance", "status"), [(1e-9, "incorrect"), (1e-3, "ok")])
def test_the_tolerance_is_the_users(cpu: Device, tolerance: float, status: str) -> None:
    """fp32 against fp64 differs by more than 1e-9 and by less than 1e-3."""
    assert _measured(cpu, "honest", reference=f"{FILE}:exact", tolerance=tolerance).status == status
