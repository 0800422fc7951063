"""Records of the quality room: what a model lost by being quantized, window by window.

A file is JSON Lines like a run: a header, then one line per measured model. Losses are kept for every
window; means, differences and intervals are derived by the reader.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Literal

import msgspec

from quantroof.errors import UsageError
from quantroof.files import read_bytes
from quantroof.records.jsonl import JsonlWriter, create_file, decode_line, reopen_file, split_lines
from quantroof.records.run import Record

SCHEMA = "quantroof-quality/1"
BASELINE = "none"
"""Name of the method that leaves the model as it is."""


class TextUsed(msgspec.Struct, frozen=True, kw_only=True):
    """Text as a model saw it: where it is from, hash of its token ids, and how it was cut."""

    source: str
    digest: str
    windows: int
    window_tokens: int


class QualityHeader(Record, frozen=True, kw_only=True, tag="quality-header"):
    """What was studied: the model by its weights' hash, the evaluation text, the versions that did it."""

    schema: str = SCHEMA
    purpose: Literal["study", "sensitivity"]
    started_at: str
    command: tuple[str, ...]
    model: str
    weights: str
    evaluation: TextUsed
    calibration: TextUsed | None
    seed: int
    versions: dict[str, str]
    host: dict[str, str | int | None]


class QualityResult(Record, frozen=True, kw_only=True, tag="quality-result"):
    """One model measured. Losses are mean negative log-likelihoods in nats per token, one per window.

    `variant` is the model before quantizing: `base`, or `outliers` after function-preserving induction.
    `part` is the layer that was quantized where it was one, else None. `scheme` is the scheme of
    `kernels.schemes` whose speed belongs to this error.
    """

    variant: str
    method: str
    weights: str
    status: Literal["ok", "skipped", "failed"]
    reason: str | None = None
    part: str | None = None
    library: str | None = None
    scheme: str | None = None
    window_losses: tuple[float, ...] = ()
    calibration: str | None = None
    quantize_s: float | None = None
    quantize_peak_bytes: int | None = None

    def __post_init__(self) -> None:
        if (self.status == "ok") != bool(self.window_losses):
            raise ValueError(f"status '{self.status}' and {len(self.window_losses)} windows do not agree")
        if self.status != "ok" and not self.reason:
            raise ValueError(f"status '{self.status}' needs a reason")

    @property
    def key(self) -> tuple[str, str, str | None]:
        """What a study measures once."""
        return self.variant, self.method, self.part

    @property
    def loss(self) -> float | None:
        """Mean loss in nats per token."""
        return fmean(self.window_losses) if self.window_losses else None


@dataclass(slots=True)
class QualityStudy:
    """A header and its results, in the order they came. Close one that is being recorded in a file."""

    header: QualityHeader
    results: list[QualityResult] = field(default_factory=list)
    writer: JsonlWriter | None = None

    def add(self, result: QualityResult) -> None:
        """Keep a result, in the file too where there is one."""
        self.results.append(result)
        if self.writer is not None:
            self.writer.write(result)

    def __enter__(self) -> QualityStudy:
        return self

    def __exit__(self, *_: object) -> None:
        if self.writer is not None:
            self.writer.close()


_DECODER: msgspec.json.Decoder[QualityHeader | QualityResult] = msgspec.json.Decoder(
    QualityHeader | QualityResult
)


def read_study(file: Path) -> QualityStudy:
    """Read a file; a half last line of a killed writer is left out. UsageError for anything else."""
    lines, _ = split_lines(read_bytes(file))
    decoded = [decode_line(_DECODER, line, file, number) for number, line in enumerate(lines, start=1)]
    header = decoded[0] if decoded else None
    if not isinstance(header, QualityHeader) or header.schema != SCHEMA:
        raise UsageError(f"not a quality study of schema {SCHEMA}", where=str(file))
    return QualityStudy(header, [line for line in decoded if isinstance(line, QualityResult)])


def opened(out: Path | None, header: QualityHeader, *, resume: bool) -> QualityStudy:
    """A new study, recorded in `out` unless that is None; with `resume` the study in `out`, continued.

    UsageError if a file is in the way, or holds results of other weights or another text.
    """
    if out is None:
        return QualityStudy(header)
    if not (resume and out.exists()):
        exists = UsageError("there is a study here already", where=str(out), hint="--resume it")
        writer = JsonlWriter(out, create_file(out, exists))
        writer.write(header)
        return QualityStudy(header, writer=writer)
    study = read_study(out)
    for name in ("purpose", "weights", "evaluation", "calibration"):
        if getattr(study.header, name) != getattr(header, name):
            raise UsageError(f"holds a study with other {name}: cannot be resumed", where=str(out))
    study.writer = JsonlWriter(out, reopen_file(out))
    return study
