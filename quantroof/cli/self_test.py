"""`quantroof doctor --self-test`: every path of the bench once on a device, from options to an exit code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from quantroof.cli.options import absolute
from quantroof.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from quantroof.bench.selftest.process import Answer

DEFAULT_LIMIT_S = 300
DEFAULT_FOLDER = Path("runs") / "self-test"
FILE_NAME = "selftest.jsonl"


def run_self_test(
    devices: tuple[str, ...], out: Path | None, kernels: tuple[str, ...], limit_s: float
) -> int:
    """Test one device: a line per failure, everything in selftest.jsonl. Exit code 1: something failed."""
    from quantroof.bench.selftest.run import SelfTestOptions, counts, self_test
    from quantroof.hwprofiles.detect import detect
    from quantroof.hwprofiles.select import select
    from quantroof.kernels.foreign import file_and_name

    for kernel in kernels:
        file_and_name(kernel)
    device = select(detect(), devices)[0]
    if device.kind == "sim":
        raise UsageError("a simulated device has nothing to test", where="--device")
    file = (out or DEFAULT_FOLDER) / FILE_NAME
    click.echo(f"self-test of {device.id} {device.name}, at most {limit_s:.0f} s, into {file}", err=True)
    options = SelfTestOptions(device, file, limit_s, tuple(map(absolute, kernels)))
    answers = self_test(options, lambda answer: click.echo(failure_line(answer)))
    for group, (right, failed) in counts(answers).items():
        click.echo(f"{group}: {right} ok, {failed} failed")
    failures = sum(not answer.ok for answer in answers)
    if failures:
        click.echo(f"{failures} checks failed; the whole tracebacks are in {file}")
        return ExitCode.FINDING
    return ExitCode.OK


def failure_line(answer: Answer) -> str:
    """One line of a failure: the last line of its traceback names the error."""
    lines = (answer.error or "").strip().splitlines()
    return f"FAILED {answer.group} {answer.check}: {lines[-1][:200] if lines else 'no reason'}"
