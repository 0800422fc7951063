"""Fingerprints of a side's kernels, made by its interpreter and kept for every tree with the same files.

An entry lists every file that was read and every folder that was listed below the side's tree. Another tree
with the same files has the same fingerprints, so that most revisions are compared without a compilation.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from quantroof.errors import EnvironmentMissing
from quantroof.files import cache_folder
from quantroof.gate import fingerprint_process
from quantroof.gate.sides import Side, project_of
from quantroof.kernels.calls import fingerprint, trace
from quantroof.kernels.sass.batch import code_digest, read_cubins
from quantroof.kernels.sass.cache import require_cache

Row = dict[str, Any]
Rows = dict[str, Row]

_SHOWN = ("instructions", "registers", "spill_instructions", "instruction_class")
_MOST_ENTRIES = 200
_PASSING = ("__pycache__", ".git", ".pytest_cache", ".mypy_cache", ".ruff_cache")


def fingerprints(
    arch: str, pairs: Sequence[tuple[str, str]], base: Side, ours: Side, *, fresh: bool = False
) -> tuple[Rows, Rows]:
    """Rows by `case kernel` of both sides, made at the same time; a base that fails has none."""
    with ThreadPoolExecutor(2) as pool:
        before = pool.submit(_rows, arch, pairs, base, fresh=fresh)
        now = pool.submit(_rows, arch, pairs, ours, fresh=fresh)
        try:
            rows = before.result()
        except EnvironmentMissing:
            rows = {}
        return rows, now.result()


def _rows(arch: str, pairs: Sequence[tuple[str, str]], side: Side, *, fresh: bool) -> Rows:
    tree = _Tree(project_of(side.root).resolve())
    kept = _Kept(_key(arch, pairs, side, tree))
    if not fresh and (rows := kept.rows(tree)) is not None:
        return rows
    with TemporaryDirectory(prefix="quantroof-select-") as name:
        answer = _asked(arch, pairs, side, tree, Path(name))
        rows = _with_code(answer["rows"], Path(name), arch)
    if not any("failed" in row for row in rows.values()):
        kept.add(tree, answer["files"], answer["folders"], rows)
    return rows


def _asked(
    arch: str, pairs: Sequence[tuple[str, str]], side: Side, tree: _Tree, folder: Path
) -> dict[str, Any]:
    require_cache()
    calls = [msgspec.to_builtins(call) for call in side.calls]
    request = {"arch": arch, "pairs": pairs, "calls": calls, "out": str(folder), "tree": str(tree.top)}
    done = subprocess.run(
        [side.python, "-P", str(Path(fingerprint_process.__file__).resolve())],
        cwd=side.root, env=side.environment, input=json.dumps(request), capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise EnvironmentMissing(f"its kernels cannot be compiled: {last[0]}", where=side.name)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _with_code(rows: Rows, folder: Path, arch: str) -> Rows:
    """The rows with a digest of each file of machine code, and its figures, in place of the file."""
    files = sorted(path for path in folder.iterdir() if path.suffix == ".cubin")
    codes = [path.read_bytes() for path in files]
    try:
        figures = [{name: getattr(one[0], name) for name in _SHOWN} for one in read_cubins(codes, arch)]
    except Exception:  # noqa: BLE001 - without a disassembler a difference is shown without its figures
        figures = [{} for _ in codes]
    by_file = {
        path.name: {"code": code_digest(code), "figures": result}
        for path, code, result in zip(files, codes, figures, strict=True)
    }
    for row in rows.values():
        for part in (*row.get("launches", ()), *row.get("native", ())):
            part.update(by_file.get(part.pop("file", None) or "", {}))
    return rows


@dataclass(frozen=True, slots=True)
class _Tree:
    """The files of a side's project: digests by paths below its top."""

    top: Path

    def digest(self, name: str) -> str | None:
        path = self.top / name
        return hashlib.sha256(path.read_bytes()).hexdigest()[:16] if path.is_file() else None

    def listing(self, name: str) -> str | None:
        path = self.top / name
        if not path.is_dir():
            return None
        names = sorted(entry.name for entry in path.iterdir() if entry.name not in _PASSING)
        return hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class _Kept:
    """Entries of one key, which holds all that is not in the side's tree."""

    key: str

    def rows(self, tree: _Tree) -> Rows | None:
        """The rows of an entry whose files and folders are those of the tree."""
        for path in sorted(_folder().glob(f"{self.key}-*.json")):
            try:
                entry = json.loads(path.read_bytes())
                same = all(tree.digest(name) == digest for name, digest in entry["files"].items())
                if same and all(tree.listing(n) == listing for n, listing in entry["folders"].items()):
                    rows: Rows = entry["rows"]
                    return rows
            except (OSError, ValueError, KeyError, AttributeError):
                continue
        return None

    def add(self, tree: _Tree, files: list[str], folders: list[str], rows: Rows) -> None:
        """Keep the rows; a folder that cannot be written only makes the next comparison slower."""
        entry = {
            "files": {name: tree.digest(name) for name in files},
            "folders": {name: tree.listing(name) for name in folders},
            "rows": rows,
        }
        text = json.dumps(entry)
        name = f"{self.key}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"
        try:
            _folder().mkdir(parents=True, exist_ok=True)
            (_folder() / name).write_text(text, encoding="utf-8")
            entries = sorted(_folder().glob("*.json"), key=lambda path: path.stat().st_mtime)
            for old in entries[:-_MOST_ENTRIES]:
                old.unlink(missing_ok=True)
        except (OSError, EnvironmentMissing):
            return


def _folder() -> Path:
    return cache_folder("select")


def _key(arch: str, pairs: Sequence[tuple[str, str]], side: Side, tree: _Tree) -> str:
    """What decides the rows besides the tree: the request, the interpreter, libraries, and this code."""
    inside = side.package.is_relative_to(tree.top)
    code = [
        Path(module.__file__ or "").read_bytes().hex() for module in (fingerprint_process, fingerprint, trace)
    ]
    calls = json.dumps([msgspec.to_builtins(call) for call in side.calls]).replace(str(tree.top), "")
    triton = sorted((name, value) for name, value in os.environ.items() if name.startswith("TRITON_"))
    parts = [arch, pairs, calls, side.python, side.versions, triton, code, "" if inside else _package(side)]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:24]


def _package(side: Side) -> str:
    """A digest of the package that is not in the side's tree: its kernels, which read the side's files."""
    digest = hashlib.sha256()
    for path in sorted((side.package / "kernels").rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            digest.update(path.read_bytes())
    return digest.hexdigest()
