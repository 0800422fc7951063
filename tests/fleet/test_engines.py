"""Real engines: a Ray cluster of this machine with eight pretended GPUs, and submitit's local executor."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from quantroof.cli.main import main
from quantroof.fleet.launch import on_ray, on_submitit
from quantroof.fleet.launch.options import LaunchOptions
from quantroof.records.directory import read_run

ROOT = Path(__file__).parent.parent.parent
SIM = "sim:h100-sxm5-80gb"
# Long enough to be cut off in the middle: one case per process.
LONG = ("--suite", "quick", "--format", "bf16", "--processes", "1000")


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    """A cluster with eight CPUs and eight GPUs that nobody has."""
    module = pytest.importorskip("ray")
    environment = {"env_vars": {"PYTHONPATH": str(ROOT)}}
    module.init(num_cpus=8, num_gpus=8, include_dashboard=False, log_to_driver=False, runtime_env=environment)
    yield module
    module.shutdown()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # ray's own
def test_ray_runs_eight_tasks_on_eight_devices(ray: Any, tmp_path: Path) -> None:
    """Each task sees one device of its own, and eight whole runs come back."""
    sweep = on_ray.launch(LaunchOptions(str(tmp_path), ("--suite", "quick"), device=SIM), 8, None)

    assert sweep.lost == []
    assert {result.visible for result in sweep.results} == {str(n) for n in range(8)}
    assert all(read_run(Path(result.directory)).complete for result in sweep.results)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("ray")
def test_the_command_runs_a_simulated_sweep_on_ray(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`fleet launch --engine ray --device sim:...` prints eight whole runs, and `fleet` judges them."""
    engine = f"fleet launch --engine ray --count 8 --device {SIM} --folder {tmp_path} -- --suite quick"
    with pytest.raises(SystemExit) as ended:
        main(engine.split())
    directories = capsys.readouterr().out.split()
    with pytest.raises(SystemExit):
        main(["fleet", *directories])

    assert ended.value.code == 0
    assert len(set(directories)) == 8
    assert all(read_run(Path(directory)).complete for directory in directories)
    assert "SIMULATED" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_ray_goes_on_after_a_killed_worker(ray: Any, tmp_path: Path) -> None:
    """What was measured before the kill is kept, no case is measured twice, and none is missing."""
    file = tmp_path / "run-00000" / "run.jsonl"
    kept: list[int] = []
    killer = threading.Thread(target=_kill_the_worker_of, args=(file, kept))
    killer.start()
    sweep = on_ray.launch(LaunchOptions(str(tmp_path), LONG, device=SIM), 1, None)
    killer.join()
    run = read_run(file)

    assert sweep.lost == []
    assert kept
    assert len(run.measurements) == len(run.done()) == len(run.info.plan) * run.info.processes
    assert len(run.measurements) > kept[0] > 0


def _kill_the_worker_of(file: Path, kept: list[int]) -> None:
    """Wait until a run is under way, then kill the Ray worker that started it."""
    for _ in range(600):
        time.sleep(0.05)
        lines = file.read_bytes().count(b"\n") if file.exists() else 0
        if lines > 50:
            break
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            arguments = (entry / "cmdline").read_bytes().split(b"\0")
            if str(file.parent).encode() in arguments:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                kept.append(lines)
                os.kill(parent, signal.SIGKILL)
                return


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_submitit_runs_tasks_and_names_what_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its local executor runs the same tasks; a task that cannot run is named after its retries."""
    pytest.importorskip("submitit")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    job = LaunchOptions(str(tmp_path / "a"), ("--suite", "quick"), device=SIM)
    good = on_submitit.launch(job, ["n1", "n2"], "local")
    job = LaunchOptions(str(tmp_path / "b"), ("--suite", "nonesuch"), retries=1, device=SIM)
    bad = on_submitit.launch(job, ["n1"], "local")

    assert good.lost == []
    assert all(read_run(Path(result.directory)).complete for result in good.results)
    assert bad.results == []
    assert bad.lost[0].startswith("n1: ")
    assert "nonesuch" in bad.lost[0]
