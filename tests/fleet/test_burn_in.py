"""`quantroof doctor --burn-in` by its real command: simulated nodes with planted faults, and the CPU."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from quantroof.bench.links.bus import BRIEF, FULL
from quantroof.bench.run import Job, execute
from quantroof.cli.main import main
from quantroof.cli.progress import Display
from quantroof.fleet.burn_in import BurnIn, BurnInOptions
from quantroof.hwprofiles.detect import detect
from quantroof.hwprofiles.select import select
from quantroof.records.directory import RunWriter, read_run
from quantroof.records.latest import FILE_NAME
from quantroof.records.run import RunOptions
from tests.builders import gpu_device

NODE = "sim:h100-sxm5-80gb*8"


def burn_in(folder: Path, device: str = NODE, *options: str) -> tuple[int, dict[str, Any]]:
    """Exit code and document of one burn-in in a process of its own."""
    command = [sys.executable, "-m", "quantroof", "doctor", "--burn-in", "--quiet", "--json"]
    done = subprocess.run(
        [*command, "--device", device, "--out", str(folder), *options],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, document


def test_eight_gpus_take_about_three_minutes(tmp_path: Path) -> None:
    """The estimate of a burn-in of eight GPUs side by side: its links count, and suspects double it."""
    devices = tuple(gpu_device(index) for index in range(8))
    work = BurnIn(BurnInOptions(devices, tmp_path))
    once, again = work.estimate_s()
    without_links = sum(replace(job, links=None).estimate_s() for job in work._jobs)

    assert once - without_links == pytest.approx(FULL.estimate_s(8))
    assert 30 < FULL.estimate_s(8) < 120
    assert FULL.estimate_s(1) < BRIEF.estimate_s(8) < FULL.estimate_s(8)
    assert once < 240
    assert again == 2 * once


def test_a_sound_node_is_healthy(tmp_path: Path) -> None:
    """Eight GPUs alike: all healthy, exit code 0, two runs kept, and nothing hides that it is simulated."""
    code, found = burn_in(tmp_path)

    assert code == 0
    assert (found["verdict"], found["reason"], found["simulated"]) == ("ok", None, True)
    assert [gpu["verdict"] for gpu in found["gpus"]] == ["ok"] * 8
    assert {mode for gpu in found["gpus"] for mode in gpu["modes"]} == {"burst", "sustained"}
    assert [read_run(Path(run)).info.processes for run in found["runs"]] == [3, 1]


@pytest.mark.parametrize(
    ("fault", "verdict", "code", "words"),
    [
        ("compute", "degraded", "compute", "against siblings"),
        ("memory", "degraded", "memory", "against siblings"),
        ("throttle", "degraded", "throttling", "thermal or hardware slowdown"),
        ("ecc", "failed", "ecc_errors", "uncorrectable ECC errors"),
        ("pcie", "failed", "pcie_width", "PCIe runs on 8 lanes, the card supports 16"),
        ("crash", "failed", "kernels_failed", "the worker process was killed"),
        ("dead", "failed", "kernels_failed", "the worker process was killed"),
        ("nostart", "failed", "no_start", "the worker process did not start"),
    ],
)
def test_a_planted_fault_is_the_first_reason(
    fault: str, verdict: str, code: str, words: str, tmp_path: Path
) -> None:
    """The sick GPU comes first with the right verdict and reason, its siblings are healthy, exit code 1."""
    left, found = burn_in(tmp_path, f"{NODE}+{fault}@3")
    worst, *others = found["gpus"]

    assert left == 1
    assert found["verdict"] == worst["verdict"] == verdict
    assert worst["device"] == "sim:h100-sxm5-80gb#3"
    assert worst["reasons"][0]["code"] == code
    assert words in worst["reasons"][0]["text"]
    assert found["reason"].startswith("sim:h100-sxm5-80gb#3: ")
    assert {gpu["verdict"] for gpu in others} == {"ok"}


def test_what_stops_every_gpu_is_no_gpus_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where no worker starts at all the environment is broken: exit code 3 and one line, no verdict."""
    faults = "".join(f"+nostart@{n}" for n in range(8))
    with pytest.raises(SystemExit) as ended:
        main(["doctor", "--burn-in", "--device", NODE + faults, "--out", str(tmp_path), "--quiet"])
    told = capsys.readouterr()

    assert ended.value.code == 3
    assert told.out == ""
    assert told.err.splitlines()[-1].startswith("error: the worker process did not start")


