"""The plan of a run: which kernels measure which cases, what is skipped and why, and the expected time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import msgspec

from quantroof.bench.memory import shortage
from quantroof.bench.settings import Settings
from quantroof.bench.suite import Suite, Workload
from quantroof.errors import UsageError
from quantroof.hwprofiles.types import Device, Processor
from quantroof.kernels.calls import functions
from quantroof.kernels.calls.call import Call
from quantroof.kernels.cases import Case
from quantroof.kernels.kernel import BrokenCheck, Kernel, Skip
from quantroof.kernels.registry import load
from quantroof.kernels.schemes import scheme
from quantroof.records.lines import GroupKey, Measurement
from quantroof.records.run import RunOptions

NO_KERNEL = "none"
REPEATED = ("read", "copy")
"""The bandwidths that are measured again at the end of a run: a device that changed its state shows there."""

# For the estimate only. CPU: fitted to two runs of `default` and one of `quick` on an idle 2-core host
# (2026-11-29); precision ends most sampling before its time is up. Making and checking data grows with the
# weights. GPU: allowances, not measured.
_SAMPLING_SHARE = {"cpu": 0.7, "gpu": 1.0}
_FIXED_S = {"cpu": 0.05, "gpu": 0.15}
_PER_WEIGHT_S = {"cpu": 1.0e-8, "gpu": 2.0e-10}
_CEILINGS_S = {"cpu": 13.0, "gpu": 120.0}
_QUICK_CEILINGS_S = {"cpu": 8.0, "gpu": 20.0}
_START_S = {"cpu": 5.0, "gpu": 8.0}  # a worker imports torch and opens the device
_ANCHORS_S = 4.0  # a process: two of them, twice


@dataclass(frozen=True, slots=True)
class PlannedCase:
    """A case with the kernels to time, and the records of those that will not be timed, with reasons."""

    case: Case
    kernels: tuple[Kernel, ...]
    skipped: tuple[Measurement, ...]

    @property
    def keys(self) -> list[tuple[str, str]]:
        """(case id, kernel name) of every line this case will give."""
        return [*((m.case, m.kernel) for m in self.skipped), *((self.case.id, k.name) for k in self.kernels)]


@dataclass(frozen=True, slots=True)
class DevicePlan:
    """Everything to do on one device."""

    device: Device
    settings: Settings
    cases: tuple[PlannedCase, ...]
    ceilings: bool
    ceilings_done: tuple[GroupKey, ...] = ()
    ceilings_at_end: bool = False
    anchors: bool = False
    process: int = 0
    concurrent: int = 1

    @property
    def keys(self) -> list[tuple[str, str, str]]:
        """(device, case, kernel) of every line, in order."""
        return [(self.device.id, *key) for planned in self.cases for key in planned.keys]

    @property
    def timed(self) -> int:
        """How many measurements take time."""
        return sum(len(planned.kernels) for planned in self.cases)

    def estimate_s(self) -> float:
        """Expected wall time in seconds on an idle machine; of a simulated device, that of the real one."""
        processor = self.device.processor
        rule = self.settings.rule()
        share = 1.0 if rule.precision is None else _SAMPLING_SHARE[processor]
        each = share * rule.seconds + _FIXED_S[processor]
        weights = ((max(p.case.n, p.case.weight_rows) * p.case.k, len(p.kernels)) for p in self.cases)
        setup = sum(size * kernels for size, kernels in weights) * _PER_WEIGHT_S[processor]
        return _START_S[processor] + self.timed * each + setup + self._extra_s(processor)

    def _extra_s(self, processor: Processor) -> float:
        ceilings = _QUICK_CEILINGS_S if self.settings.quick_ceilings else _CEILINGS_S
        again = self.ceilings and not self.ceilings_done
        return (ceilings[processor] if again else 0.0) + (_ANCHORS_S if self.anchors else 0.0)

    def without(
        self,
        done: set[tuple[str, str, str, int]],
        ceilings_done: tuple[GroupKey, ...],
        *,
        past_ceilings: bool,
    ) -> DevicePlan:
        """What is left of the plan once some lines are written.

        Ceilings that are missing are measured where a worker is needed anyway, or where the run was
        interrupted before it was past them.
        """
        here = {key[:3] for key in done if key[3] == self.process}
        left = (_without(planned, self.device.id, here) for planned in self.cases)
        cases = tuple(planned for planned in left if planned.kernels or planned.skipped)
        todo = any(planned.kernels for planned in cases)
        return replace(
            self,
            cases=cases,
            ceilings=self.ceilings and (todo or not past_ceilings),
            ceilings_done=ceilings_done,
            ceilings_at_end=self.ceilings_at_end and todo,
            anchors=self.anchors and todo,
        )

    def repeated(self, processes: int) -> list[DevicePlan]:
        """One plan per process: ceilings and refusals in the first, every kernel in each."""
        again = tuple(replace(planned, skipped=()) for planned in self.cases if planned.kernels)
        last = processes - 1
        rest = [
            replace(self, cases=again, ceilings=False, ceilings_at_end=self.ceilings and p == last, process=p)
            for p in range(1, processes)
        ]
        return [replace(self, ceilings_at_end=self.ceilings and not last), *rest]


def make_plans(suite: Suite, devices: tuple[Device, ...], options: RunOptions) -> tuple[DevicePlan, ...]:
    """Every device's plan once per process: all devices in the first process, then all in the second..."""
    gpus = sum(device.processor == "gpu" for device in devices)
    plans = []
    for device in devices:
        alone = options.serial or device.processor == "cpu"
        plans.append(replace(make_plan(suite, device, options), concurrent=1 if alone else gpus))
    _require_matches(plans, options.kernels)
    repeats = [plan.repeated(options.processes) for plan in plans]
    return tuple(plan for round_of_plans in zip(*repeats, strict=True) for plan in round_of_plans)


