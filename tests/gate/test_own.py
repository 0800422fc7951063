"""The gate in two commands in a foreign repository: init, own baseline, check, A/B with its own code."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path

import pytest

from quantroof.bench.suite import Suite, load
from quantroof.cli.gate import demo, init
from quantroof.cli.gate.select import command as select_command
from quantroof.cli.main import main
from quantroof.errors import EnvironmentMissing, ExitCode, UsageError
from quantroof.finding import Finding
from quantroof.gate.changed import Selection as Changed
from quantroof.gate.check import Report
from quantroof.gate.own import Own, base_revision, own_check
from quantroof.gate.policy import read_policy
from quantroof.gate.revisions import require_revision
from quantroof.gate.sides import Side, base_of_revision, candidate
from quantroof.gate.start import start_process
from quantroof.hwprofiles.detect import Detection
from quantroof.hwprofiles.select import select
from quantroof.kernels.calls.call import Call
from quantroof.records.directory import read_run

ROOT = Path(__file__).parent.parent.parent
_FILE = """
from ops.helper import FACTOR
from quantroof.declare import bench

@bench(args=["x: bf16[M, N]"], axes=["M=1,64", "N=4096"], dtype="bf16")
def softmax(x):
    return x.softmax(-1) * FACTOR
"""


def _git(folder: Path, *words: str) -> str:
    command = ["git", "-c", "user.email=a@b", "-c", "user.name=a", *words]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one declared function and a package of its own, and its gate's files committed."""
    folder = tmp_path / "project"
    (folder / "ops").mkdir(parents=True)
    (folder / "ops" / "helper.py").write_text("FACTOR = 1\n")
    (folder / "mine.py").write_text(_FILE)
    monkeypatch.chdir(folder)
    _git(folder, "init", "-q", "-b", "main")
    init.command.main(args=[], standalone_mode=False)
    (folder / ".gitignore").write_text("runs\n")
    _git(folder, "add", "-A")
    _git(folder, "commit", "-qm", "one")
    return folder


def _start(side: Side, words: list[str]) -> None:
    """`quantroof run` in this process, in the side's folder: simulated devices need no other process."""
    with contextlib.chdir(side.root):
        demo._run(words)


def _own(device: str = "sim:h100-sxm5-80gb", only: frozenset[str] = frozenset()) -> Own:
    policy = read_policy(Path("gate.toml"))
    assert policy.run is not None
    one = select(Detection(devices=()), (device,))[0]
    calls = load(policy.run.suite).workload(one).calls
    return Own(policy, policy.run, one, device, calls, Path("runs/gate"), base_revision("main"), only, _start)


def _checked(
    device: str = "sim:h100-sxm5-80gb", only: frozenset[str] = frozenset()
) -> tuple[Report, list[str]]:
    told: list[str] = []
    return own_check(_own(device, only), told.append), told


@pytest.fixture
def quick_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sides are not asked for their versions, which takes a process each."""
    package = ROOT / "quantroof"
    monkeypatch.setattr("quantroof.gate.sides._ask", lambda *_: (package, {}))


@pytest.mark.usefixtures("quick_sides")
def test_init_and_gate_are_green_and_then_red_on_slower_code(project: Path) -> None:
    """The first gate collects its baseline and says how many runs are left; slower code is confirmed.

    With a list, only its case is measured and judged.
    """
    green, told = _checked()
    _git(project, "add", "-A")
    _git(project, "commit", "-qm", "baseline")
    (project / "ops" / "helper.py").write_text("FACTOR = 2\n")
    one = "call/softmax/bf16/M=64,N=4096"
    red, told_again = _checked("sim:h100-sxm5-80gb+slow@0", frozenset({f"{one} mine.softmax"}))

    again, _ = _checked("sim:h100-sxm5-80gb+slow@0", frozenset({one}))

    assert again.exit_code == ExitCode.FINDING, "a second gate has a folder of its own"
    assert green.exit_code == ExitCode.OK
    assert next(line for line in told if "baseline run" in line).endswith("4 left after it")
    assert red.exit_code == ExitCode.FINDING
    assert not any("baseline run" in line for line in told_again)
    assert len(green.cases) == 2
    assert [(case.case, case.kernel, case.stage) for case in red.cases] == [(one, "mine.softmax", "A/B")]
    assert {line.case for line in read_run(Path("runs/gate/candidate-1")).measurements} == {one}
    assert red.remarks[0] == "1 of the baseline's 2 cases: not in the list, not judged"
    assert red.cases[0].first_change == pytest.approx(0.1, abs=0.02)


@pytest.mark.usefixtures("quick_sides")
def test_an_unusable_machine_ends_the_collection_after_its_first_run(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not after five minutes: the reason comes with the first run, and no baseline is written."""
    busy = Finding("unknown", "foreign_load", "other processes kept the CPU busy")
    monkeypatch.setattr("quantroof.gate.own.findings", lambda *_: (busy,))
    with pytest.raises(EnvironmentMissing, match="stopped after 1 of 5 baseline runs: other processes"):
        _checked()
    assert not (project / "baselines").exists()


@pytest.mark.usefixtures("quick_sides")
def test_code_that_cannot_be_measured_is_one_line_and_never_a_pass(project: Path) -> None:
    """As a base that does not build: the side and the first reason, exit code 3, and no baseline."""
    with pytest.raises(
        EnvironmentMissing, match=r"^candidate: none of its cases could be measured: the worker"
    ):
        _checked("sim:h100-sxm5-80gb+dead@0")
    assert not (project / "baselines").exists()


