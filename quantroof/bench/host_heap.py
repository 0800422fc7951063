"""The host's heap while a CPU is measured: keeps what a kernel frees, as a GPU's caching allocator does.

By default glibc takes large blocks from the kernel and returns them when they are freed, or does not: that
depends on what the process did before. A call with temporaries then pays for fresh pages in one run (15 ms
for a product with 24 MB of dequantized weights) and not in the next (2.7 ms).
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_PERTURB = -1, -4, -6  # glibc, malloc.h
_NEVER = -1  # as size_t: no free top of the heap is large enough to be returned


@contextmanager
def new_blocks_filled() -> Iterator[None]:
    """Fill every new block with 0x7f bytes during that time: NaN as fp16 and fp8, 3.4e38 as bf16 and fp32.

    A kernel that leaves a part of its output unwritten then shows a huge error, not what an earlier one left.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_PERTURB, 0x80)  # glibc writes the complement
    try:
        yield
    finally:
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).mallopt(_M_PERTURB, 0)


def keep_freed_memory() -> None:
    """Serve every block from the heap, and keep it. Does nothing where the C library is not glibc."""
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(_M_MMAP_MAX, 0)
        library.mallopt(_M_TRIM_THRESHOLD, _NEVER)


def give_back() -> None:
    """Return what is free to the kernel: between cases, so that the next one finds the host's memory."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
