"""Resolve the inputs of the command line to local files: run directories, globs, Parquet parts, bucket
URLs."""

from __future__ import annotations

import glob
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from quantroof.errors import QuantroofError, first_line
from quantroof.files import require
from quantroof.records.latest import FILE_NAME, is_latest, latest

_MAGIC = "*?["


@dataclass(slots=True)
class Sources:
    """Run files and Parquet parts that exist, and a line for each input that does not."""

    runs: list[Path] = field(default_factory=list)
    parts: list[Path] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def find(names: Iterable[str], downloads: Path) -> Sources:
    """Resolve names; files behind a URL are copied into the `downloads` folder first."""
    sources = Sources()
    for name in dict.fromkeys(names):
        try:
            paths = _download(name, downloads) if "://" in name else _local(name)
        except QuantroofError as error:
            sources.problems.append(str(error))
            continue
        if not paths:
            sources.problems.append(f"{name}: no run directory, run file or Parquet part here")
        for path in paths:
            (sources.parts if path.suffix == ".parquet" else sources.runs).append(path)
    return sources


def _local(name: str) -> list[Path]:
    if is_latest(Path(name)):
        name = str(latest(Path(name)))
    matches = sorted(glob.glob(name)) if any(c in name for c in _MAGIC) else [name]  # noqa: PTH207 - absolute patterns too
    return [file for match in matches for file in _files(Path(match))]


def _files(path: Path) -> list[Path]:
    """A file itself; for a directory its run, else all runs and parts below it."""
    if path.is_file():
        return [path]
    if (path / FILE_NAME).is_file():
        return [path / FILE_NAME]
    return sorted([*path.rglob(FILE_NAME), *path.rglob("*.parquet")])


def _download(url: str, downloads: Path) -> list[Path]:
    """Copy every run file and part behind a URL; any failure of its file system is one error."""
    fsspec = require("fsspec", f"{url}: reading a bucket", "bucket")
    try:
        system, root = fsspec.core.url_to_fs(url)
        names = system.glob(root) if any(c in root for c in _MAGIC) else [root]
        remote_files = [
            inner
            for name in names
            for inner in (system.find(name) if system.isdir(name) else [name])
            if PurePosixPath(inner).name == FILE_NAME or inner.endswith(".parquet")
        ]
        copied = []
        for remote in sorted(remote_files):
            local = downloads / str(len(list(downloads.iterdir()))) / PurePosixPath(remote).name
            local.parent.mkdir()
            system.get_file(remote, str(local))
            copied.append(local)
    except Exception as error:  # noqa: BLE001 - every file system has exceptions of its own
        raise QuantroofError(f"cannot be read: {first_line(error)}", where=url) from None
    return copied
