"""`quantroof gate init`: look at a repository, and write the suite, policy and workflow of its gate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec.structs import replace

from quantroof.cli.output import note
from quantroof.errors import UsageError

if TYPE_CHECKING:
    from quantroof.gate.starter import Ci
    from quantroof.kernels.calls.call import Call

_DECLARES = "quantroof.declare"
_MOST_FILES = 5000
_NOT_OURS = {"node_modules", "site-packages", "build", "dist", "runs"}


@click.command("init", short_help="Write the files of a gate for this repository.")
@click.argument("functions", nargs=-1, metavar="[FILE.py[:NAME]]...")
@click.option(
    "--ci", type=click.Choice(["github", "gitlab"]), help="Write its workflow.  [default: as found]"
)
@click.option("--base", help="The branch that changes are compared with.  [default: as found]")
@click.option("--force", is_flag=True, help="Overwrite files that are there.")
def command(functions: tuple[str, ...], *, ci: Ci | None, base: str | None, force: bool) -> None:
    """Write a suite, a policy and a workflow for the functions that this repository declares.

    Functions are found by `quantroof.declare.bench`, or named; the files that declare them are imported.

    \b
    quantroof gate init                      every declared function below this folder
    quantroof gate init mine.py:softmax      a class or function with its declaration
    """
    from quantroof.gate.revisions import branch_to_be
    from quantroof.gate.starter import starter_files

    calls = _calls(functions)
    files = starter_files(calls, base or _branch(), ci or _ci())
    taken = [name for name in files if Path(name).exists()]
    if taken and not force:
        raise UsageError(f"already here: {', '.join(taken)}", hint="--force overwrites them")
    for name, text in files.items():
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        click.echo(name)
    counted = ", ".join(f"{call.name} ({len(call.cases())} cases)" for call in calls)
    commit = "" if branch_to_be() is None else "git add and git commit, to have a base; then "
    note(f"the gate measures {counted}; next: {commit}quantroof gate")


def _calls(named: tuple[str, ...]) -> list[Call]:
    from quantroof.cli.call_options import CallFlags, call_of
    from quantroof.kernels.calls import functions

    references = list(named)
    for path in [] if named else _declaring_files():
        names = functions.public_functions(functions.imported(path))
        references += [f"{path}:{name}" for name in names]
    if not references:
        hint = "declare one with quantroof.declare.bench, or name one: quantroof gate init FILE.py:NAME"
        raise UsageError("no file in this folder declares how a function is measured", hint=hint)
    blank = CallFlags(
        function="", arg=(), shape=(), dtype=None, axis=(), flops=None, bytes_moved=None, reference=None,
        against=(), tolerance=None, no_capture=False,
    )  # fmt: skip
    return [call_of(replace(blank, function=reference)) for reference in references]


def _declaring_files() -> list[Path]:
    """Python files below this folder that import the declaration; read as text."""
    files = []
    for number, path in enumerate(sorted(Path().rglob("*.py"))):
        if number >= _MOST_FILES:
            note(f"looked at {_MOST_FILES} files only: name the functions of others")
            break
        if any(part.startswith(".") or part in _NOT_OURS for part in path.parts):
            continue
        if _DECLARES in path.read_text(encoding="utf-8", errors="replace"):
            files.append(path)
    return files


def _branch() -> str | None:
    """The remote's default branch, else a local main or master, else the one that the first commit makes."""
    from quantroof.gate.revisions import branch_to_be, has_revision

    names = ("origin/HEAD", "origin/main", "origin/master", "main", "master")
    return next((name for name in names if has_revision(name)), None) or branch_to_be()


def _ci() -> Ci | None:
    if Path(".gitlab-ci.yml").exists():
        return "gitlab"
    return "github" if Path(".github").exists() else None
