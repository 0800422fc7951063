"""Options that the studies of a model share, and the StudyOptions they make."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quantroof.cli.options import COUNT, FILE, SEED, Finite
from quantroof.errors import UsageError

if TYPE_CHECKING:
    from quantroof.quality.setup import StudyOptions

_OPTIONS = (
    click.argument("model", required=False, type=FILE),
    click.option("--recipe", default="usable", show_default=True, help="Small model: tiny, usable or good."),
    click.option("--train", is_flag=True, help="Train the small model first, if it is not there yet."),
    click.option("--text", type=FILE, help="Evaluation text.  [default: held-out Python documentation]"),
    click.option("--calibration-text", type=FILE, help="Generic calibration text.  [default: Python's]"),
    click.option("--domain-text", type=FILE, help="Calibration text of your domain."),
    click.option("--domain-share", type=Finite(0, 1), help="Share of the samples that come from it."),
    click.option("--samples", type=COUNT, default=64, show_default=True, help="Calibration samples."),
    click.option(
        "--window", type=click.IntRange(8), default=256, show_default=True, help="Tokens per window."
    ),
    click.option("--windows", "most_windows", type=COUNT, help="Use at most this many."),
    click.option("--dtype", default="fp32", show_default=True, help="fp32, bf16, fp16 or stored."),
    click.option("--device", default="cpu", show_default=True, help="cpu or cuda:0."),
    click.option("--seed", type=SEED, default=0, show_default=True, help="Seed of the calibration sampling."),
)


def subject_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options; the function gets them as one StudyOptions, its first argument."""

    @wraps(function)
    def with_wish(**parameters: Any) -> Any:
        return function(_wish(parameters), **parameters)

    for option in reversed(_OPTIONS):
        with_wish = option(with_wish)
    return with_wish


def missing_model(path: Path) -> UsageError:
    """The error for a model without a file here; `advise` takes names, too."""
    from quantroof.advisor.model_lookup import model

    hint = "name the directory of a checkpoint, or a config.json"
    try:
        known = model(str(path)).id
    except UsageError:
        pass
    else:
        hint += f"; `quantroof advise --model {known} --gpu GPU` knows its sizes without one"
    return UsageError("no such file or directory", where=str(path), hint=hint)


def _wish(parameters: dict[str, Any]) -> StudyOptions:
    """Take the shared options out of the parameters."""
    from dataclasses import fields

    from quantroof.quality.environment import load

    load("torch")
    from quantroof.quality.setup import StudyOptions

    return StudyOptions(**{field.name: parameters.pop(field.name) for field in fields(StudyOptions)})
