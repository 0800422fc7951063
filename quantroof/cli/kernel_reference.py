"""Kernels of one's own on the command line, as `path.py:NAME`."""

from __future__ import annotations

from pathlib import Path


def absolute(reference: str) -> str:
    """The reference with its path made absolute: a worker and --resume may start elsewhere."""
    path, colon, name = reference.rpartition(":")
    return f"{Path(path).resolve()}{colon}{name}" if path else reference
