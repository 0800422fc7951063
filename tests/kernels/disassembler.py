"""Tests of the youngest architectures, where the installed disassembler may be older than they are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from quantroof.kernels.sass.listing import DisassemblyError

_TOO_OLD = (
    "Cannot decode architecture",
    "is not defined for option 'binary'",
)  # cuobjdump's words, nvdisasm's


@contextmanager
def or_skipped_where_it_is_too_old() -> Iterator[None]:
    """Skip where the tools are older than the architecture: Triton 3.6 brings some from before sm_121."""
    try:
        yield
    except DisassemblyError as error:
        if not any(words in error.what for words in _TOO_OLD):
            raise
        pytest.skip(error.what)
