"""Quality studies for a report: read, checked to be comparable, each loss assigned to its format."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from quantroof.analysis.paired import MIN_WINDOWS, Difference, paired_difference
from quantroof.errors import UsageError
from quantroof.records.quality import BASELINE, QualityResult, QualityStudy, read_study

# Nats per token. A larger loss means a broken file: no vocabulary has e^100 tokens.
_MOST_NATS = 100.0


@dataclass(frozen=True, slots=True)
class Loss:
    """What one method cost one variant of one model; `difference` is None if it was not measured."""

    result: QualityResult
    difference: Difference | None

    @property
    def words(self) -> str:
        """`+0.0032 ± 0.0011 nats, worse`, or why there is no figure."""
        if self.difference is None:
            return f"{self.result.status}: {self.result.reason or 'no unquantized model to compare with'}"
        return f"{figure(self.difference)}, {self.difference.verdict}"


def difference(study: QualityStudy, result: QualityResult) -> Difference | None:
    """Loss of a result over the same variant left as it is; None if either was not measured."""
    base = next((r for r in study.results if r.key == (result.variant, BASELINE, None)), None)
    if base is None or not base.window_losses or not result.window_losses:
        return None
    return paired_difference(base.window_losses, result.window_losses)


def figure(loss: Difference) -> str:
    """A mean with the half-width of its interval."""
    return f"{loss.mean:+.4f} ± {loss.half_width:.4f}"


def read_studies(paths: Iterable[Path]) -> list[QualityStudy]:
    """Read studies. UsageError for a sensitivity scan, and for losses that cannot be compared in pairs."""
    return [_checked(read_study(path), path) for path in paths]


def _checked(study: QualityStudy, path: Path) -> QualityStudy:
    if study.header.purpose != "study":
        hint = "quantroof quality study --train --out FILE writes one"
        raise UsageError(f"is a {study.header.purpose} scan, not a study", where=str(path), hint=hint)
    counts = dict.fromkeys(variants(study), 0)
    for result in study.results:
        losses, name = result.window_losses, f"{result.variant} {result.method}"
        if not losses:
            continue
        if not all(math.isfinite(loss) and abs(loss) < _MOST_NATS for loss in losses):
            raise UsageError(f"{name} has a loss beyond {_MOST_NATS:g} nats per token", where=str(path))
        if len(losses) < MIN_WINDOWS:
            raise UsageError(f"{name} has {len(losses)} windows, too few for an interval", where=str(path))
        if len(losses) != (counts[result.variant] or len(losses)):
            raise UsageError(f"{name} was measured on other windows than its variant", where=str(path))
        counts[result.variant] = len(losses)
    return study


def variants(study: QualityStudy) -> list[str]:
    """The variants of the model that were studied, in order."""
    return list(dict.fromkeys(result.variant for result in study.results))


def losses(study: QualityStudy, variant: str) -> list[Loss]:
    """Every method of a variant with what it lost; the last line of a method that was measured again."""
    latest = {r.method: r for r in study.results if r.variant == variant and r.part is None}
    return [Loss(r, difference(study, r)) for name, r in latest.items() if name != BASELINE]


def name_of(study: QualityStudy) -> str:
    """The model in a word: the folder of a checkpoint, or what the study calls it."""
    text = study.header.model
    return text.rstrip("/").rpartition("/")[2] or text


def by_scheme(losses: Sequence[Loss]) -> dict[str, list[Loss]]:
    """Measured losses by the scheme whose kernels run the method, the least loss first."""
    table: dict[str, list[Loss]] = {}
    for loss in losses:
        if loss.difference is not None and loss.result.scheme is not None:
            table.setdefault(loss.result.scheme, []).append(loss)
    for own in table.values():
        own.sort(key=lambda loss: loss.difference.mean if loss.difference else 0.0)
    return table