def test_two_faults_are_told_gravest_first(tmp_path: Path) -> None:
    """A failed GPU makes the node failed, whatever a degraded one says."""
    _, found = burn_in(tmp_path, f"{NODE}+compute@1+ecc@6")

    assert [gpu["verdict"] for gpu in found["gpus"]][:3] == ["failed", "degraded", "ok"]
    assert found["gpus"][0]["device"].endswith("#6")


def test_a_suspect_is_measured_again_before_a_verdict(tmp_path: Path) -> None:
    """What was slow once and not twice is healthy, with a note; what is slow twice says so."""
    code, passing = burn_in(tmp_path / "a", f"{NODE}+passing@2")
    _, slow = burn_in(tmp_path / "b", f"{NODE}+compute@2")
    notes = {r["code"] for gpu in passing["gpus"] for r in gpu["reasons"]}

    assert code == 0
    assert len(passing["runs"]) == len(slow["runs"]) == 4
    assert notes == {"cleared"}
    assert "measured again" in slow["reason"]


def test_versions_that_differ_are_notes_and_no_verdict(tmp_path: Path) -> None:
    """Another VBIOS than its siblings' is worth a line and no more."""
    code, found = burn_in(tmp_path, f"{NODE}+vbios@4")
    notes = [(gpu["device"], r["text"]) for gpu in found["gpus"] for r in gpu["reasons"]]

    assert code == 0
    assert notes == [("sim:h100-sxm5-80gb#4", "VBIOS is SIM.02, on most siblings SIM.01")]
    assert "2 VBIOS versions: SIM.01 (7), SIM.02 (1)" in found["remarks"]


def test_a_node_is_held_against_its_own_past(tmp_path: Path) -> None:
    """Two GPUs are too few to be compared: ok by their datasheet at first, ok beside an equal past, and
    degraded where a later run in the same folder is slower (1)."""
    pair = "sim:h100-sxm5-80gb*2"
    first, found = burn_in(tmp_path, pair)
    second, _ = burn_in(tmp_path, pair)
    third, slow = burn_in(tmp_path, f"{pair}+compute@1")

    assert (first, second, third) == (0, 0, 1)
    assert found["reason"] == "by datasheet and self-report; fewer than 4 siblings"
    assert slow["gpus"][0]["reasons"][0]["code"] == "compute_past"
    assert "against its own past, measured again" in slow["reason"]


def elsewhere(found: dict[str, Any]) -> None:
    """Make the runs of a burn-in those of another node."""
    for run in found["runs"]:
        file = Path(run) / FILE_NAME
        name = json.loads(file.read_text().splitlines()[0])["host"]["name"]
        file.write_text(file.read_text().replace(f'"name":"{name}"', '"name":"node-elsewhere"', 1))


def test_other_nodes_in_the_folder_are_no_siblings(tmp_path: Path) -> None:
    """A folder that nodes share: two GPUs stay too few, whoever measured there before."""
    _, other = burn_in(tmp_path)
    elsewhere(other)
    code, found = burn_in(tmp_path, "sim:h100-sxm5-80gb*2")

    assert code == 0
    assert "fewer than 4 siblings" in found["reason"]


def test_broken_runs_in_the_folder_cost_a_line(tmp_path: Path) -> None:
    """A burn-in that was cut off before its first case, or half a file, does not stop the next; a past that
    was named and cannot be read is a usage error before any load."""
    _, first = burn_in(tmp_path)
    for number, run in enumerate(first["runs"]):
        file = Path(run) / FILE_NAME
        file.write_text(file.read_text().splitlines(keepends=True)[0][: None if number else -40])
    code, found = burn_in(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["doctor", "--burn-in", "--device", NODE, "--out", str(tmp_path / "b"), "--past", "nothing"])

    assert (code, found["verdict"]) == (0, "ok")
    assert len(found["problems"]) == 2
    assert ended.value.code == 2
    assert not (tmp_path / "b").exists()


def test_a_node_slow_alike_shows_beside_a_reference(tmp_path: Path) -> None:
    """Siblings that are all 10 % slow agree with each other; runs of another node do not."""
    _, sound = burn_in(tmp_path / "sound")
    elsewhere(sound)
    faults = "".join(f"+compute@{n}" for n in range(8))
    alone, _ = burn_in(tmp_path / "alone", NODE + faults)
    code, found = burn_in(tmp_path / "beside", NODE + faults, "--reference", str(tmp_path / "sound"))

    assert alone == 0
    assert code == 1
    assert {gpu["verdict"] for gpu in found["gpus"]} == {"degraded"}
    assert found["gpus"][0]["reasons"][0]["code"] == "compute_reference"
    assert "of the reference's median (8 GPUs)" in found["reason"]


