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

from msgspec.structs import replace

from quantroof.bench.plan import call_kernels
from quantroof.errors import EnvironmentMissing, UsageError
from quantroof.gate.revisions import git
from quantroof.gate.worktree import worktree
from quantroof.kernels.calls.call import Call
from quantroof.kernels.calls.functions import is_torch, split
from quantroof.kernels.registry import load
from quantroof.kernels.sources import PACKAGE, kernel_sources, relocated

_ASK = (
    "import json, pathlib, quantroof; from quantroof.bench.provenance import versions; "
    "print(json.dumps([str(pathlib.Path(quantroof.__file__).resolve().parent), versions()]))"
)
CANDIDATE = "candidate"
_NOT_CODE = ("quantroof",)  # its version is not compared: the hashes of its kernels are


@dataclass(frozen=True, slots=True)
class Side:
    """One side: `python`, started in `root` with `environment`, imports quantroof from `package`.

    `sources` holds the hash of every kernel there, `versions` the versions of its libraries, `kernels` the
    external kernels as `path.py:NAME`, `calls` the user's own functions as they are found there.
    """

    name: str
    python: str
    root: Path
    package: Path
    kernels: tuple[str, ...]
    sources: dict[str, str]
    versions: dict[str, str]
    environment: dict[str, str]
    calls: tuple[Call, ...] = ()

    def same_code(self, other: Side, kernel: str) -> bool:
        """Whether both sides run the same source with the same libraries."""
        same_source = self.sources.get(kernel) == other.sources.get(kernel)
        return same_source and self.libraries == other.libraries

    @property
    def libraries(self) -> dict[str, str]:
        """The versions that a comparison of sources does not already cover."""
        return {name: version for name, version in self.versions.items() if name not in _NOT_CODE}


def candidate(kernels: tuple[str, ...], calls: tuple[Call, ...] = ()) -> Side:
    """The side that is judged: this interpreter and package, and the code of the current project."""
    if not calls:
        return _side(CANDIDATE, sys.executable, PACKAGE.parent, kernels)
    project = project_of(Path.cwd())
    return _side(CANDIDATE, sys.executable, Path.cwd(), kernels, calls=calls, project=project)


@contextmanager
def base_of_revision(revision: str, kernels: tuple[str, ...], calls: tuple[Call, ...] = ()) -> Iterator[Side]:
    """A worktree of a git revision of the current repository, removed at the end.

    Its tree comes first on the path of a fresh interpreter, so that it imports its own code, and quantroof
    itself where the repository contains it. Kernels and functions inside the repository are taken from it.
    The tree comes before installed packages, because the project may be installed from elsewhere.
    """
    top = Path(git("rev-parse", "--show-toplevel")).resolve()
    with worktree(revision) as tree:
        name, moved = f"base {revision}", {top: tree}
        if (tree / "quantroof" / "__init__.py").is_file():
            yield _side(name, sys.executable, tree, kernels, moved, calls)
        else:
            here = relocated(Path.cwd().resolve(), moved)
            root = here if here.is_dir() else tree
            yield _side(name, sys.executable, root, kernels, moved, calls, project=tree)


def base_of_python(python: str, kernels: tuple[str, ...], calls: tuple[Call, ...] = ()) -> Side:
    """The interpreter of another environment, with the quantroof installed there."""
    with tempfile.TemporaryDirectory() as neutral:  # so that no source tree in the current folder shadows it
        return _side(f"base {python}", python, Path(neutral), kernels, calls=calls)


def _side(
    name: str,
    python: str,
    root: Path,
    kernels: tuple[str, ...],
    moved: dict[Path, Path] | None = None,
    calls: tuple[Call, ...] = (),
    project: Path | None = None,
) -> Side:
    moved = moved or {}
    has_tree = project is None and (root / "quantroof" / "__init__.py").is_file()
    first = [root] if has_tree else [] if project is None else [project, project / "src", PACKAGE.parent]
    environment = _environment(first)
    package, versions = _ask(name, python, root, environment)
    if has_tree and package != (root / "quantroof").resolve():
        what = f"its interpreter imports quantroof from {package}, not from {root}"
        raise EnvironmentMissing(what, where=name, hint="remove whatever precedes PYTHONPATH on its path")
    own = tuple(_relocated(reference, moved) for reference in kernels)
    functions = [kernel for call in calls for kernel in call_kernels(call)]
    sources = kernel_sources([*load(kernels).kernels.values(), *functions], package, moved)
    there = tuple(made for call in calls if (made := _call_there(call, root, moved)) is not None)
    return Side(name, python, root, package, own, sources, versions, environment, there)


def _call_there(call: Call, root: Path, moved: dict[Path, Path]) -> Call | None:
    """A call whose files are those of a side; None where that side does not have the function."""

    def there(reference: str) -> str | None:
        if is_torch(reference):
            return reference
        path, name = split(reference)
        file = relocated(path.resolve(), moved) if path.is_absolute() else (root / path)
        return f"{file}:{name}" if file.is_file() else None

    function = there(call.function)
    if function is None:
        return None
    against = tuple(own for other in call.against if (own := there(other)) is not None)
    reference = None if call.reference is None else there(call.reference)
    return replace(call, function=function, against=against, reference=reference)


def project_of(folder: Path) -> Path:
    """The top of the repository that a folder is in, or the folder itself."""
    return next((p for p in (folder, *folder.parents) if (p / ".git").exists()), folder)


def _environment(first: list[Path]) -> dict[str, str]:
    """This environment with folders first on the path; without any, PYTHONPATH is removed."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if not first:
        return kept
    before = os.environ.get("PYTHONPATH")
    return {**kept, "PYTHONPATH": os.pathsep.join([*map(str, first), *([before] if before else [])])}


def _ask(name: str, python: str, root: Path, environment: dict[str, str]) -> tuple[Path, dict[str, str]]:
    try:
        done = subprocess.run(
            [python, "-P", "-c", _ASK], cwd=root, env=environment, capture_output=True, text=True, check=False
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
