"""The worktree of a base revision does not outlive its process, and nobody else's is touched."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from quantroof.cli.gate import init
from quantroof.errors import UsageError
from quantroof.gate.own import base_revision
from quantroof.gate.worktree import worktree

ROOT = Path(__file__).parent.parent.parent
_HOLDS_ONE = (
    "import time\n"
    "from quantroof.gate.worktree import worktree\n"
    "with worktree('HEAD') as tree:\n"
    "    print(tree, flush=True)\n"
    "    time.sleep(60)\n"
)
_GIT = ("git", "-c", "user.email=a@b", "-c", "user.name=a")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One commit, in the current folder."""
    folder = tmp_path / "repository"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / "a.py").write_text("")
    for words in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-qm", "one")):
        subprocess.run((*_GIT, *words), check=True)
    return folder


def _trees() -> list[str]:
    done = subprocess.run((*_GIT, "worktree", "list"), check=True, capture_output=True, text=True)
    return [line.split()[0] for line in done.stdout.splitlines()]


def _ended_by(number: signal.Signals) -> Path:
    """The tree of a process that a signal ended while it held one."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-P", "-c", _HOLDS_ONE], env=environment, stdout=subprocess.PIPE, text=True,
        stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        tree = Path(process.stdout.readline().strip())
        assert tree.is_dir()
        process.send_signal(number)
    return tree


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_removes_the_worktree_and_its_entry(repository: Path, number: signal.Signals) -> None:
    """As a canceled CI job sends it: neither a folder nor an entry of git is left."""
    tree = _ended_by(number)

    assert not tree.parent.exists()
    assert _trees() == [str(repository)]


def test_the_next_start_removes_what_a_killed_process_left_and_nothing_else(
    repository: Path, tmp_path: Path
) -> None:
    """One in use, and one of somebody else, stay."""
    theirs = tmp_path / "quantroof-base-theirs" / "feature"
    subprocess.run((*_GIT, "worktree", "add", "-q", "--detach", str(theirs)), check=True, capture_output=True)
    with worktree("HEAD") as in_use:
        left = _ended_by(signal.SIGKILL)
        assert str(left) in _trees()
        with worktree("HEAD") as tree:
            assert {str(theirs), str(in_use), str(tree)} <= set(_trees())
            assert not left.parent.exists()
            assert str(left) not in _trees()


@pytest.mark.usefixtures("repository")
def test_a_revision_that_is_not_here_leaves_nothing() -> None:
    """git's own message, and no entry."""
    with pytest.raises(UsageError, match=r"git worktree: .*nowhere"), worktree("nowhere"):
        pass
    assert len(_trees()) == 1


def test_before_the_first_commit_each_command_says_to_make_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`gate init` writes the branch that the commit will make; `gate` cannot compare yet, in one line."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(
        "from quantroof.declare import bench\n\n@bench(args=['x: bf16[8]'])\ndef f(x): ...\n"
    )
    subprocess.run((*_GIT, "init", "-q", "-b", "trunk"), check=True)

    init.command.main(args=[], standalone_mode=False)

    assert "next: git add and git commit, to have a base; then quantroof gate" in capsys.readouterr().err
    assert 'base = "trunk"' in (tmp_path / "gate.toml").read_text()
    with pytest.raises(UsageError, match=r"has no commit to compare with \(git add, git commit, repeat\)"):
        base_revision("trunk")
