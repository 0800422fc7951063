"""The host's heap while a CPU is measured: what a kernel frees stays, as in the caching allocator of a GPU.

By default glibc takes large blocks from the kernel and returns them when they are freed, or does not: that
depends on what the process did before. A call with temporaries then pays for fresh pages in one run (15 ms
for a product with 24 MB of dequantised weights) and not in the next (2.7 ms).
"""

from __future__ import annotations

import ctypes
from contextlib import suppress

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # glibc, malloc.h
_NEVER = -1  # as size_t: no free top of the heap is large enough to be returned


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
