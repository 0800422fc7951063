"""What every engine starts: the same `quantroof run`, once per node or GPU, in one shared folder."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from quantroof.errors import UsageError
from quantroof.files import read_text

_OWN = ("--out", "--resume", "--device")  # set by the launcher for every task


@dataclass(frozen=True, slots=True)
class LaunchOptions:
    """One sweep. Every node mounts `folder` at the same path; `run_options` go to `quantroof run`, and
    `device` is what each of them measures.

    `minutes` limits one attempt at one task. There are `retries` + 1 attempts, and each resumes the one
    before.
    """

    folder: str
    run_options: tuple[str, ...]
    gpus: int = 8
    minutes: int = 30
    retries: int = 2
    name: str = "quantroof-fleet"
    device: str = "cuda"


def checked_options(options: Sequence[str]) -> tuple[str, ...]:
    """Options for `quantroof run`; UsageError for one that the launcher sets itself."""
    for option in options:
        if option.partition("=")[0] in _OWN:
            hint = "remove it; after -- only options such as --suite, --processes and --mode"
            if option.startswith("--device"):
                hint = "put it before the --"
            raise UsageError(f"{option} is set by the launcher", hint=hint)
    return tuple(options)


def read_nodes(text: str) -> list[str]:
    """Node names from a file with one per line, or from `node-1,node-2`; each once, in order."""
    path = Path(text)
    lines = read_text(path).splitlines() if path.is_file() else text.split(",")
    return list(dict.fromkeys(line.strip() for line in lines if line.strip()))


def silent_nodes(expected: Iterable[str], answered: Iterable[str]) -> list[str]:
    """Expected nodes without any run. A short name matches its full one: `n1` is `n1.site.org`."""
    names = set(answered) | {name.partition(".")[0] for name in answered}
    return [name for name in expected if name not in names and name.partition(".")[0] not in names]