def make_plan(suite: Suite, device: Device, options: RunOptions) -> DevicePlan:
    """Match a suite's cases on a device with kernels. UsageError for unknown formats and providers."""
    workload = suite.workload(device)
    settings = Settings.resolve(workload.limits, options, workload.calls)
    cases, kernels = _wanted(suite, workload, options.formats), _kernels(workload, options)
    if options.kernels and not options.providers:
        cases = [c for c in cases if c.operation == "call" or any(k.made_for(c, device) for k in kernels)]
    called = _call_kernels_by_case(workload)
    planned = tuple(
        _plan_case(case, device, _only(workload, case, called.get(case.id, kernels))) for case in cases
    )
    return DevicePlan(device, settings, planned, options.ceilings, anchors=options.anchors)


def _kernels(workload: Workload, options: RunOptions) -> list[Kernel]:
    """The kernels that the user named alone, or beside those of named providers; else the suite's."""
    registry = load(options.kernels)
    named = [registry.kernels[name] for name in registry.files.values()]
    if not named or options.providers:
        others = registry.for_providers(options.providers or workload.providers)
        return [*(kernel for kernel in others if kernel not in named), *named]
    return named


def _only(workload: Workload, case: Case, kernels: list[Kernel]) -> list[Kernel]:
    """The kernels that a list of cases and kernels names, all without one."""
    return [k for k in kernels if not workload.only or f"{case.id} {k.name}" in workload.only]


def _call_kernels_by_case(workload: Workload) -> dict[str, list[Kernel]]:
    kernels: dict[str, dict[str, Kernel]] = {}
    for call in workload.calls:
        own = {kernel.name: kernel for kernel in call_kernels(call)}
        for case in call.cases():
            kernels.setdefault(case.id, {}).update(own)
    return {case: list(by_name.values()) for case, by_name in kernels.items()}


