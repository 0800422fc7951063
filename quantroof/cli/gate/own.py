"""`quantroof gate` alone: baseline, candidate, check and explanation, as `gate.toml` says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from quantroof.cli.gate.check import Surfaces, print_report, write_surfaces
from quantroof.cli.gate.options import listed
from quantroof.cli.output import note
from quantroof.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from quantroof.gate.check import Report
    from quantroof.gate.own import Own

_NEXT = {
    ExitCode.OK: "nothing is slower by more than this gate detects",
    ExitCode.FINDING: "slower when measured again too: look at the cases above, or waive them",
    ExitCode.ENVIRONMENT: "no verdict on the code: repeat it on an idle machine of the same kind",
    ExitCode.UNDECIDED: "neither confirmed nor ruled out: repeat it, or raise run.pairs in the policy",
}


class OwnFlags(msgspec.Struct, frozen=True, kw_only=True):
    """Where the policy is, and what of it the command line replaces."""

    policy: Path
    device: str | None
    base: str | None
    out: Path
    cases: Path | None


def run_own(flags: OwnFlags, surfaces: Surfaces, *, as_json: bool) -> int:
    """Do everything that the policy's [run] asks for, and return the exit code of the check."""
    from quantroof.gate.own import own_check
    from quantroof.gate.worktree import ending_by_signal

    with ending_by_signal():  # so that the run that is being measured ends with this command
        report = own_check(_own(flags), note)
    print_report(report, as_json=as_json)
    write_surfaces(report, surfaces)
    note(_explained(report))
    return int(report.exit_code)


def _explained(report: Report) -> str:
    return _NEXT[report.exit_code]


def _own(flags: OwnFlags) -> Own:
    from quantroof.bench.suite import load
    from quantroof.gate.own import Own, base_revision
    from quantroof.gate.policy import read_policy
    from quantroof.hwprofiles.detect import detect
    from quantroof.hwprofiles.select import select

    if not flags.policy.is_file():
        hint = "quantroof gate init writes one"
        raise UsageError("no such file", where=str(flags.policy), hint=hint)
    policy = read_policy(flags.policy)
    if policy.run is None:
        raise UsageError("has no [run]", where=str(flags.policy), hint="quantroof gate init shows one")
    text = flags.device or policy.run.device
    devices = select(detect(), (text,) if text else ())
    if len(devices) != 1:
        names = ", ".join(device.id for device in devices)
        raise UsageError(f"a gate judges one device, here are {names}", hint="choose one with --device")
    device = devices[0]
    calls = load(policy.run.suite).workload(device).calls
    base = base_revision(flags.base or policy.run.base)
    only = listed(flags.cases)
    return Own(policy, policy.run, device, text or device.id, calls, flags.out, base, only)
