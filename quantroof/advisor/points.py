"""Published times of served models: the points against which the advisor's own error is checked.

A file is CSV with the columns of `COLUMNS`; lines that begin with # are comments. The shipped points are
split by a rule: those of a deployment (model, GPU, GPU count, format, engine) at one pair of lengths are all
calibration points or all test points, by the first hexadecimal digit of the SHA-256 of their name. Bands are
made from calibration points alone.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Literal

import msgspec

from quantroof.bounds import Amount, Index
from quantroof.errors import UsageError
from quantroof.files import read_text

Metric = Literal["tpot_ms", "first_token_ms", "decode_tok_s", "served_tok_s", "static_tok_s_gpu", "max_tok_s"]
Split = Literal["calibration", "test"]
SHIPPED = "serving_points.csv"
_LEAST = 1e-18  # of a value: its inverse is still a time
COLUMNS = (
    "model", "gpu", "tp", "format", "framework", "isl", "osl", "concurrency", "metric", "value",
    "source", "note",
)  # fmt: skip
_FP8_CACHES = ("cache fp8", "fp8 cache")


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One published figure: what was served on what, the lengths in tokens, and the value of a metric.

    `tpot_ms` is the time of a generated token, `decode_tok_s` the rate of one batch, `served_tok_s` that of a
    load, `static_tok_s_gpu` that of a static batch with its prompts per GPU, `max_tok_s` that with everything
    queued at once.
    """

    model: str
    gpu: str
    tp: Index
    format: str
    framework: str
    isl: Index
    osl: Index
    concurrency: Index | None
    metric: Metric
    value: Amount
    source: str = ""
    note: str = ""

    @property
    def engine(self) -> str:
        """The engine without its version."""
        name = self.framework.split()[0].lower().rstrip(",") if self.framework.strip() else "unknown"
        return {"tensorrt-llm": "trtllm"}.get(name, name)

    @property
    def fp8_cache(self) -> bool:
        """Whether the note states a cache in fp8; it is taken as 16 bit otherwise.

        The maximum loads of TensorRT-LLM's documents ran NVIDIA's own checkpoints, whose hf_quant_config.json
        quantizes the cache to fp8.
        """
        own = self.metric == "max_tok_s" and self.engine == "trtllm" and self.format in ("fp8-w8a8", "nvfp4")
        return own or any(text in self.note for text in _FP8_CACHES)

    @property
    def split(self) -> Split:
        """The part of the shipped points that a deployment belongs to."""
        name = f"{self.model}|{self.gpu}|{self.tp}|{self.format}|{self.framework}|{self.isl}|{self.osl}"
        return "calibration" if int(hashlib.sha256(name.encode()).hexdigest()[0], 16) < 8 else "test"


def read_points(path: Path) -> tuple[Point, ...]:
    """The points of a file. UsageError names the line and the column that is wrong."""
    return parse_points(read_text(path), str(path))


@lru_cache(maxsize=1)
def shipped_points() -> tuple[Point, ...]:
    """The points of the package."""
    text = (files("quantroof") / "advisor" / SHIPPED).read_text(encoding="utf-8")
    return parse_points(text, SHIPPED)


def parse_points(text: str, where: str) -> tuple[Point, ...]:
    """The points in a CSV text; `where` is the name that errors give it."""
    lines = text.splitlines()
    numbered = [(i, line) for i, line in enumerate(lines, 1) if line and not line.startswith("#")]
    reader = csv.DictReader(line for _, line in numbered)
    missing = [name for name in COLUMNS[:10] if name not in (reader.fieldnames or ())]
    if missing:
        raise UsageError(
            f"has no column {missing[0]}", where=where, hint=f"it needs {', '.join(COLUMNS[:10])}"
        )
    rows = zip(numbered[1:], reader, strict=False)
    points = tuple(_point(row, f"{where}, line {number}") for (number, _), row in rows)
    if not points:
        raise UsageError("holds no points", where=where)
    return points


def _point(row: dict[str, str], where: str) -> Point:
    cells: dict[str, object] = {name: row.get(name) or "" for name in COLUMNS}
    cells["concurrency"] = _whole(row["concurrency"]) if row["concurrency"] else None
    for name in ("tp", "isl", "osl"):
        cells[name] = _whole(row[name])
    try:
        point = msgspec.convert(cells, Point, strict=False)
    except msgspec.ValidationError as error:
        raise UsageError(str(error), where=where) from None
    counts = (point.tp, point.isl, point.osl, 1 if point.concurrency is None else point.concurrency)
    if point.value < _LEAST or min(counts) < 1:
        raise UsageError("a count or a value is not positive", where=where)
    return point


def _whole(text: str | None) -> object:
    """`4.0` as 4, which spreadsheets write; anything else unchanged, for the error to name."""
    value = (text or "").strip()
    return value.removesuffix(".0")


def calibration_points(points: Iterable[Point]) -> frozenset[Point]:
    """Those points of a file that the shipped bands were made from."""
    made_from = {point for point in shipped_points() if point.split == "calibration"}
    return frozenset(point for point in points if point in made_from)
