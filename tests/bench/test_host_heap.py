"""The heap of a measuring process, by counting page faults in real processes."""

from __future__ import annotations

import subprocess
import sys

_COUNT = """
import resource
from quantroof.bench.host_heap import give_back, keep_freed_memory
keep_freed_memory()
import torch

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def call():
    torch.zeros(10 << 20).add(1)

for _ in range(10):  # the heap finds its layout
    call()
before = faults()
for _ in range(10):
    call()
kept = faults() - before
give_back()
before = faults()
call()
print(kept, faults() - before)
"""
_PAGES = (40 << 20) // 4096  # of one temporary, too large for the heap by default


def test_temporaries_are_faulted_in_once_and_given_back_between_cases() -> None:
    """Ten calls with two temporaries of 40 MB touch hardly a fresh page; after `give_back` one does."""
    done = subprocess.run([sys.executable, "-c", _COUNT], capture_output=True, text=True, check=True)
    kept, after = map(int, done.stdout.split())

    assert kept <= 2 * _PAGES  # 20 without
    assert after > _PAGES
