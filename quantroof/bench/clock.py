"""The clocks that times are read from, taken when this module is imported: before any kernel of others is.

A kernel that replaces `time.perf_counter_ns` changes what it reads itself, and nothing that is recorded.
"""

from __future__ import annotations

from time import perf_counter as now_s
from time import perf_counter_ns as now_ns

__all__ = ["now_ns", "now_s"]
