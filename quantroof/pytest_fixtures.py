"""Fixtures of the pytest plugin: device time in pytest-benchmark, taken by our sampler.

pytest-benchmark times by calling a clock before and after a function. The clock here is a virtual one that
moves by what our sampler measured, so statistics, --benchmark-save, compare and compare-fail work with device
time. Only its public interface is used: a marker with the timer, and `pedantic`, which never calibrates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from quantroof.errors import QuantroofError

if TYPE_CHECKING:
    from quantroof.bench.measure import Bench
    from quantroof.bench.settings import Settings
    from quantroof.bench.workers.handle import Worker
    from quantroof.hwprofiles.types import Device
    from quantroof.pytest_run import PytestRun
    from quantroof.records.lines import Measurement, Timing

_FIXTURE = "gpu_benchmark"
_SUITE_FIXTURE = "quantroof_case"


class VirtualClock:
    """A clock in seconds that only moves when it is told to."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        """The time."""
        return self.now_s


_CLOCK = VirtualClock()


@dataclass(frozen=True, slots=True)
class PlannedTest:
    """One case and kernel of a suite on a device, under the suite's limits; `skip` says why it cannot run."""

    device: Device
    case: str
    kernel: str
    settings: Settings
    skip: str | None

    @property
    def id(self) -> str:
        """`cpu:0-gemm/...-torch.linear`."""
        return f"{self.device.id}-{self.case}-{self.kernel}"


class GpuBenchmark:
    """Times a callable and hands the samples to pytest-benchmark, one round per sample."""

    def __init__(self, benchmark: Any, request: pytest.FixtureRequest) -> None:
        self._benchmark, self._request = benchmark, request

    def __call__(
        self, call: Callable[..., Any], *tensors: Any, cold: bool = True, seconds: float = 1.0, **info: Any
    ) -> Timing | None:
        """Time `call(*tensors)` on the device; returns the raw timing, None if benchmarks are disabled.

        `tensors` are cloned past the last-level cache and used in turn, so that `call` meets them cold; with
        `cold=False` they stay where they are. On a GPU it is captured in a CUDA graph where that can be done.
        """
        if self._benchmark.disabled:
            call(*tensors)
            return None
        from quantroof.bench.measure import time_prepared
        from quantroof.kernels.kernel import Prepared

        bench = _local(self._request.config.getoption("quantroof_device"), cold=cold, seconds=seconds)
        run = _run(self._request.config, bench)
        timing, state, flags = time_prepared(bench, Prepared(tensors, call, hot=()))
        if run is not None:
            name = getattr(call, "__name__", type(call).__name__)
            try:
                run.add(self._request.node.name, name, tensors, (timing, state, flags))
            except QuantroofError as error:
                pytest.fail(str(error), pytrace=False)
        self.record(timing, device=bench.device.name, flags=[flag.text for flag in flags], **info)
        return timing

    def record(self, timing: Timing, **info: Any) -> None:
        """Hand samples that were taken elsewhere to pytest-benchmark."""
        waiting = iter(timing.samples_ns)

        def tick() -> None:
            _CLOCK.now_s += next(waiting) / 1e9

        how = {"time": "device", "timer": timing.method, "cache": timing.cache, "mode": timing.mode}
        self._benchmark.extra_info.update(how, **info)
        self._benchmark.pedantic(tick, rounds=len(timing.samples_ns), iterations=1, warmup_rounds=0)


@pytest.fixture
def gpu_benchmark(benchmark: Any, request: pytest.FixtureRequest) -> GpuBenchmark:
    """Time a GPU function: `gpu_benchmark(torch.mm, a, b)`."""
    return GpuBenchmark(benchmark, request)


_RUN = pytest.StashKey["PytestRun"]()


def _run(config: pytest.Config, bench: Bench) -> PytestRun | None:
    """The run directory of this session, begun by its first function; None where none was asked for."""
    out = config.getoption("quantroof_out")
    if out is None:
        return None
    if _RUN not in config.stash:
        from quantroof.pytest_run import PytestRun

        try:
            config.stash[_RUN] = PytestRun(Path(out), bench)
        except QuantroofError as error:
            pytest.exit(f"--quantroof-out: {error}", returncode=int(error.exit_code))
    return config.stash[_RUN]


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """End the process of this session in its run directory."""
    if (run := session.config.stash.get(_RUN, None)) is not None:
        run.end(complete=exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED))


