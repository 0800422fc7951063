"""The advisor from Python: which format on how many GPUs serves a model."""

from __future__ import annotations

import os
from pathlib import Path

from quantroof.advisor.advice import Advice
from quantroof.advisor.answer import answer
from quantroof.advisor.question import Question


def advise(
    model: str,
    *,
    gpu: str | None = None,
    run: str | os.PathLike[str] | None = None,
    latency: str | None = None,
    first_token: str | None = None,
    tokens_per_day: str | None = None,
    context: int | str = 4096,
    formats: str | None = None,
    price: float | None = None,
) -> Advice:
    """Rank formats and GPU counts for a model, on a GPU by name or with the measurements of a run.

    Values are written as on the command line: `latency="50ms"`, `tokens_per_day="10M"`. The result has
    `options` (ranked), `choice` (the first that fits the targets, None without one) and `refusal`.
    """
    question = Question(
        model_name=model,
        gpu=gpu,
        run_path=None if run is None else Path(run),
        latency=latency,
        first_token=first_token,
        tokens_per_day=tokens_per_day,
        context=str(context),
        formats=formats,
        price=price,
    )
    return answer(question)
