"""`quantroof doctor --prolog`: one line, the host's exit code, and an end within the limit."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from quantroof.analysis.verdicts import STATES, State
from quantroof.bench.run import Job, execute, new_job
from quantroof.cli.main import main
from quantroof.cli.progress import Display
from quantroof.fleet import prolog as fleet_prolog
from quantroof.fleet.contracts import CONTRACTS, Contract, code_for
from quantroof.fleet.kept import FIRST, LATEST, forget
from quantroof.fleet.next_steps import REASON_LENGTH
from quantroof.fleet.prolog import Prolog, PrologOptions
from quantroof.hwprofiles.detect import detect
from quantroof.hwprofiles.simulated import simulated_devices
from quantroof.records.directory import RunWriter, read_run
from tests.builders import gpu_device

NODE = "sim:h100-sxm5-80gb*8"
SCRIPT = Path(__file__).parents[2] / "docs" / "slurm" / "prolog.sh"
CODES: dict[Contract, tuple[int, ...]] = {
    "exit": (1, 1, 4, 0),
    "slurm": (1, 1, 0, 0),
    "nvsentinel": (1, 1, 2, 0),
    "npd": (1, 1, 2, 0),
}


@pytest.fixture(autouse=True)
def fresh_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The age of the process counts against the limit; that of pytest must not."""
    monkeypatch.setattr("quantroof.cli.prolog._age_s", lambda: 0.0)


def check(capsys: pytest.CaptureFixture[str], device: str, *options: str) -> tuple[int, str]:
    """Exit code and the one line of a check in this process."""
    with pytest.raises(SystemExit) as ended:
        main(["doctor", "--prolog", "--time-limit", "120", "--device", device, *options])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    assert len(lines[0]) <= REASON_LENGTH
    return int(str(ended.value.code)), lines[0]


@pytest.mark.parametrize("contract", CONTRACTS)
def test_every_state_has_the_code_that_its_host_expects(contract: Contract) -> None:
    """Failed, degraded, unknown and ok, in this order, by the documents of each host."""
    assert tuple(code_for(state, contract) for state in STATES) == CODES[contract]