def call_kernels(call: Call) -> list[Kernel]:
    """The functions of a call as kernels: the function itself first. A worker loads and calls them."""
    return [
        Kernel(
            name=name,
            provider=functions.provider_of(reference),
            schemes=(),
            build=_called_in_worker,
            operations=("call",),
            source=None if functions.is_torch(reference) else str(functions.split(reference)[0]),
        )
        for name, reference in call.kernels.items()
    ]


def foreign_functions(calls: Iterable[Call]) -> frozenset[str]:
    """The names of the functions that come from a user's file."""
    kernels = (kernel for call in calls for kernel in call_kernels(call))
    return frozenset(kernel.name for kernel in kernels if kernel.source is not None)


def _called_in_worker(_problem: object) -> Skip:
    raise AssertionError("a function of the user's own is called, not built")


def _require_matches(plans: list[DevicePlan], references: tuple[str, ...]) -> None:
    """UsageError where a kernel that the user named is made for no case of the run."""
    planned = {kernel for plan in plans for _, _, kernel in plan.keys}
    for reference, name in load(references).files.items():
        if name not in planned:
            hint = "its schemes, operations and targets must match a case of the suite"
            raise UsageError(f"kernel {name} is made for no case of this run", where=reference, hint=hint)


def kernels_of(plans: Iterable[DevicePlan]) -> list[Kernel]:
    """Every kernel that some plan times, once."""
    kernels = {kernel.name: kernel for plan in plans for planned in plan.cases for kernel in planned.kernels}
    return list(kernels.values())


def _wanted(suite: Suite, workload: Workload, formats: tuple[str, ...] | None) -> Iterable[Case]:
    """The cases in the formats that the user chose, all without a choice."""
    if formats is None:
        return workload.cases
    names = {scheme(name).name for name in formats}
    cases = [case for case in workload.cases if case.scheme in names]
    if not cases:
        here = ", ".join(dict.fromkeys(case.scheme for case in workload.cases))
        raise UsageError(f"no case of {suite.where} has one of these formats", hint=f"it has {here}")
    return cases


def skipped_line(case: Case, device: Device, kernel: str, provider: str, reason: str) -> Measurement:
    """The record of a kernel that will not be timed."""
    return Measurement(
        device=device.id,
        case=case.id,
        kernel=kernel,
        provider=provider,
        status="skipped",
        reason=reason,
        flops=case.flops,
        bytes_moved=case.bytes_moved,
    )


def _plan_case(case: Case, device: Device, kernels: list[Kernel]) -> PlannedCase:
    meant = [k for k in kernels if case.operation == "call" or k.made_for(case, device)]
    if not meant:
        return PlannedCase(case, (), (_nobody(case, device, kernels),))
    if lack := shortage(case, device):
        lines = tuple(skipped_line(case, device, k.name, k.provider, lack) for k in meant)
        return PlannedCase(case, (), lines)
    able, refused = [], []
    for kernel in meant:
        if skip := kernel.check(case, device):
            line = skipped_line(case, device, kernel.name, kernel.provider, skip.reason)
            refused.append(
                msgspec.structs.replace(line, status="failed") if isinstance(skip, BrokenCheck) else line
            )
        else:
            able.append(kernel)
    return PlannedCase(case, tuple(able), tuple(refused))


def _nobody(case: Case, device: Device, kernels: list[Kernel]) -> Measurement:
    """The record of a case that no kernel is made for, so that it is not silently absent."""
    providers = ", ".join(sorted({k.provider for k in kernels}))
    reason = f"no {case.scheme} kernel for a {device.processor.upper()} from {providers}"
    return skipped_line(case, device, NO_KERNEL, NO_KERNEL, reason)


def _without(planned: PlannedCase, device: str, done: set[tuple[str, str, str]]) -> PlannedCase:
    kernels = tuple(k for k in planned.kernels if (device, planned.case.id, k.name) not in done)
    skipped = tuple(m for m in planned.skipped if m.key not in done)
    return PlannedCase(planned.case, kernels, skipped)