@pytest.fixture(scope="session")
def suite_workers() -> Iterator[dict[str, Worker]]:
    """One worker process a device, for all suite tests of the session."""
    workers: dict[str, Worker] = {}
    yield workers
    for worker in workers.values():
        worker.kill()


@pytest.fixture
def suite_benchmark(
    gpu_benchmark: GpuBenchmark, quantroof_case: PlannedTest, suite_workers: dict[str, Worker]
) -> Callable[[], None]:
    """Measure the test's case in its device's worker process, and hand it to pytest-benchmark."""

    def run() -> None:
        if quantroof_case.skip is not None:
            pytest.skip(quantroof_case.skip)
        line = _measured(quantroof_case, suite_workers)
        if line.timing is None:
            (pytest.skip if line.status == "skipped" else pytest.fail)(f"{line.status}: {line.reason}")
        info = {"case": line.case, "kernel": line.kernel, "flops": line.flops, "bytes": line.bytes_moved}
        gpu_benchmark.record(line.timing, device=quantroof_case.device.name, status=line.status, **info)

    return run


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Give tests that use the fixture the virtual clock, in addition to their own benchmark marker."""
    for item in items:
        if _is_ours(item):
            own = item.get_closest_marker("benchmark")
            options = {**(own.kwargs if own else {}), "timer": _CLOCK}
            item.add_marker(pytest.mark.benchmark(**options), append=False)  # the closest marker wins


def _is_ours(item: pytest.Item) -> bool:
    """Whether a test uses our fixture, and not one of its project with the same name."""
    definitions = getattr(getattr(item, "_fixtureinfo", None), "name2fixturedefs", {}).get(_FIXTURE, ())
    return bool(definitions) and definitions[-1].func.__module__ == __name__


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test per case and kernel of the suite on every device."""
    if _SUITE_FIXTURE not in metafunc.fixturenames:
        return
    try:
        planned = _planned(metafunc.config)
    except QuantroofError as error:
        raise pytest.UsageError(str(error)) from None
    metafunc.parametrize(_SUITE_FIXTURE, planned, ids=[test.id for test in planned])


def _planned(config: pytest.Config) -> list[PlannedTest]:
    from quantroof.bench.plan import make_plan
    from quantroof.bench.settings import Settings
    from quantroof.bench.suite import load
    from quantroof.records.run import RunOptions

    name = config.getoption("quantroof_suite")
    suite = load(name)
    tests = []
    run_options = RunOptions(suite=name)
    for device in _devices(config.getoption("quantroof_device")):
        limits = Settings.resolve(suite.workload(device).limits, run_options)
        for planned in make_plan(suite, device, run_options).cases:
            tests += [PlannedTest(device, x.case, x.kernel, limits, x.reason) for x in planned.skipped]
            tests += [PlannedTest(device, planned.case.id, x.name, limits, None) for x in planned.kernels]
    return tests


def _measured(test: PlannedTest, workers: dict[str, Worker]) -> Measurement:
    from quantroof.bench.workers import protocol
    from quantroof.bench.workers.handle import Worker, WorkerLost

    if test.device.id not in workers:
        workers[test.device.id] = Worker(test.device, test.settings)
    request = protocol.MeasureCase(case=test.case, kernels=(test.kernel,))
    try:
        answers = list(workers[test.device.id].ask(request, test.settings.case_timeout_s))
    except WorkerLost as error:
        workers.pop(test.device.id).kill()
        pytest.fail(str(error))
    answer = answers[0]
    assert isinstance(answer, protocol.MeasurementReply)
    return answer.measurement


def _devices(device_text: str | None) -> tuple[Device, ...]:
    from quantroof.hwprofiles.detect import detect
    from quantroof.hwprofiles.select import select

    return select(detect(), (device_text,) if device_text else ())


def _local(device_text: str | None, *, cold: bool, seconds: float) -> Bench:
    from quantroof.bench.local import local_bench
    from quantroof.bench.settings import Settings
    from quantroof.bench.suite import StoppingLimits
    from quantroof.records.run import RunOptions

    run_options = RunOptions(cache="cold" if cold else "hot", seconds_per_case=seconds)
    return local_bench(_devices(device_text)[0], Settings.resolve(StoppingLimits(), run_options))
