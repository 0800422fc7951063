"""The newest runs of a folder, for `latest` in place of a run's path."""

from __future__ import annotations

from pathlib import Path

import msgspec

from quantroof.errors import UsageError
from quantroof.files import MALFORMED

LATEST = "latest"
RUNS = Path("runs")
"""Where `quantroof run` writes unless --out names a place."""
FILE_NAME = "run.jsonl"


class _Header(msgspec.Struct):
    """The fields that identify a run, from the first line of its file."""

    started_at: str
    suite: str
    simulated: bool = False


def is_latest(path: Path) -> bool:
    """Whether a path is `latest` or `FOLDER/latest`, and nothing with this name is there."""
    return path.name == LATEST and not path.exists()


def latest(path: Path) -> Path:
    """The run that `latest` or `FOLDER/latest` stands for; UsageError where there is none."""
    folder = RUNS if path.parent == Path() else path.parent
    newest = newest_runs(folder)
    if not newest:
        raise UsageError(f"no run in {folder}/", where=str(path), hint="`quantroof run` makes one")
    return newest[0]


def two_latest(folder: Path = RUNS) -> tuple[Path, Path]:
    """The newest run of a folder that an older run of the same suite precedes: (older, newer)."""
    runs = [(path, _header(path)) for path in newest_runs(folder)]
    for place, (newer, now) in enumerate(runs):
        for older, then in runs[place + 1 :]:
            if now and then and (now.suite, now.simulated) == (then.suite, then.simulated):
                return older, newer
    what = f"no two runs of one suite in {folder}/"
    raise UsageError(what, where="compare", hint="name OLD and NEW, or measure again with `quantroof run`")


def newest_runs(folder: Path) -> list[Path]:
    """The run directories in a folder, the one that started last first; what is not a run is left out."""
    runs = [
        (header.started_at, file.parent)
        for file in folder.glob(f"*/{FILE_NAME}")
        if (header := _header(file.parent))
    ]
    return [path for _, path in sorted(runs, reverse=True)]


def _header(directory: Path) -> _Header | None:
    try:
        with (directory / FILE_NAME).open("rb") as file:
            return msgspec.json.decode(file.readline(), type=_Header)
    except (OSError, *MALFORMED):
        return None
