"""Plans: who measures what, in which order devices take their turns, and what is refused and why."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from quantroof.bench.memory import available_bytes, need_bytes, shortage
from quantroof.bench.plan import NO_KERNEL, make_plan
from quantroof.bench.provenance import environment
from quantroof.bench.run import execute, new_job, resumed_job
from quantroof.bench.suite import load, parse
from quantroof.errors import UsageError
from quantroof.hwprofiles.types import Device
from quantroof.kernels.cases import Case
from quantroof.kernels.schemes import SCHEMES
from quantroof.records.directory import Run, RunWriter, read_run
from quantroof.records.run import RunOptions
from tests.bench.conftest import SUITE
from tests.builders import cpu_device, gpu_device

GPUS = tuple(gpu_device(index) for index in range(2))


def _order(devices: tuple[Device, ...], run_options: RunOptions) -> list[list[list[str]]]:
    job = new_job(run_options, devices, ("quantroof",))
    return [[[f"{p.device.id}#{p.process}" for p in queue] for queue in stage] for stage in job.stages()]


def test_gpus_run_side_by_side_and_the_cpu_after_them() -> None:
    """The CPU would be disturbed by the GPUs' launches, and they by it."""
    stages = _order((*GPUS, cpu_device()), RunOptions(suite="quick"))

    assert stages == [[["cuda:0#0"], ["cuda:1#0"]], [["cpu:0#0"]]]


def test_serial_is_one_after_another() -> None:
    """For boxes whose devices share power."""
    assert _order(GPUS, RunOptions(suite="quick", serial=True)) == [[["cuda:0#0", "cuda:1#0"]]]


def test_processes_are_rounds_over_all_devices() -> None:
    """Every device is measured once before any is measured again, so that drift is shared."""
    job = new_job(RunOptions(suite="quick", processes=2), GPUS, ("quantroof",))

    assert [(p.device.id, p.process) for p in job.plans] == [
        ("cuda:0", 0),
        ("cuda:1", 0),
        ("cuda:0", 1),
        ("cuda:1", 1),
    ]
    assert {p.concurrent for p in job.plans} == {2}
    assert [p.ceilings for p in job.plans] == [True, True, False, False]


@pytest.mark.parametrize(("suite", "measured_s"), [("default", 109.0), ("default", 121.0), ("quick", 19.0)])
def test_the_estimate_is_within_30_percent_of_what_an_idle_host_took(
    cpu: Device, suite: str, measured_s: float
) -> None:
    """Wall seconds from the header to the end of three runs on an idle 2-core host, 2026-11-29."""
    estimate_s = new_job(RunOptions(suite=suite), (cpu,), ()).estimate_s()

    assert estimate_s == pytest.approx(measured_s, rel=0.3)


def test_sustained_runs_use_their_whole_time(cpu: Device) -> None:
    """No precision ends a sustained run early, so a case is estimated at its three seconds at least."""
    plan = make_plan(load("quick"), cpu, RunOptions(suite="quick", mode="sustained"))

    assert plan.estimate_s() > 3.0 * plan.timed


def test_a_format_nobody_implements_here_is_a_recorded_skip(cpu: Device) -> None:
    """tf32 on a CPU is refused by the kernel that is made for it; a scheme without kernels is named, too."""
    text = SUITE.replace('["fp32", "int4-w4a16"]', '["tf32"]')
    plan = make_plan(parse(text, "t"), cpu, RunOptions())

    assert plan.timed == 0
    assert {(m.kernel, m.reason) for p in plan.cases for m in p.skipped} == {
        ("torch.linear", "tf32 is a GPU tensor core type")
    }
    only_triton = make_plan(parse(SUITE, "t"), cpu, RunOptions(providers=("triton",)))
    assert {m.kernel for p in only_triton.cases for m in p.skipped} == {NO_KERNEL}


def test_what_does_not_fit_is_skipped_with_its_need(cpu: Device) -> None:
    """A device with 1 MB of memory cannot hold the case, and the reason gives both numbers in bytes."""
    plan = make_plan(parse(SUITE, "t"), replace(cpu, memory_bytes=1 << 20), RunOptions())
    reasons = {m.reason for p in plan.cases for m in p.skipped}

    assert plan.timed == 0
    assert all(r is not None and "bytes of memory" in r for r in reasons)


@pytest.mark.parametrize(("share", "fits"), [(0.79, True), (0.81, False)])
def test_a_case_may_take_four_fifths_of_the_memory(share: float, fits: bool) -> None:
    """The rest is left to the libraries' own workspaces."""
    case, device = Case.linear(SCHEMES["bf16"], 16, 4096, 4096), gpu_device()
    memory = round(need_bytes(case, device) / share)

    assert (shortage(case, replace(device, memory_bytes=memory)) is None) is fits


@pytest.mark.parametrize(
    ("name", "free", "usable"), [("NVIDIA GB10", 1 << 50, 128e9), ("NVIDIA X", 10e9, 10e9)]
)
def test_a_gpu_that_reports_no_memory_has_its_profiles_or_the_hosts(
    monkeypatch: pytest.MonkeyPatch, name: str, free: float, usable: float
) -> None:
    """Unified memory is the host's: a case beyond the smaller of both is skipped, not tried."""
    host = SimpleNamespace(available=free)
    monkeypatch.setattr("quantroof.bench.memory.psutil.virtual_memory", lambda: host)
    device = replace(gpu_device(name=name), memory_bytes=None, profile_id=None)

    assert available_bytes(device) == pytest.approx(0.8 * usable, rel=0.08)


