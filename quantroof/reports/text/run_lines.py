"""A run as lines: its plan with what is skipped, each measurement as it arrives, and the final counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from quantroof.analysis.statistics import median_interval
from quantroof.analysis.trust import Trust
from quantroof.analysis.verdicts import Verdict
from quantroof.bench.plan import DevicePlan
from quantroof.bench.run import Job
from quantroof.records.directory import Run
from quantroof.records.lines import Ceiling, Measurement, Status, case_words


def headlines(job: Job) -> list[str]:
    """A line per device, or per group of devices that measure the same."""
    return [_headline(*group) for group in _alike(job)]


def _alike(job: Job) -> list[tuple[list[DevicePlan], int]]:
    """The plans of one device, one per process, and how many devices have the same, in their order."""
    devices: dict[str, list[DevicePlan]] = {}
    for plan in job.plans:
        devices.setdefault(plan.device.id, []).append(plan)
    groups: dict[Any, list[list[DevicePlan]]] = {}
    for first, *others in devices.values():
        key = (first.device.name, *_measured(first).items(), *_skipped(first).items())
        groups.setdefault(key, []).append([first, *others])
    return [(group[0], len(group)) for group in groups.values()]


def _headline(plans: list[DevicePlan], devices: int) -> str:
    """`cpu:0 Intel Xeon: 84 cases, 84 measurements, about 2.9 min`, for one of devices that are alike."""
    plan = plans[0]
    what = f"{_counted(len(plan.cases), 'case')}, {_counted(plan.timed, 'measurement')}"
    what += f" in each of {len(plans)} processes" if len(plans) > 1 else ""
    long = duration(sum(one.estimate_s() for one in plans), simulated=plan.device.kind == "sim")
    several = f" and {devices - 1} more" if devices > 1 else ""
    return f"{plan.device.id}{several} {plan.device.name}: {what}{' on each' if several else ''}, {long}"


def plan_lines(job: Job) -> list[str]:
    """The plan as text: the estimate first, then one line per format, then refusals by reason."""
    lines = [f"in all {duration(job.estimate_s(), simulated=job.info.simulated)}; suite {job.info.suite}"]
    for plans, devices in _alike(job):
        plan = plans[0]
        lines.append(_headline(plans, devices))
        lines += [f"  {count:5d} x {what}" for what, count in _measured(plan).items()]
        lines += [f"  skip {count:3d} x {what}" for what, count in _skipped(plan).items()]
    return lines


def plan_document(job: Job) -> dict[str, Any]:
    """The plan as one JSON document."""
    return {
        "suite": job.info.suite,
        "estimate_s": job.estimate_s(),
        "devices": [
            {
                "device": plan.device.id,
                "name": plan.device.name,
                "estimate_s": plan.estimate_s(),
                "cases": [
                    {
                        "case": planned.case.id,
                        "kernels": [k.name for k in planned.kernels],
                        "skipped": [{"kernel": m.kernel, "reason": m.reason} for m in planned.skipped],
                    }
                    for planned in plan.cases
                ],
            }
            for plan in job.plans
        ],
    }


def result_line(record: Ceiling | Measurement) -> str:
    """One line of plain text for what was just measured."""
    if isinstance(record, Ceiling):
        what = f"ceiling {record.name} {record.kernel}"
    else:
        what = f"{case_words(record.case)}, {record.kernel}"
    if record.timing is None:
        return f"{record.device} {what}: {record.status}, {record.reason}"
    interval = median_interval(record.timing.samples_ns)
    mark = " SIMULATED" if record.status == "simulated" else ""
    width = f"+-{interval.relative_half_width:.1%}" if interval.samples > 1 else "(one sample)"
    rate = _rate(record, interval.median / 1e9) if isinstance(record, Ceiling) else ""
    return f"{record.device} {what}: {interval.median / 1e3:.1f} us {width}{rate}{mark}"


def progress_line(device: str, done: int, total: int, seconds: float, latest: str | None) -> str:
    """`cpu:0 12 of 144 after 30 s: bf16, M 16, 4096x4096, torch.linear: 41.2 us +-0.4%`."""
    text = "starting" if latest is None else latest.removeprefix(f"{device} ")
    return f"{device} {done} of {total} after {minutes(seconds)}: {text}"


def counts_line(counts: Mapping[Status, int]) -> str:
    """How many measurements ended with each status."""
    return ", ".join(f"{number} {status}" for status, number in sorted(counts.items()))


def verdict_line(verdict: Verdict, trust: Trust) -> str:
    """The last line of a run: `unknown: 144 timed, 144 disturbed: ...; do not use`."""
    if verdict.state == "ok":
        return f"ok: {trust.words}" if trust.usable else verdict.state
    return f"{verdict.state}: {verdict.reason}"


def run_document(directory: str, run: Run, verdict: Verdict, trust: Trust) -> dict[str, Any]:
    """A finished run as data."""
    return {
        "directory": directory,
        "run_id": run.info.run_id,
        "verdict": verdict.state,
        "reason": verdict.reason,
        "timed": trust.timed,
        "disturbed": trust.disturbed,
        "counts": dict(Counter(m.status for m in run.measurements)),
    }


def _rate(ceiling: Ceiling, seconds: float) -> str:
    if ceiling.bytes_moved is not None:
        return f" {ceiling.bytes_moved / seconds / 1e9:.1f} GB/s"
    return f" {(ceiling.flops or 0) / seconds / 1e12:.3f} TFLOP/s"


def duration(seconds: float, *, simulated: bool) -> str:
    """What the plan takes on an idle machine; a simulation takes seconds, and has the estimate of its GPU."""
    about = f"about {minutes(seconds)}"
    return f"{about} on such a device, seconds to simulate" if simulated else about


def minutes(seconds: float) -> str:
    """`41 s`, `2.9 min`."""
    return f"{seconds:.0f} s" if seconds < 60 else f"{seconds / 60:.1f} min"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _measured(plan: DevicePlan) -> Counter[str]:
    return Counter(f"{p.case.scheme} {kernel.name}" for p in plan.cases for kernel in p.kernels)


def _skipped(plan: DevicePlan) -> Counter[str]:
    return Counter(f"{m.kernel}: {m.reason}" for p in plan.cases for m in p.skipped)
