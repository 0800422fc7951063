"""The advisor's error against published points, as lines and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from quantroof.advisor.check_table import FEW_POINTS, PROMISED_SHARE, Check, Group
from quantroof.reports.text import md, table

HEADINGS = ("by", "group", "points", "median error", "p90", "in band", "band high/low", "predicted/measured")
_MOST_REASONS = 8


def check_lines(check: Check) -> Iterator[str]:
    """Counts, the table by group, and why points were not predicted."""
    yield from (headline(check), "")
    yield from (*table.plain(HEADINGS, _rows(check)), "")
    yield from (f"- {text}" for text in notes(check))


def check_markdown(check: Check) -> str:
    """The same as Markdown."""
    parts = [md.text(headline(check)), md.table(HEADINGS, _rows(check)), md.bullets(notes(check))]
    return "\n\n".join(part for part in parts if part) + "\n"


def headline(check: Check) -> str:
    """How many points judge the advisor, and its error per token."""
    whole = next((group for group in check.judged if group.by == "all"), None)
    counts = f"{check.points} points"
    if check.calibration:
        counts += f", {check.calibration} of them set aside: the bands were made from them"
    if whole is None:
        return f"{counts}; no time per token is judged"
    return (
        f"{counts}; {whole.points} times per token err {whole.median_error:.1%} (median), "
        f"{whole.inside:.0%} lie inside the stated band"
    )


def notes(check: Check) -> Iterator[str]:
    """What the table does not say: where first tokens come from, and what was not predicted."""
    if any(group.name == "first token" for group in check.judged):
        yield (
            "first tokens under load wait in queues that depend on how requests arrive: the advisor counts a "
            "quarter of half the other prompts, fitted to the calibration points"
        )
    yield from _outside(check)
    for reason, count in check.refused[:_MOST_REASONS]:
        yield f"not predicted, {count}: {reason}"
    if len(check.refused) > _MOST_REASONS:
        yield f"and {len(check.refused) - _MOST_REASONS} more reasons (--json has all)"


def _outside(check: Check) -> Iterator[str]:
    """Groups whose points the band holds less often than it promises: the large ones, then the small."""
    missed = [group for group in check.judged if group.misses]
    for small in (False, True):
        groups = [group for group in missed if group.small == small]
        if not groups:
            continue
        named = ", ".join(f"{g.by} {g.name} {round(g.inside * g.points)} of {g.points}" for g in groups)
        size = f"of fewer than {FEW_POINTS} points" if small else f"of {FEW_POINTS} points and more"
        yield f"groups {size} with less than {PROMISED_SHARE:.0%} in the band: {named}"


def _rows(check: Check) -> list[tuple[str, ...]]:
    return [_row(group) for group in check.judged]


def _row(group: Group) -> tuple[str, ...]:
    return (
        group.by,
        group.name,
        str(group.points),
        f"{group.median_error:.1%}",
        f"{group.p90_error:.0%}",
        f"{group.inside:.0%}",
        f"{group.width:.2f}",
        f"{group.ratio:.2f}",
    )