@pytest.mark.parametrize(
    ("fault", "state", "words"),
    [
        ("", "ok", "8 GPUs"),
        ("+compute@3", "degraded", "GPU 3 0000:1b:00.0 compute -"),
        ("+ecc@1", "failed", "GPU 1 0000:19:00.0"),
        ("+crash@4", "failed", "GPU 4 0000:1c:00.0 1 kernel failed here"),
        ("+pcie@5", "failed", "PCIe runs on 8 lanes"),
        ("+passing@2", "ok", "8 GPUs"),
    ],
)
def test_the_line_names_the_state_and_the_gpu(
    fault: str, state: State, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A sound node, planted faults, a GPU lost half-way, a broken link, and a slowness that passes."""
    code, line = check(capsys, NODE + fault)

    assert code == code_for(state, "exit")
    assert line.startswith(f"quantroof SIMULATED {state}: ")
    assert words in line


def test_a_busy_gpu_leaves_the_verdict_open(capsys: pytest.CaptureFixture[str]) -> None:
    """Other processes on one GPU: unknown, which a Slurm prolog lets pass and npd counts as unknown."""
    assert check(capsys, f"{NODE}+busy@6", "--contract", "npd")[0] == 2
    assert check(capsys, f"{NODE}+busy@6", "--contract", "slurm")[0] == 0


def test_no_gpu_is_a_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    """Where GPUs are expected their absence has failed; otherwise it is unknown. Both are one line."""
    if detect().gpus:
        pytest.skip("there is a GPU here")
    found = []
    for options in (["--expect-gpus", "8"], []):
        with pytest.raises(SystemExit) as ended:
            main(["doctor", "--prolog", "--contract", "slurm", *options])
        found.append((ended.value.code, capsys.readouterr().out))

    assert [code for code, _ in found] == [1, 0]
    for (_, line), state in zip(found, ("failed", "unknown"), strict=True):
        assert line.startswith(f"quantroof {state}: no NVIDIA driver")
        assert not line.rstrip().endswith("~"), "the reason is whole"


def test_a_simulated_node_keeps_its_host_name(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """`*8@gpu-07`: the run names the host, and other hosts have other noise."""
    first = {}
    for host in ("gpu-07", "gpu-08"):
        check(capsys, f"{NODE}@{host}", "--out", str(tmp_path / host))
        (file,) = (tmp_path / host).glob("*/run.jsonl")
        run = read_run(file.parent)
        assert run.info.host.name == host
        timings = (line.timing for line in run.measurements if line.timing is not None)
        first[host] = next(timings).samples_ns

    assert first["gpu-07"] != first["gpu-08"]


def test_a_missing_gpu_fails_the_node(capsys: pytest.CaptureFixture[str]) -> None:
    """Seven GPUs where eight are expected."""
    code, line = check(capsys, "sim:h100-sxm5-80gb*7", "--expect-gpus", "8")

    assert (code, line) == (1, "quantroof SIMULATED failed: 7 GPUs are present, 8 are expected")


def test_the_prolog_script_ends_in_time_with_a_hung_worker(tmp_path: Path) -> None:
    """A stand-in for slurmd with a limit of 20 s: the script ends by itself, names the GPU and
    drains; it leaves no scratch files."""
    wrapper = tmp_path / "quantroof"
    wrapper.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m quantroof "$@"\n')
    wrapper.chmod(0o755)
    options = f"--device {NODE}+hang@2 --time-limit 12"
    environment = {**os.environ, "QUANTROOF": str(wrapper), "QUANTROOF_PROLOG_OPTIONS": options}
    environment |= {"TMPDIR": str(tmp_path), "QUANTROOF_PAST": ""}
    started = time.monotonic()
    done = subprocess.run(
        ["bash", str(SCRIPT)], env=environment, capture_output=True, text=True, timeout=20, check=False
    )

    assert done.returncode == 1
    assert done.stdout.startswith("quantroof SIMULATED failed: GPU 2 0000:1a:00.0 no answer after 0 of ")
    assert time.monotonic() - started < 14
    assert not list(tmp_path.glob("quantroof-prolog-*"))


@pytest.mark.parametrize("options", ["--no-such-option", "--device sim:no-such-board"])
def test_the_prolog_script_never_drains_for_a_mistake(tmp_path: Path, options: str) -> None:
    """A misspelled option, a board that is not in the catalog, no installed quantroof: exit 0."""
    wrapper = tmp_path / "quantroof"
    wrapper.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m quantroof "$@"\n')
    wrapper.chmod(0o755)
    for program in (str(wrapper), str(tmp_path / "absent")):
        environment = {**os.environ, "QUANTROOF": program, "QUANTROOF_PROLOG_OPTIONS": options}
        environment["QUANTROOF_PAST"] = ""
        assert subprocess.run(["bash", str(SCRIPT)], env=environment, check=False).returncode == 0


def test_a_cold_start_imports_no_library_that_it_does_not_need() -> None:
    """A check of a simulated node imports neither torch, triton, cupy, pandas, plotly, jinja2, duckdb nor
    rich, and nothing of the reports or of the compiler's table."""
    code = (
        "import sys\nfrom quantroof.cli.main import main\n"
        f"try: main(['doctor', '--prolog', '--device', '{NODE}', '--time-limit', '60'])\n"
        "except SystemExit: pass\n"
        "names = {'torch', 'triton', 'cupy', 'pandas', 'plotly', 'jinja2', 'duckdb', 'transformers',\n"
        "         'rich', 'quantroof.analysis.health', 'quantroof.kernels.stack', 'quantroof.reports'}\n"
        "print(sorted(names & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[1:] == ["[]"]


def test_the_plan_says_what_it_can_see(capsys: pytest.CaptureFixture[str]) -> None:
    """Both classes, their cases and seconds, and a loss for each comparison; nothing is measured."""
    with pytest.raises(SystemExit) as ended:
        main(["doctor", "--prolog", "--dry-run", "--device", NODE])
    lines = capsys.readouterr().out.splitlines()

    assert ended.value.code == 0
    assert lines[0] == "8 devices at once, a verdict within 15 s"
    assert [line.split(":")[0] for line in lines[1:]] == ["memory", "compute"]
    assert all("by siblings" in line and "by its own past" in line for line in lines[1:])
    losses = [float(number) for number in re.findall(r"([0-9.]+) % by", lines[2])]
    assert losses == sorted(losses, reverse=True)
    assert losses[0] > 12 > losses[1] > 8 > 5 > losses[2]


def test_a_node_of_eight_is_planned_within_its_limit(tmp_path: Path) -> None:
    """Sampling, set-up and a second measurement of suspects fit into 15 s beside the allowances."""
    check = Prolog(PrologOptions(tuple(gpu_device(n) for n in range(8)), tmp_path))
    seconds, cases = check.visible()[0].seconds, 2 * check.visible()[0].cases

    assert cases == 6
    assert 2 * cases * (seconds + 0.25) + 7 <= 15


def test_the_plan_is_made_once_and_keeps_its_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The seconds per case follow from the plan that is run; the run's options name them as well."""
    made: list[Job] = []

    def counted(*given: Any) -> Job:
        made.append(new_job(*given))
        return made[-1]

    monkeypatch.setattr(fleet_prolog, "new_job", counted)
    check = Prolog(PrologOptions(tuple(gpu_device(n) for n in range(8)), tmp_path))

    assert len(made) == 1
    assert check._job is not None
    seconds = check.visible()[0].seconds
    assert check._job.info.options.seconds_per_case == seconds < 0.4
    assert {plan.settings.case_timeout_s for plan in check._job.plans} == {15.0}


def test_the_first_and_the_latest_checks_are_kept(tmp_path: Path) -> None:
    """Twenty checks leave the first ten and the latest five, a second measurement goes with its check, and
    nothing else in the folder is touched."""
    for number in range(20):
        (tmp_path / f"20261129-0900{number:02d}-prolog").mkdir()
    again = [tmp_path / f"20261129-0900{number}-prolog-again" for number in ("03", "12")]
    others = [tmp_path / "20261129-090012-burst", tmp_path / "notes"]
    for folder in (*again, *others):
        folder.mkdir()
    forget(tmp_path)

    kept = sorted(path.name[13:15] for path in tmp_path.glob("*-prolog"))
    assert kept == [f"{number:02d}" for number in (*range(10), *range(15, 20))]
    assert [folder.exists() for folder in (*again, *others)] == [True, False, True, True]
    forget(tmp_path)
    assert len(list(tmp_path.glob("*-prolog"))) == FIRST + LATEST


def test_what_out_keeps_is_the_past_of_the_node(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Four GPUs that all lost 10 % agree with each other, but not with the checks that --out kept."""
    node, slow = "sim:h100-sxm5-80gb*4", "".join(f"+compute@{gpu}" for gpu in range(4))
    alone, _ = check(capsys, node + slow)
    before = [check(capsys, node, "--out", str(tmp_path))[0] for _ in range(2)]
    code, line = check(capsys, node + slow, "--out", str(tmp_path))

    assert (alone, before) == (0, [0, 0])
    assert code == 1
    assert "against its own" in line


def test_healthy_nodes_pass_and_slow_gpus_are_found(tmp_path: Path) -> None:
    """Of ten seeds each: healthy nodes are ok; with a GPU that lost 10 % of its rate or 8 % of its bandwidth
    they are degraded."""

    def measure(job: Job, directory: Path) -> None:
        with RunWriter.create(directory, job.info) as writer, Display(job, quiet=True) as display:
            execute(job, writer, display)

    states: dict[str, list[str]] = {}
    for fault in ("", "+compute@3", "+memory@5"):
        for seed in range(10):
            devices = simulated_devices(f"h100-sxm5-80gb*8{fault}")
            options = PrologOptions(devices, tmp_path / f"{fault}{seed}", seed=seed)
            states.setdefault(fault, []).append(Prolog(options).run(measure).verdict.state)

    assert states == {"": ["ok"] * 10, "+compute@3": ["degraded"] * 10, "+memory@5": ["degraded"] * 10}
