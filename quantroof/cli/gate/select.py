"""`quantroof gate select`: the cases that a change concerns, found without a GPU."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from quantroof.cli.options import FILE
from quantroof.cli.output import deliver, echo_json, echo_lines, json_option, note
from quantroof.files import require

if TYPE_CHECKING:
    from quantroof.gate.changed import Selection


@click.command("select", short_help="Which cases does a change concern? Needs no GPU.")
@click.option("--base", required=True, help="Compare with where HEAD left this branch or revision.")
@click.option("--suite", help="The suite that would be measured.  [default: that of gate.toml, else quick]")
@click.option(
    "--arch",
    "archs",
    multiple=True,
    default=("sm_90a",),
    show_default=True,
    help="Compile for this one. Repeatable.",
)
@click.option("--out", type=FILE, help="Write `case kernel` lines for quantroof gate --cases.")
@click.option("--markdown", is_flag=True, help="Print the table as Markdown, for a pull request.")
@json_option
def command(
    *, base: str, suite: str | None, archs: tuple[str, ...], out: Path | None, markdown: bool, as_json: bool
) -> None:
    """Compile both revisions, compare machine code and launches, and list the differences.

    Functions of your own and library kernels are compared by source and library versions. What cannot be
    compared is selected. Exit code 0 whatever is selected.

    \b
    quantroof gate select --base origin/main --out changed.txt
    quantroof gate --base origin/main --cases changed.txt
    """
    from quantroof.bench.suite import load
    from quantroof.gate.changed import select
    from quantroof.gate.revisions import git, merge_base
    from quantroof.gate.sides import base_of_revision, candidate
    from quantroof.reports.text.select_lines import select_document, select_lines, select_markdown

    require("triton", "compile", "gpu")
    start = git("rev-parse", "--short=12", merge_base(base))
    chosen = load(suite or _suite_of_policy() or "quick")
    calls = chosen.workloads["gpu"].calls
    with base_of_revision(start, (), calls) as side:
        selection = select(chosen, archs, side, candidate((), calls))
    if as_json:
        echo_json("select", select_document(selection))
    else:
        echo_lines(select_markdown(selection) if markdown else select_lines(selection))
    if out is not None:
        _write(selection, out)


def _suite_of_policy() -> str | None:
    """What `quantroof gate` measures here, if `gate init` or somebody else wrote it down."""
    from quantroof.gate.policy import read_policy
    from quantroof.gate.starter import POLICY_FILE

    file = Path(POLICY_FILE)
    run = read_policy(file).run if file.is_file() else None
    return run.suite if run is not None else None


def _write(selection: Selection, out: Path) -> None:
    lines = selection.lines()
    if not lines:
        note(f"nothing is selected: {out} is not written")
        return
    deliver(out, lambda file: file.write_text("\n".join(lines) + "\n", encoding="utf-8"))