def test_variables_that_steer_the_libraries_are_recorded_and_folders_are_not() -> None:
    """What makes a product 48 times slower stands in the header; the folder of a cache decides no number."""
    set_here = {
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "TRITON_CACHE_DIR": "/tmp",
        "HOME": "/root",
        "OMP_NUM_THREADS": "1",
        "TORCHINDUCTOR_MAX_AUTOTUNE": "1",
        "NCCL_ALGO": "Ring",
        "CUPY_TF32": "1",
    }
    folders = {"TRITON_CACHE_DIR", "HOME"}

    assert environment(set_here) == {k: v for k, v in set_here.items() if k not in folders}


@pytest.mark.parametrize("error", [ValueError("a defect"), UsageError("a fault")])
def test_every_run_has_an_end_whatever_stops_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """A reader sees a failed run and its reason, not one that seems to go on."""

    def broken(*_: object) -> None:
        raise error

    nobody: Any = None
    job = new_job(RunOptions(suite="quick"), (cpu_device(),), ("quantroof",))
    monkeypatch.setattr("quantroof.bench.run.Scheduler.run", broken)
    with RunWriter.create(tmp_path / "run", job.info) as writer, pytest.raises(type(error)):
        execute(job, writer, nobody)
    (end,) = read_run(tmp_path / "run").ends

    assert end.outcome == "failed"
    assert str(error) in (end.reason or "")


def test_a_resumed_run_wants_its_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of a run in another precision would be one run of two machines; an old header asks for nothing."""
    monkeypatch.delenv("NVIDIA_TF32_OVERRIDE", raising=False)
    info = new_job(RunOptions(suite="quick"), (GPUS[0],), ("quantroof",)).info
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "0")

    with pytest.raises(UsageError, match="its environment changed: NVIDIA_TF32_OVERRIDE not set -> 0"):
        resumed_job(Run(tmp_path, info), GPUS)
    resumed_job(Run(tmp_path, replace(info, environment=None)), GPUS)


@pytest.mark.parametrize(
    ("change", "words"),
    [({"usable_cores": 1}, "threads 2 -> 1"), ({"isa": ("avx2",)}, r"instruction sets -avx512f \(")],
)
def test_a_resumed_run_wants_the_cpu_as_it_was(
    tmp_path: Path, cpu: Device, change: dict[str, Any], words: str
) -> None:
    """Fewer threads, or instruction sets that a hypervisor hides, are another machine of the same name."""
    assert cpu.cpu is not None
    before = replace(cpu, cpu=replace(cpu.cpu, usable_cores=2, isa=("avx2", "avx512f")))
    run = Run(tmp_path, new_job(RunOptions(suite="quick"), (before,), ("quantroof",)).info)

    assert resumed_job(run, (before,)).plans
    assert before.cpu is not None
    with pytest.raises(UsageError, match=words):
        resumed_job(run, (replace(before, cpu=replace(before.cpu, **change)),))


def test_a_resumed_run_wants_the_very_device(tmp_path: Path) -> None:
    """The same index with another UUID or name is another GPU, and the run does not continue on it."""
    job = new_job(RunOptions(suite="quick"), (GPUS[0],), ("quantroof",))
    run = Run(path=tmp_path, info=job.info)

    assert resumed_job(run, GPUS).plans
    for other in (replace(GPUS[0], uuid="GPU-another"), replace(GPUS[0], name="NVIDIA A30")):
        with pytest.raises(UsageError, match="which is not here"):
            resumed_job(run, (other,))


def test_a_resumed_plan_holds_only_what_is_left(cpu: Device) -> None:
    """Done lines of process 0 leave; those of another process do not count for it."""
    plan = make_plan(parse(SUITE, "t"), cpu, RunOptions())
    first = (*plan.keys[0], 0)

    assert plan.without({first}, (), past_ceilings=True).timed == plan.timed - 1
    assert plan.without({(*plan.keys[0], 1)}, (), past_ceilings=True).timed == plan.timed


def test_a_named_kernel_that_matches_no_case_is_refused(tmp_path: Path, cpu: Device) -> None:
    """It would be a run without the kernel that it was started for, and exit code 0."""
    suite = tmp_path / "half.toml"
    suite.write_text(SUITE.replace('"fp32", "int4-w4a16"', '"bf16"'))
    faulty = f"{Path(__file__).parent / 'faulty.py'}:WRONG"

    with pytest.raises(UsageError, match=r"kernel faulty\.wrong is made for no case of this run"):
        new_job(RunOptions(suite=str(suite), kernels=(faulty,)), (cpu,), ("quantroof",))


@pytest.mark.parametrize(("providers", "others"), [(None, set()), (("torch",), {"torch.linear"})])
def test_a_named_kernel_runs_alone_or_beside_named_providers(
    providers: tuple[str, ...] | None, others: set[str], cpu: Device
) -> None:
    """Other kernels, and cases that it is not made for, are planned only where a provider is named."""
    faulty = f"{Path(__file__).parent / 'faulty.py'}:WRONG"
    plan = make_plan(parse(SUITE, "t"), cpu, RunOptions(kernels=(faulty,), providers=providers))
    timed = {kernel.name for planned in plan.cases for kernel in planned.kernels}
    skipped = {m.kernel for planned in plan.cases for m in planned.skipped}

    assert timed - {"faulty.wrong"} >= others
    assert "faulty.wrong" in timed
    assert (timed == {"faulty.wrong"}) is not bool(others)
    assert skipped == set()
