"""Files of users and optional packages: read, written or imported, or one line that says why not."""

from __future__ import annotations

import errno
import math
import os
import re
import stat
import tomllib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from quantroof.errors import EnvironmentMissing, UsageError, first_line, unknown_name
from quantroof.extras import install_hint

T = TypeVar("T")
FULL_DISK_HINT = "free some space there, or name another folder"
_UNKNOWN_FIELD = re.compile(r"unknown field `(?P<field>[^`]*)`(?: - at `\$\.?(?P<path>[^`]*)`)?")
_AT = re.compile(r"(?P<what>.*) - at `(?:key in )?\$\.?(?P<path>[^`]*)`")


MALFORMED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What a decoder raises for data that is not what it reads; RecursionError where it is nested too deeply."""


def malformed(error: BaseException) -> str:
    """Why a decoder refused data, in words: Python's own for deep nesting are about its stack."""
    return "it is nested too deeply" if isinstance(error, RecursionError) else first_line(error)


@contextmanager
def reading(path: Path | str, hint: str | None = None) -> Iterator[None]:
    """UsageError with the file and the reason where the code inside cannot read it."""
    try:
        yield
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", where=str(path), hint=hint) from None
    except UnicodeDecodeError:
        raise UsageError("is not UTF-8 text", where=str(path), hint=hint) from None


def read_bytes(path: Path, hint: str | None = None) -> bytes:
    """What a file holds; UsageError if it cannot be read."""
    with reading(path, hint):
        return _regular(path, hint).read_bytes()


def read_text(path: Path, hint: str | None = None) -> str:
    """The text of a UTF-8 file; UsageError if it cannot be read."""
    with reading(path, hint):
        return _regular(path, hint).read_text(encoding="utf-8")


def _regular(path: Path, hint: str | None) -> Path:
    """The path again; UsageError for a pipe, a device or a socket, whose end may never come."""
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):  # reading a directory is an error with a text
        raise UsageError("is a pipe, a device or a socket, not a file", where=str(path), hint=hint)
    return path


def read_toml(path: Path, kind: type[T], schema: str | None = None) -> T:
    """A TOML file as a typed value; UsageError with file, key and the nearest names for anything else."""
    return parse_toml(read_text(path), kind, str(path), schema)


def parse_toml(text: str, kind: type[T], where: str, schema: str | None = None) -> T:
    """The text of a TOML file as a typed value; `where` is the name that errors give the file."""
    return checked(toml_table(text, where, schema), kind, where)


def toml_table(text: str, where: str, schema: str | None = None) -> dict[str, Any]:
    """The text of a TOML file as a table, whose key `schema` is as expected where one is."""
    try:
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(f"not TOML: {malformed(error)}", where=where) from None
    if key := _not_finite(table):
        raise UsageError(f"{key}: needs a finite number", where=where)
    if schema is not None and table.get("schema") != schema:
        raise UsageError(f"its schema is {table.get('schema')!r}, this version reads '{schema}'", where=where)
    return table


def _not_finite(value: object, key: str = "") -> str | None:
    """The key of the first infinite or undefined number, which TOML can hold and no setting of ours means."""
    if isinstance(value, float) and not math.isfinite(value):
        return key
    items: Iterable[tuple[object, object]] = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = ((f"[{index}]", item) for index, item in enumerate(value))
    names = ((f"{key}.{name}".strip(".").replace(".[", "["), item) for name, item in items)
    return next((bad for name, item in names if (bad := _not_finite(item, name))), None)


def checked(data: object, kind: type[T], where: str) -> T:
    """Plain data as a typed value; UsageError with the key and the nearest names where it does not fit."""
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        raise _explained(str(error), kind, where) from None


def cache_folder(name: str) -> Path:
    """Where things that can be made again are kept: `quantroof/NAME` in the user's cache directory (XDG).

    EnvironmentMissing for a user without a home directory, where XDG_CACHE_HOME is not set either.
    """
    try:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError:  # a user without a home directory, as in many containers
        hint = "set XDG_CACHE_HOME to a folder that can be written"
        raise EnvironmentMissing("this user has no home directory", hint=hint) from None
    return Path(base) / "quantroof" / name


@contextmanager
def writing(target: Path | str) -> Iterator[None]:
    """EnvironmentMissing with the file and the reason where the code inside cannot write it."""
    try:
        yield
    except OSError as error:
        raise not_written(error, target) from None


def not_written(error: OSError, target: Path | str) -> EnvironmentMissing:
    """The line for a file that the system cannot write: the reason, the file, and what helps a full disk."""
    hint = FULL_DISK_HINT if error.errno in (errno.ENOSPC, errno.EDQUOT) else None
    return EnvironmentMissing(f"cannot be written: {error.strerror}", where=str(target), hint=hint)


def write_to(target: Path, write: Callable[[Path], object]) -> None:
    """Make the folder and call `write`; EnvironmentMissing if either fails; half a new file is removed."""
    known = target.exists()
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            write(target)
        except OSError:
            if not known:
                target.unlink(missing_ok=True)
            raise


def require(module: str, purpose: str, extra: str) -> ModuleType:
    """Import an optional package; EnvironmentMissing with the extra that brings it where that fails."""
    try:
        return import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        why = "is not installed" if error.name == package else f"cannot be imported: {error}"
        raise EnvironmentMissing(
            f"{purpose} needs {package}, which {why}", hint=install_hint(extra)
        ) from None


def _explained(message: str, kind: Any, where: str) -> UsageError:
    """msgspec's message with the key first, and for an unknown key the names that are allowed there."""
    if unknown := _UNKNOWN_FIELD.search(message):
        path = unknown["path"] or ""
        table = f"{where}: {path}" if path else where
        return unknown_name("key", unknown["field"], _keys_at(kind, path), table)
    if at := _AT.fullmatch(message):
        return UsageError(f"{at['path']}: {at['what'][0].lower()}{at['what'][1:]}", where=where)
    return UsageError(message, where=where)


def _keys_at(kind: Any, path: str) -> list[str]:
    """The keys of the table that a msgspec path such as `cpu.sweep[0]` or `profile[...]` leads to."""
    here: list[inspect.Type] = [inspect.type_info(kind)]
    for step in re.findall(r"[^.\[]+|\[", re.sub(r"\[[^]]*\]", "[", path)):
        members = [member for node in here for member in _members(node, "" if step == "[" else step)]
        here = members or here
    structs = [node for node in _alternatives(here) if isinstance(node, inspect.StructType)]
    return list(dict.fromkeys(field.encode_name for struct in structs for field in struct.fields))


def _alternatives(nodes: list[inspect.Type]) -> list[inspect.Type]:
    return [one for node in nodes for one in (node.types if isinstance(node, inspect.UnionType) else (node,))]


def _members(node: inspect.Type, name: str) -> list[inspect.Type]:
    """The types of a field of this name, or with no name of the items of a list or a table."""
    members: list[inspect.Type] = []
    for one in _alternatives([node]):
        match one:
            case inspect.StructType(fields=fields) if name:
                members += [field.type for field in fields if field.encode_name == name]
            case inspect.VarTupleType(item_type=item) | inspect.ListType(item_type=item) if not name:
                members.append(item)
            case inspect.DictType(value_type=value) if not name:
                members.append(value)
    return members
