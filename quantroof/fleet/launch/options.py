"""What every engine starts: the same `quantroof run`, once a node or GPU, into a folder all of them share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from quantroof.errors import UsageError

_OWN = ("--out", "--resume", "--device")  # said by the launcher for every task


@dataclass(frozen=True, slots=True)
class LaunchOptions:
    """One sweep. `folder` is seen by every node under the same path; `run_options` go to `quantroof run`, and
    `device` is what each of them measures.

    `minutes` bounds one attempt at one task, of which there are `retries` + 1; an attempt that was cut off
    goes on where it stopped.
    """

    folder: str
    run_options: tuple[str, ...]
    gpus: int = 8
    minutes: int = 30
    retries: int = 2
    name: str = "quantroof-fleet"
    device: str = "cuda"


def checked_options(options: Sequence[str]) -> tuple[str, ...]:
    """Options for `quantroof run`; UsageError for one that the launcher itself must say."""
    for option in options:
        if option.partition("=")[0] in _OWN:
            what = f"{option} is said by the launcher"
            hint = (
                "before the --"
                if option.startswith("--device")
                else "--suite, --processes, --mode and the like"
            )
            raise UsageError(what, hint=f"give {hint}")
    return tuple(options)
