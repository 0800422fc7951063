"""The two sides of an A/B: interpreter, source tree and kernels, from a git revision or another
environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from quantroof.errors import EnvironmentMissing, UsageError
from quantroof.kernels.registry import load
from quantroof.kernels.sources import PACKAGE, kernel_sources, relocated

_ASK = (
    "import json, pathlib, quantroof; from quantroof.bench.provenance import versions; "
    "print(json.dumps([str(pathlib.Path(quantroof.__file__).resolve().parent), versions()]))"
)
_NOT_CODE = ("quantroof",)  # its version is not compared: the hashes of its kernels are


@dataclass(frozen=True, slots=True)
class Side:
    """One side: `python`, started in `root` with `environment`, imports quantroof from `package`.

    `sources` holds the hash of every kernel there, `versions` the versions of its libraries, `kernels` the
    external kernels as `path.py:NAME`.
    """

    name: str
    python: str
    root: Path
    package: Path
    kernels: tuple[str, ...]
    sources: dict[str, str]
    versions: dict[str, str]
    environment: dict[str, str]

    def same_code(self, other: Side, kernel: str) -> bool:
        """Whether both sides run the same source with the same libraries."""
        return self.sources.get(kernel) == other.sources.get(kernel) and _libraries(self) == _libraries(other)


def candidate(kernels: tuple[str, ...]) -> Side:
    """The side that is judged: this interpreter and package."""
    return _side("candidate", sys.executable, PACKAGE.parent, kernels)


@contextmanager
def base_of_revision(revision: str, kernels: tuple[str, ...]) -> Iterator[Side]:
    """A worktree of a git revision of the current repository, removed at the end.

    If the repository contains quantroof itself, its tree comes first on the path. External kernels inside the
    repository are always taken from the worktree.
    """
    top = Path(git("rev-parse", "--show-toplevel")).resolve()
    with tempfile.TemporaryDirectory(prefix="quantroof-base-") as folder:
        tree = Path(folder).resolve() / "base"
        git("worktree", "add", "--detach", str(tree), revision)
        try:
            root = tree if (tree / "quantroof" / "__init__.py").is_file() else PACKAGE.parent
            yield _side(f"base {revision}", sys.executable, root, kernels, {top: tree})
        finally:
            git("worktree", "remove", "--force", str(tree))


def base_of_python(python: str, kernels: tuple[str, ...]) -> Side:
    """The interpreter of another environment, with the quantroof installed there."""
    with tempfile.TemporaryDirectory() as neutral:  # so that no source tree in the current folder shadows it
        return _side(f"base {python}", python, Path(neutral), kernels)


def git(*arguments: str, folder: Path | None = None) -> str:
    """Run git in a folder, by default the current one; UsageError with git's message where it fails."""
    try:
        done = subprocess.run(
            ["git", *arguments],  # noqa: S607 - the user's own git
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        raise EnvironmentMissing("git is not installed", hint="it provides the base revision") from None
    if done.returncode:
        message = done.stderr.strip().splitlines()
        raise UsageError(f"git {arguments[0]}: {message[-1] if message else 'failed'}")
    return done.stdout.strip()


def _side(
    name: str, python: str, root: Path, kernels: tuple[str, ...], moved: dict[Path, Path] | None = None
) -> Side:
    moved = moved or {}
    has_tree = (root / "quantroof" / "__init__.py").is_file()
    environment = _environment(root if has_tree else None)
    package, versions = _ask(name, python, root, environment)
    if has_tree and package != (root / "quantroof").resolve():
        what = f"its interpreter imports quantroof from {package}, not from {root}"
        raise EnvironmentMissing(what, where=name, hint="remove whatever precedes PYTHONPATH on its path")
    own = tuple(_relocated(reference, moved) for reference in kernels)
    sources = kernel_sources(load(kernels).kernels.values(), package, moved)
    return Side(name, python, root, package, own, sources, versions, environment)


def _environment(tree: Path | None) -> dict[str, str]:
    """This environment with a source tree first on the path; without a tree, PYTHONPATH is removed."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if tree is None:
        return kept
    before = os.environ.get("PYTHONPATH")
    return {**kept, "PYTHONPATH": os.pathsep.join([str(tree), *([before] if before else [])])}


def _ask(name: str, python: str, root: Path, environment: dict[str, str]) -> tuple[Path, dict[str, str]]:
    try:
        done = subprocess.run(
            [python, "-c", _ASK], cwd=root, env=environment, capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise UsageError(f"cannot be started: {error.strerror}", where=python) from None
    if done.returncode:
        message = done.stderr.strip().splitlines()
        what = f"it cannot import quantroof: {message[-1] if message else 'no message'}"
        raise EnvironmentMissing(what, where=name)
    package, versions = json.loads(done.stdout)
    return Path(package), versions


def _relocated(reference: str, moved: dict[Path, Path]) -> str:
    path, _, name = reference.rpartition(":")
    return f"{relocated(Path(path).resolve(), moved)}:{name}"


def _libraries(side: Side) -> dict[str, str]:
    return {name: version for name, version in side.versions.items() if name not in _NOT_CODE}