def test_each_side_imports_its_own_code(project: Path) -> None:
    """A fresh interpreter in the worktree imports the base's package, and the candidate the changed one."""
    (project / "ops" / "helper.py").write_text("FACTOR = 2\n")
    call = Call(function="mine.py:softmax", name="softmax", args=("x: fp32[8]",), reference="mine.py:softmax")
    factors = []
    with base_of_revision("HEAD", (), (call,)) as base:
        ours = candidate((), (call,))
        for side in (base, ours):
            words = [side.python, "-c", "import ops.helper, quantroof; print(ops.helper.FACTOR)"]
            done = subprocess.run(
                words, cwd=side.root, env=side.environment, capture_output=True, text=True, check=True
            )
            factors.append(done.stdout.strip())
        there = base.calls[0]

        assert factors == ["1", "2"]
        assert Path(there.function.partition(":")[0]).is_relative_to(base.root)
        assert there.reference == there.function
        assert not base.same_code(ours, "mine.softmax"), "a helper of the project counts as its source"


def test_a_file_in_the_current_folder_replaces_no_module(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A side's processes start in the user's folder and import nothing from it, whatever is there."""
    monkeypatch.chdir(project / "ops")
    for name in ("json.py", "quantroof.py"):
        (project / "ops" / name).write_text("raise SystemExit(9)\n")
    side = candidate((), (Call(function=f"{project}/mine.py:softmax", name="softmax", args=("x: fp32[8]",)),))

    assert side.root == project / "ops"
    assert side.package == ROOT / "quantroof"
    start_process(side, ["--version"])


def test_a_function_that_the_base_does_not_have_is_not_measured_there(project: Path) -> None:
    """It is new: the base has no call of it, and the case can only stay undecided."""
    (project / "new.py").write_text("def f(x): ...\n")
    with base_of_revision("HEAD", (), (Call(function="new.py:f", name="f", args=("x: fp32[8]",)),)) as base:
        assert base.calls == ()


def test_init_refuses_to_overwrite_and_names_what_is_missing(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second init, and one in a folder without a declared function."""
    with pytest.raises(UsageError, match=r"already here: benchmarks.toml, gate.toml \(--force overwrites"):
        init.command.main(args=[], standalone_mode=False)
    init.command.main(args=["--force", "--ci", "gitlab"], standalone_mode=False)
    assert "quantroof gate --base FETCH_HEAD" in (project / ".gitlab/quantroof-gate.yml").read_text()
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    with pytest.raises(UsageError, match="no file in this folder declares"):
        init.command.main(args=[], standalone_mode=False)


def test_a_shallow_clone_and_a_detached_head_are_one_line_or_work(project: Path, tmp_path: Path) -> None:
    """A missing revision names the shallow clone; a detached head has a merge base like any other."""
    first = _git(project, "rev-parse", "HEAD")
    (project / "mine.py").write_text(_FILE + "\n")
    _git(project, "commit", "-qam", "two")
    _git(tmp_path, "clone", "-q", "--depth", "1", f"file://{project}", "shallow")
    shallow = contextlib.chdir(tmp_path / "shallow")
    with shallow, pytest.raises(UsageError, match="this clone is shallow: fetch the base"):
        require_revision(first)
    _git(project, "checkout", "-q", "--detach")

    assert base_revision("main") is None
    assert base_revision(first) == first[:12]
    with pytest.raises(UsageError, match="git does not have the revision 'nowhere'"):
        base_revision("nowhere")


@pytest.mark.usefixtures("quick_sides")
def test_select_compares_with_the_merge_base_the_suite_of_the_policy(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What others committed to the base since is not compared; no suite has to be named."""
    start = _git(project, "rev-parse", "--short=12", "HEAD")
    _git(project, "commit", "-q", "--allow-empty", "-m", "of others")
    _git(project, "checkout", "-q", "-b", "topic", start)
    asked: list[tuple[str, str]] = []

    def compare(suite: Suite, archs: tuple[str, ...], base: Side, ours: Side) -> Changed:
        asked.append((suite.name, base.name))
        return Changed(selected=(), planned=1, base=base.name, archs=archs)

    monkeypatch.setattr("quantroof.gate.changed.select", compare)
    select_command.main(args=["--base", "main"], standalone_mode=False)

    assert asked == [("gate", f"base {start}")]


def test_the_demo_is_green_red_and_undecided(capsys: pytest.CaptureFixture[str]) -> None:
    """Three checks with their exit codes, marked as simulated, with both figures of a confirmed change."""
    assert demo.command.main(args=[], standalone_mode=False) == ExitCode.OK
    shown = capsys.readouterr().out

    assert [line for line in shown.splitlines() if line.startswith("exit code")] == [
        "exit code 0",
        "exit code 1",
        "exit code 4",
    ]
    assert shown.count("SIMULATED") >= 3
    assert "% -> +" in shown


def test_gate_without_a_policy_says_what_writes_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line and exit code 2."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["gate"])
    shown = capsys.readouterr()

    assert (ended.value.code, shown.out) == (2, "")
    assert shown.err == "error: gate.toml: no such file (quantroof gate init writes one)\n"
