"""A served model under load, beside the advisor's prediction: tables, lines and data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from quantroof.reports.text.table import table, titled
from quantroof.units import NONE, decimals

if TYPE_CHECKING:
    from rich.console import Group

    from quantroof.advisor.served import Comparison, Prediction, Predictor
    from quantroof.records.served import Served, ServedLoad, Spread

_MS = 1e6
_LOADS = (
    "concurrency", "completed", "failed", "cut off", "tokens in / out", "first token ms: p50 / p90 / p99",
    "ms per token: p50 / p90 / p99", "tokens/s",
)  # fmt: skip
_PREDICTIONS = (
    "concurrency", "measured ms", "predicted ms", "band ms", "measured / predicted", "linear layers",
)  # fmt: skip


def load_table(served: Served) -> Group:
    """The loads with their percentiles."""
    rows = [
        (
            _name(load),
            str(load.completed),
            str(load.failed),
            str(load.unfinished),
            f"{decimals(load.mean_prompt_tokens, 0)} / {decimals(load.mean_output_tokens, 0)}",
            _percentiles(load.first_token),
            _percentiles(load.per_token),
            decimals(load.output_tokens_per_s, 1),
        )
        for load in served.loads
    ]
    header = served.header
    tool = " ".join(part for part in (header.tool, header.tool_version) if part)
    where = f" at {header.endpoint}" if header.endpoint else ""
    return titled(f"{header.model}{where}, by {tool}", table(_LOADS, rows, right=_LOADS[1:]))


def failure_lines(served: Served) -> Iterator[str]:
    """What went wrong under each load."""
    for load in served.loads:
        yield from (f"concurrency {_name(load)} failed: {text}" for text in load.errors)
        if not load.completed and not load.failed:
            yield f"concurrency {_name(load)}: no request completed before the time limit"


def prediction_table(predictor: Predictor, predictions: Sequence[Prediction]) -> Group | None:
    """Measured medians beside the advisor's times with bands; None if no load has a prediction."""
    rows: list[tuple[str, ...]] = []
    for prediction in predictions:
        alone = None if prediction.concurrency == 1 else prediction.first_token_alone
        times = {
            "first token": prediction.first_token,
            "one prompt alone": alone,
            "per token": prediction.per_token,
        }
        rows += [
            (f"{prediction.concurrency}: {name}", *_cells(beside))
            for name, beside in times.items()
            if beside is not None
        ]
    if not rows:
        return None
    machine = predictor.machine
    mark = "SIMULATED. " if machine.simulated else ""
    subject = f"{predictor.model.id} in {predictor.format} on {machine.count(predictor.gpus)}"
    title = f"{mark}beside the advisor: {subject}, {machine.name}"
    return titled(title, table(_PREDICTIONS, rows, right=_PREDICTIONS[1:]))


def unpredicted_lines(predictions: Sequence[Prediction]) -> Iterator[str]:
    """Why a load has no prediction."""
    for prediction in predictions:
        if prediction.reason is not None:
            yield f"concurrency {prediction.concurrency or NONE}: no prediction, {prediction.reason}"


def served_document(
    served: Served, predictor: Predictor | None, predictions: Sequence[Prediction]
) -> dict[str, Any]:
    """Records, what they come to, and the predictions; times in ns, predictions in s."""
    return {
        "header": msgspec.to_builtins(served.header),
        "loads": [_load_document(load) for load in served.loads],
        "predictions": None if predictor is None else {
            "model": predictor.model.id,
            "machine": predictor.machine.name,
            "simulated": predictor.machine.simulated,
            "format": predictor.format,
            "gpus": predictor.gpus,
            "kv": predictor.kv,
            "loads": [_prediction_document(prediction) for prediction in predictions],
        },
    }  # fmt: skip


def _load_document(load: ServedLoad) -> dict[str, Any]:
    return {
        **msgspec.to_builtins(load),
        "first_token": msgspec.to_builtins(load.first_token),
        "per_token": msgspec.to_builtins(load.per_token),
        "output_tokens_per_s": load.output_tokens_per_s,
    }


def _prediction_document(prediction: Prediction) -> dict[str, Any]:
    data: dict[str, Any] = msgspec.to_builtins(prediction)
    for name, beside in (("first_token", prediction.first_token), ("per_token", prediction.per_token)):
        if beside is not None:
            data[name]["ratio"] = beside.ratio
    return data


def _name(load: ServedLoad) -> str:
    if load.concurrency is not None:
        return str(load.concurrency)
    return f"{load.rate_per_s:g} requests/s" if load.rate_per_s is not None else "all at once"


def _percentiles(spread: Spread | None) -> str:
    if spread is None:
        return NONE
    values = (spread.median_ns, spread.p90_ns, spread.p99_ns)
    return " / ".join(decimals(None if value is None else value / _MS) for value in values)


def _cells(beside: Comparison) -> tuple[str, ...]:
    measured = None if beside.measured_s is None else beside.measured_s * 1e3
    predicted = beside.predicted
    low, time, high = (f"{t * 1e3:.3f}" for t in (predicted.low, predicted.seconds, predicted.high))
    return decimals(measured), time, f"{low} .. {high}", decimals(beside.ratio), beside.linear
