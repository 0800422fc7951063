"""Tests of the youngest architectures, where the installed disassembler may be older than they are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from quantroof.kernels.sass.listing import DisassemblyError


@contextmanager
def or_skipped_where_it_is_too_old() -> Iterator[None]:
    """Skip where cuobjdump is older than the architecture: Triton 3.6 brings one from before sm_121."""
    try:
        yield
    except DisassemblyError as error:
        if "Cannot decode architecture" not in error.what:
            raise
        pytest.skip(error.what)
