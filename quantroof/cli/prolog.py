"""`quantroof doctor --prolog`: a node in front of a job, one line and an exit code within a time limit."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from quantroof.cli.burn_in import BurnInFlags, selected_devices
from quantroof.errors import EnvironmentMissing, ExitCode, QuantroofError

if TYPE_CHECKING:
    from quantroof.analysis.verdicts import State
    from quantroof.bench.run import Job
    from quantroof.fleet.contracts import Contract
    from quantroof.fleet.node import NodeReport
    from quantroof.fleet.prolog import Prolog, PrologOptions
    from quantroof.records.lines import Ceiling, Measurement

DEFAULT_LIMIT_S = 15.0
_LAST_S = 0.5
"""This long before the limit the process ends, whatever it was doing."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """The limit of one check, in seconds of the monotonic clock; no scratch files stay behind."""

    limit_s: float
    at: float
    contract: Contract
    scratch: Path

    def after(self, moment: float, action: Callable[[], int]) -> None:
        """From `moment` on, whatever the process is doing: act, and end with the code that comes back."""

        def end(_number: int, _frame: object) -> None:
            code = action()
            shutil.rmtree(self.scratch, ignore_errors=True)
            sys.stdout.flush()
            os._exit(code)  # without joining threads; workers end with this process

        signal.signal(signal.SIGALRM, end)
        signal.setitimer(signal.ITIMER_REAL, max(0.01, moment - time.monotonic()))

    def hold(self) -> None:
        """End shortly before the limit without a verdict."""
        self.after(self.at - _LAST_S, lambda: _say("unknown", "no verdict in time", self.contract))


def prolog(flags: BurnInFlags, contract: Contract, limit_s: float) -> int:
    """Check the node and print one line; the process ends within the limit, even if a worker hangs."""
    with tempfile.TemporaryDirectory(prefix="quantroof-prolog-", ignore_cleanup_errors=True) as scratch:
        at = time.monotonic() - _age_s() + limit_s
        deadline = Deadline(limit_s, at, contract, Path(scratch))
        deadline.hold()
        try:
            return _checked(flags, deadline)
        except EnvironmentMissing as error:
            return _say(
                "failed" if flags.expected else "unknown", error.what, contract
            )  # 80 characters hold no hint
        except QuantroofError as error:
            return _say("unknown", f"{error}", contract)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)


def _checked(flags: BurnInFlags, deadline: Deadline) -> int:
    from quantroof.fleet.policy import Policy
    from quantroof.fleet.prolog import JUDGE_S, Prolog, PrologOptions

    policy = Policy() if flags.floor is None else Policy(floor=flags.floor)
    devices, expected = selected_devices(flags)
    options = PrologOptions(
        devices, flags.out or deadline.scratch, flags.past, flags.reference, policy,
        expected, deadline.limit_s, command=("quantroof", *sys.argv[1:]),
    )  # fmt: skip
    check = Prolog(options)
    if flags.dry_run:
        _print_plan(check, options)
        return ExitCode.OK

    def judge() -> int:
        deadline.hold()
        return _report(check.report(cut_off=True), deadline.contract)

    deadline.after(deadline.at - JUDGE_S, judge)
    node = check.run(_measured)
    deadline.hold()
    return _report(node, deadline.contract)


class _Silent:
    """No progress: its words would take longer to import than a class of kernels takes to measure."""

    def line(self, line: Ceiling | Measurement) -> None:
        """A line was written."""


def _measured(job: Job, directory: Path) -> None:
    from quantroof.bench.run import execute
    from quantroof.records.directory import RunWriter

    with RunWriter.create(directory, job.info) as writer:
        execute(job, writer, _Silent())


def _print_plan(check: Prolog, options: PrologOptions) -> None:
    from quantroof.units import percent

    click.echo(f"{len(options.devices)} devices at once, a verdict within {options.limit_s:.0f} s")
    for test in check.visible():
        losses = ", ".join(f"{percent(loss, 1)} by {name}" for name, loss in test.losses.items())
        click.echo(
            f"{test.name}: {test.cases} cases of at most {test.seconds:.2f} s; sees a loss of {losses}"
        )


def _report(node: NodeReport, contract: Contract) -> int:
    from quantroof.fleet.contracts import code_for
    from quantroof.fleet.next_steps import reason_line

    click.echo(reason_line(node))
    return code_for(node.verdict.state, contract)


def _say(state: State, text: str, contract: Contract) -> int:
    from quantroof.fleet.contracts import code_for
    from quantroof.fleet.next_steps import one_line

    click.echo(one_line(state, text))
    return code_for(state, contract)


def _age_s() -> float:
    """How long this process has been running: imports count against the limit."""
    import psutil

    return max(0.0, time.time() - float(psutil.Process().create_time()))