def test_a_gpu_that_is_missing_fails_the_node(tmp_path: Path) -> None:
    """`--expect-gpus 8` on a node that shows seven."""
    code, found = burn_in(tmp_path, "sim:h100-sxm5-80gb*7", "--expect-gpus", "8")

    assert code == 1
    assert (found["verdict"], found["reason"]) == ("failed", "7 GPUs are present, 8 are expected")


def test_without_a_gpu_it_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Exit code 3 and what else could be named; options of --burn-in alone are a usage error."""
    if detect().gpus:
        pytest.skip("there is a GPU here")
    codes = []
    for arguments in (["--burn-in", "--out", str(tmp_path)], ["--dry-run"]):
        with pytest.raises(SystemExit) as ended:
            main(["doctor", *arguments])
        codes.append(ended.value.code)
    told = capsys.readouterr()

    assert codes == [3, 2]
    assert told.out == ""
    assert len(told.err.splitlines()) == 2
    assert "--device cpu" in told.err


def test_the_text_says_verdict_and_reason_first(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """SIMULATED, the node's line, a line per GPU, the sick one first; the estimate goes to stderr."""
    with pytest.raises(SystemExit):
        main(["doctor", "--burn-in", "--device", f"{NODE}+pcie@5", "--out", str(tmp_path), "--quiet"])
    told = capsys.readouterr()
    lines = told.out.splitlines()

    assert lines[0].startswith("SIMULATED")
    assert ": failed: sim:h100-sxm5-80gb#5: PCIe runs on 8 lanes" in lines[1]
    assert lines[3].startswith("sim:h100-sxm5-80gb#5  failed")
    assert told.err.startswith("burst and sustained load on 8 devices at once")


def test_a_burn_in_of_the_cpu_that_is_cut_off_keeps_what_was_measured(tmp_path: Path) -> None:
    """Real workers: SIGTERM after a few cases ends with 130, and the run can be read."""
    command = [sys.executable, "-m", "quantroof", "doctor", "--burn-in", "--device", "cpu", "--out"]
    process = subprocess.Popen([*command, str(tmp_path)], stderr=subprocess.PIPE, text=True)
    for _ in range(600):
        time.sleep(0.1)
        files = list(tmp_path.rglob(FILE_NAME))
        if files and b'"kind":"measurement"' in files[0].read_bytes():
            break
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=60)
    run = read_run(files[0])

    assert process.returncode == 130, told
    assert run.measurements
    assert run.ends[-1].outcome == "interrupted"
    assert f"quantroof fleet {tmp_path}" in told


SMALL = """schema = "quantroof-suite/1"
name = "small"
description = "one small case, by torch and by a kernel that dies"
providers = ["torch", "faulty"]
[limits]
precision = 0.2
seconds_per_case = 0.1
[[sweep]]
shapes = [{n = 256, k = 256}]
m = [1]
formats = ["fp32"]
"""


def test_a_real_worker_that_dies_is_named_as_the_reason(tmp_path: Path) -> None:
    """A kernel that kills its process on the CPU: the device failed, with what happened to the worker; what
    torch measured beside it is kept."""
    suite = tmp_path / "small.toml"
    suite.write_text(SMALL)
    faulty = Path(__file__).parent.parent / "bench" / "faulty.py"
    named = (f"{faulty}:SEGFAULT",)
    run_options = RunOptions(suite=str(suite), kernels=named, providers=("torch",), ceilings=False)
    cpu = select(detect(), ["cpu"])

    def measure(job: Job, directory: Path) -> None:
        with RunWriter.create(directory, job.info) as writer, Display(job, quiet=True) as display:
            execute(job, writer, display)

    found = BurnIn(BurnInOptions(cpu, tmp_path / "runs", run_options=run_options, heating=("fp32",))).run(
        measure
    )
    kept = [line.status for d in found.directories for line in read_run(d).measurements]

    assert found.node.verdict.state == "failed"
    assert "3 kernels failed here (" in (found.node.verdict.reason or "")
    assert "SIGSEGV" in (found.node.verdict.reason or "") or "signal 11" in (found.node.verdict.reason or "")
    assert (kept.count("ok"), kept.count("failed")) == (4, 4)
