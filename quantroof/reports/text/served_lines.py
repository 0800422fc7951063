"""A served model under load as tables and as one document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from quantroof.advisor.served import Beside, Prediction, Predictor
    from quantroof.records.served import Served, ServedLoad, Spread

_MS = 1e6


def print_loads(served: Served) -> None:
    """The loads with their percentiles, and what went wrong."""
    from quantroof.reports.text.quality_lines import figure, print_table
    from quantroof.units import printable

    rows = [
        (
            _load_name(load),
            str(load.completed),
            str(load.failed),
            str(load.unfinished),
            f"{figure(load.mean_prompt_tokens, 0)} / {figure(load.mean_output_tokens, 0)}",
            _percentiles(load.first_token),
            _percentiles(load.per_token),
            figure(load.output_tokens_per_s, 1),
        )
        for load in served.loads
    ]
    heading = (
        "concurrency",
        "completed",
        "failed",
        "cut off",
        "tokens in / out",
        "first token ms: p50 / p90 / p99",
        "ms a token: p50 / p90 / p99",
        "tokens/s",
    )
    header = served.header
    tool = " ".join(part for part in (header.tool, header.tool_version) if part)
    where = f" at {header.endpoint}" if header.endpoint else ""
    print_table(printable(f"{header.model}{where}, by {tool}"), heading, rows)
    for load in served.loads:
        for text in load.errors:
            click.echo(printable(f"concurrency {_load_name(load)} failed: {text}"))
        if not load.completed and not load.failed:
            click.echo(f"concurrency {_load_name(load)}: no request completed before the time limit")


def print_predictions(predictor: Predictor, predictions: Sequence[Prediction]) -> None:
    """Measured medians beside the advisor's times, with bands; and why a load has none."""
    from quantroof.reports.text.quality_lines import print_table
    from quantroof.units import printable

    rows: list[tuple[str, ...]] = []
    for found in predictions:
        alone = None if found.concurrency == 1 else found.first_token_alone
        named = (
            ("first token", found.first_token),
            ("one prompt alone", alone),
            ("a token", found.per_token),
        )
        rows += [(f"{found.concurrency}: {name}", *_cells(beside)) for name, beside in named if beside]
    mark = "SIMULATED. " if predictor.machine.simulated else ""
    machine = predictor.machine
    subject = f"{predictor.model.id} in {predictor.format} on {machine.count(predictor.gpus)}"
    heading = (
        "concurrency",
        "measured ms",
        "predicted ms",
        "band ms",
        "measured / predicted",
        "linear layers",
    )
    if rows:
        print_table(printable(f"{mark}beside the advisor: {subject}, {machine.name}"), heading, rows)
    for found in predictions:
        if found.reason is not None:
            click.echo(printable(f"concurrency {found.concurrency or '-'}: no prediction, {found.reason}"))


def document(
    served: Served, predictor: Predictor | None, predictions: Sequence[Prediction]
) -> dict[str, Any]:
    """Records, what they come to, and the predictions; times in ns, predictions in s."""
    import msgspec

    found: dict[str, Any] = {
        "header": msgspec.to_builtins(served.header),
        "loads": [_load_document(load) for load in served.loads],
        "predictions": None,
    }
    if predictor is not None:
        found["predictions"] = {
            "model": predictor.model.id,
            "machine": predictor.machine.name,
            "simulated": predictor.machine.simulated,
            "format": predictor.format,
            "gpus": predictor.gpus,
            "kv": predictor.kv,
            "loads": [_prediction_document(p) for p in predictions],
        }
    return found


def _load_document(load: ServedLoad) -> dict[str, Any]:
    import msgspec

    return {
        **msgspec.to_builtins(load),
        "first_token": msgspec.to_builtins(load.first_token),
        "per_token": msgspec.to_builtins(load.per_token),
        "output_tokens_per_s": load.output_tokens_per_s,
    }


def _prediction_document(found: Prediction) -> dict[str, Any]:
    import msgspec

    data: dict[str, Any] = msgspec.to_builtins(found)
    for name, beside in (("first_token", found.first_token), ("per_token", found.per_token)):
        if beside is not None:
            data[name]["ratio"] = beside.ratio
    return data


def _load_name(load: ServedLoad) -> str:
    if load.concurrency is not None:
        return str(load.concurrency)
    return f"{load.rate_per_s:g} requests/s" if load.rate_per_s is not None else "all at once"


def _percentiles(spread: Spread | None) -> str:
    from quantroof.reports.text.quality_lines import figure

    if spread is None:
        return "-"
    values = (spread.median_ns, spread.p90_ns, spread.p99_ns)
    return " / ".join(figure(None if value is None else value / _MS) for value in values)


def _cells(beside: Beside) -> tuple[str, ...]:
    from quantroof.reports.text.quality_lines import figure

    measured = None if beside.measured_s is None else beside.measured_s * 1e3
    low, time, high = (
        f"{t * 1e3:.3f}" for t in (beside.predicted.low, beside.predicted.seconds, beside.predicted.high)
    )
    return figure(measured), time, f"{low} .. {high}", figure(beside.ratio), beside.linear
