"""The runs that a command takes where none is named: the newest ones."""

from __future__ import annotations

from pathlib import Path

from quantroof.cli.output import note


def or_latest(runs: tuple[Path, ...]) -> tuple[Path, ...]:
    """The named runs; without any the newest in `runs/`, with a line that names it."""
    from quantroof.records.latest import LATEST, latest

    if runs:
        return runs
    newest = latest(Path(LATEST))
    note(f"the newest run: {newest}")
    return (newest,)


def or_two_latest(base: Path | None, now: Path | None) -> tuple[Path, Path]:
    """An older and a newer run: the two newest of one suite without names, the newest beside a named one."""
    from quantroof.records.latest import LATEST, latest, two_latest

    if base is not None and now is not None:
        return base, now
    older, newer = two_latest() if base is None else (base, latest(Path(LATEST)))
    note(f"comparing {older} with {newer}")
    return older, newer
