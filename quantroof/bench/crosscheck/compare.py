"""A case by our timer beside the same case by hardware counters and by a timeline."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from statistics import median

from quantroof.bench.crosscheck import ncu
from quantroof.errors import EnvironmentMissing, UsageError
from quantroof.records.lines import Measurement

_TIMEOUT_S = 600


@dataclass(frozen=True, slots=True)
class Agreement:
    """Our median beside the witness's. A case of one kernel is held against the counters, one of several
    against the timeline, since counters serialise what overlaps. Times in ns, traffic in bytes a call."""

    case: str
    kernel: str
    ours_ns: float
    witness_ns: float
    witness: str
    kernels: int
    counted_bytes: int
    dram_bytes: float | None

    @property
    def time_difference(self) -> float:
        """(ours - witness) / witness."""
        return self.ours_ns / self.witness_ns - 1

    @property
    def bytes_difference(self) -> float | None:
        """(counted - DRAM) / DRAM, None where the counters gave no traffic."""
        return None if not self.dram_bytes else self.counted_bytes / self.dram_bytes - 1


def cross_check(line: Measurement, device_index: int) -> Agreement:
    """Run the counters on a measured case, and the timeline too where a call launches several kernels."""
    if line.timing is None:
        raise UsageError(f"{line.case} {line.kernel} was not timed: {line.reason}")
    counted = _counters(line, device_index)
    witness, time_ns = "counters", counted.time_ns
    if counted.kernels > 1:
        witness, time_ns = "timeline", _timeline(line, device_index)
    return Agreement(
        case=line.case,
        kernel=line.kernel,
        ours_ns=median(line.timing.samples_ns),
        witness_ns=time_ns,
        witness=witness,
        kernels=counted.kernels,
        counted_bytes=line.bytes_moved,
        dram_bytes=counted.dram_bytes,
    )


def _counters(line: Measurement, device_index: int) -> ncu.Counted:
    command = ncu.command(line.case, line.kernel, device_index)
    if shutil.which(command[0]) is None:
        hint = "the line to run where there is one stands above"
        raise EnvironmentMissing("ncu is not on the PATH", hint=hint)
    done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    return ncu.per_call(ncu.launches(done.stdout + done.stderr), ncu.CALLS)


def _timeline(line: Measurement, device_index: int) -> float:
    module = "quantroof.bench.crosscheck.single"
    command = [
        sys.executable,
        "-m",
        module,
        line.case,
        line.kernel,
        "--index",
        str(device_index),
        "--timeline",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    if done.returncode:
        last = (done.stderr.strip() or "no message").splitlines()[-1]
        raise EnvironmentMissing(f"the timeline failed: {last}")
    spans_ns: list[float] = json.loads(done.stdout.splitlines()[-1])["spans_ns"]
    return median(spans_ns)
