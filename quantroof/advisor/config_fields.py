"""Looks up integers in a configuration file; its errors name the field that is missing or not positive."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from quantroof.errors import UsageError

_LARGEST = 10**9  # of a dimension, a count of layers or a context


class Fields:
    """The fields of one configuration, of the file `where`."""

    def __init__(self, data: Mapping[str, Any], where: str) -> None:
        self.data, self.where = data, where

    def number(self, *names: str, default: int | None = None) -> int:
        """The first of several names for the same field."""
        for name in names:
            value = self.data.get(name)
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise UsageError(f"{name} = {value!r} is not a positive whole number", where=self.where)
            if value > _LARGEST:
                raise UsageError(f"{name} = {value} is above {_LARGEST}", where=self.where)
            return value
        if default is not None:
            return default
        raise UsageError(f"has no field {' or '.join(names)}", where=self.where)

    def optional(self, *names: str) -> int | None:
        """Like number, but None if every name is absent, null or zero."""
        present = [name for name in names if self.data.get(name)]
        return self.number(*present) if present else None

    def inner(self, name: str) -> Fields:
        """The fields of a table inside this one; UsageError if there is none."""
        value = self.data.get(name)
        if not isinstance(value, Mapping):
            raise UsageError(f"has no table {name}", where=self.where)
        return Fields(value, f"{self.where}: {name}")

    def marks(self, name: str, length: int) -> list[Any]:
        """A list with one entry per layer; UsageError for anything else."""
        value = self.data.get(name)
        if not isinstance(value, list | str) or len(value) < length:
            raise UsageError(f"{name} has no entry for each of {length} layers", where=self.where)
        return list(value[:length])
