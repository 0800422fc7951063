"""A git worktree of a base revision: removed at the end, on SIGINT and SIGTERM, and else by the next start.

Every worktree has a lock that its process holds, so that one whose process is gone is told from one in use.
"""

from __future__ import annotations

import fcntl
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from quantroof.errors import QuantroofError
from quantroof.gate.revisions import git

_PREFIX, _TREE, _LOCK = "quantroof-base-", "base", "in-use"


@contextmanager
def worktree(revision: str) -> Iterator[Path]:
    """The tree of a revision of the current repository. UsageError where git has none."""
    _remove_abandoned()
    with (
        ending_by_signal(),
        tempfile.TemporaryDirectory(prefix=_PREFIX) as folder,
        (Path(folder) / _LOCK).open("w") as lock,
    ):
        fcntl.flock(lock, fcntl.LOCK_EX)
        tree = Path(folder).resolve() / _TREE
        try:
            git("worktree", "add", "--detach", str(tree), revision)
            yield tree
        finally:
            _remove(tree)


@contextmanager
def ending_by_signal() -> Iterator[None]:
    """SIGTERM ends the code inside as SIGINT does, so that it removes what it made."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _remove(tree: Path) -> None:
    """Remove the tree and its entry; twice forced, because git locks one whose making was interrupted."""
    with suppress(QuantroofError):
        git("worktree", "remove", "--force", "--force", str(tree))


def _remove_abandoned() -> None:
    """Remove worktrees of ours that no process holds any more; never those of anybody else."""
    with suppress(QuantroofError):
        for line in git("worktree", "list", "--porcelain").splitlines():
            tree = Path(line.removeprefix("worktree "))
            ours = tree.name == _TREE and tree.parent.name.startswith(_PREFIX)
            if line.startswith("worktree ") and ours and not _held(tree.parent / _LOCK):
                _remove(tree)
                shutil.rmtree(tree.parent, ignore_errors=True)


def _held(lock: Path) -> bool:
    """Whether a process holds a worktree; one whose folder is gone has none."""
    if not lock.parent.is_dir():
        return False
    try:
        with lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    return False
