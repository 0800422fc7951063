"""The verdict that a run ends in: did its kernels work, may its figures be used, are its devices sound."""

from __future__ import annotations

from collections.abc import Sequence

from quantroof.analysis.device_results import DeviceResults, device_results
from quantroof.analysis.health import judge_health
from quantroof.analysis.trust import Trust, trust_of
from quantroof.analysis.verdicts import Verdict
from quantroof.records.directory import Run

WRONG = ("incorrect", "failed")


def run_trust(run: Run) -> Trust:
    """The trust in all devices of a run together, for its last line."""
    return trust_of(run.measurements, run.ceilings)


def run_verdict(run: Run, results: Sequence[DeviceResults] | None = None) -> Verdict:
    """`failed` and `degraded` speak against kernels or devices; `unknown` is a run that may not be used.

    A device that only lacks a reference, such as a CPU alone, does not make its run unknown.
    """
    results = device_results([run]) if results is None else results
    wrong = sum(line.status in WRONG for line in run.measurements)
    if wrong:
        return Verdict(
            "failed", f"{wrong} kernel{'' if wrong == 1 else 's'} failed or computed a wrong result"
        )
    unusable = [one for one in results if one.timed and not one.trust.usable]
    health = judge_health(list(results)).verdict
    if health.state in ("failed", "degraded"):
        return health
    if unusable:
        return Verdict("unknown", unusable[0].trust.words)
    if not any(one.timed for one in results) and not run.ceilings:
        return Verdict("unknown", "nothing was timed")
    return Verdict("ok")
