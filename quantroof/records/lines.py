"""The records of a run file. Each is one line of JSON with a `kind`; `records.run` has the first and last.

Times are nanoseconds, sizes bytes, clocks MHz, power watts. Rates are derived by the reader, never stored.
None means "not reported"; unknown is never a zero.
"""

from __future__ import annotations

import math
from functools import cached_property, lru_cache
from typing import Any, Literal

import msgspec

from quantroof.bounds import LONGEST_NS, SHORTEST_NS, Amount, Count, Index
from quantroof.errors import UsageError
from quantroof.kernels.cases import CallCase, Case
from quantroof.records.run import Cache, Mode, Record, RunEnd, RunInfo

Status = Literal["ok", "incorrect", "skipped", "failed", "simulated", "imported"]
TIMED: tuple[Status, ...] = ("ok", "simulated")
"""Timed here. An `imported` time was measured by others, elsewhere, and is never compared with these."""
HAVE_TIMES: tuple[Status, ...] = (*TIMED, "imported")

Method = Literal["cpu-blocks", "cuda-graph", "cuda-events", "cuda-eager", "simulated"]
StoppedBy = Literal["precision", "wall", "max_samples"]
AnchorName = Literal["gemm", "copy"]
Moment = Literal["start", "end"]
Config = dict[str, str | int | float | bool]


class Timing(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Raw samples and how they were taken.

    `samples_ns` holds one time per call for every block of `calls_per_sample` calls, in order, none removed.
    `copies` is the number of weight sets used in turn, `rotated_bytes` in all, so that a cold call reads
    DRAM; `hot` names what stays in the cache between calls even so.
    """

    samples_ns: tuple[float, ...]
    calls_per_sample: Count
    cache: Cache
    method: Method
    stopped_by: StoppedBy
    copies: Count
    rotated_bytes: Count
    hot: tuple[str, ...] = ()
    mode: Mode = "burst"
    spread: Amount | None = None
    """Relative half-width of the interval where a source reduced its samples to one number."""


class Accuracy(msgspec.Struct, frozen=True, kw_only=True):
    """Errors of a kernel's output, relative to the largest or total magnitude of the reference.

    `frobenius` and `max_abs` compare with an fp64 reference on the same input values that the kernel reads;
    `format_frobenius` compares with the product of the unquantized values: the error of the format itself.
    """

    frobenius: float
    max_abs: float
    tolerance: float
    format_frobenius: float | None = None


class DeviceState(msgspec.Struct, frozen=True, kw_only=True):
    """The state the device was in while a case was timed; every field may be unreported.

    `held_mhz` is the SM clock of every timed batch by the device's own counters. `reasons` are NVML's
    clock-event reason bits, or-ed over the case, with `age_ms` of the oldest reading. `power_w` and
    `energy_j` come from the total-energy counter over at least a second. `ecc_errors` are uncorrected memory
    errors and `xid` the driver's critical error codes that came meanwhile. `other_load_cores` is how many of
    a CPU's cores others kept busy, `throttled_periods` how often a CPU quota stopped the threads.
    """

    sm_clock_mhz: Amount | None = None
    sm_clock_source: Literal["device", "nvml"] | None = None
    held_mhz: tuple[Amount, ...] = ()
    memory_clock_mhz: Amount | None = None
    temperature_c: Amount | None = None
    power_w: Amount | None = None
    energy_j: Amount | None = None
    reasons: Count | None = None
    age_ms: Amount | None = None
    ecc_errors: Amount | None = None
    xid: tuple[Count, ...] = ()
    foreign_processes: Count | None = None
    other_load_cores: Amount | None = None
    throttled_periods: Count | None = None


class Flag(msgspec.Struct, frozen=True, kw_only=True):
    """A warning about one line: a code for programs, a sentence with the number and the remedy for people."""

    code: str
    text: str


Quantity = Literal["bandwidth", "matrix", "cache", "instruction", "link"]
_HAVE_BYTES: tuple[Quantity, ...] = ("bandwidth", "cache", "link")
GroupKey = tuple[Quantity, str, str]
"""Quantity, name and kernel family of ceilings that are measured together."""


class Ceiling(Record, frozen=True, kw_only=True, tag="ceiling"):
    """What one device was measured to do. Bandwidths have bytes, rates have flops.

    Two quantities are roofs: `bandwidth` of the DRAM (name read, write, copy or triad) and `matrix`, the best
    library kernel of an element type (its name). The others are evidence and never a roof: `cache` (l2_read,
    shared_read), `instruction` (fma/fp32, mma.sync/int4/int32) and `link` (peer_copy/cuda:1,
    all_reduce/cuda:0+cuda:1, whose bytes are what one link carries in one direction).
    """

    device: str
    quantity: Quantity
    name: str
    kernel: str
    status: Status
    reason: str | None = None
    bytes_moved: Count | None = None
    flops: Count | None = None
    shape: tuple[Count, ...] | None = None
    timing: Timing | None = None
    state: DeviceState | None = None
    moment: Moment = "start"
    """Bandwidths are measured again at the end of a run: a machine that changed its state shows."""

    def __post_init__(self) -> None:
        _require_timing_iff_timed(self.status, self.timing, self.reason)

    @property
    def group(self) -> GroupKey:
        """The ceilings that this one was measured with: other sizes and launch shapes of the same thing."""
        return self.quantity, self.name, self.kernel.partition("/")[0]

    @property
    def amount(self) -> int | None:
        """What the rate counts: bytes or operations of one call."""
        return self.bytes_moved if self.quantity in _HAVE_BYTES else self.flops


class Anchor(Record, frozen=True, kw_only=True, tag="anchor"):
    """A library GEMM (has flops) or a large copy (has bytes), timed at the start and end of a process."""

    device: str
    name: AnchorName
    moment: Moment
    process: Index = 0
    status: Status
    reason: str | None = None
    bytes_moved: Count | None = None
    flops: Count | None = None
    timing: Timing | None = None
    state: DeviceState | None = None
    flags: tuple[Flag, ...] = ()

    def __post_init__(self) -> None:
        _require_timing_iff_timed(self.status, self.timing, self.reason)


class WrongTile(msgspec.Struct, frozen=True, kw_only=True):
    """The first output of a product that differed: where it is, and both values."""

    repeat: Count
    row: Count
    column: Count
    tile_row: Count
    tile_column: Count
    sm: Count | None = None
    """The SM that computed the tile; None where the product is a library's."""
    expected: float
    computed: float


class Bits(Record, frozen=True, kw_only=True, tag="bits"):
    """The same exact product, many times on one device, compared bit by bit with its first result.

    `shape` is (M, N, K). `digest` is of the first result, which equal devices share. `wrong_repeats` counts
    the repeats that differed and `wrong_outputs` their outputs; `first` and `state` describe the first.
    """

    device: str
    product: str
    status: Status
    reason: str | None = None
    shape: tuple[Count, ...] = ()
    repeats: Count = 0
    wrong_repeats: Count = 0
    wrong_outputs: Count = 0
    digest: str | None = None
    first: WrongTile | None = None
    state: DeviceState | None = None


class Measurement(Record, frozen=True, kw_only=True, dict=True, tag="measurement"):
    """Case x Kernel x Device. `case` is the case's id; `config` the kernel's own configuration.

    `process` counts the fresh processes a line was repeated in; `concurrent` is how many devices of the host
    were being measured at the same time.
    """

    device: str
    case: str
    kernel: str
    provider: str
    status: Status
    reason: str | None = None
    flops: Count
    bytes_moved: Count
    timing: Timing | None = None
    accuracy: Accuracy | None = None
    state: DeviceState | None = None
    flags: tuple[Flag, ...] = ()
    config: Config = msgspec.field(default_factory=dict)
    process: Index = 0
    concurrent: Index = 1
    elapsed_s: Amount | None = None
    """Wall time the whole case took, set-up and checks included."""
    computes: str | None = None
    """The element that the kernel multiplies in, where it is not the case's: the roof of an emulation."""

    def __post_init__(self) -> None:
        _require_timing_iff_timed(self.status, self.timing, self.reason)
        if self.status == "imported":  # tens of thousands of lines, read where they are needed
            return
        try:
            self.parsed_case  # noqa: B018 - a case that is none is refused here, and every other is kept
        except UsageError as error:
            raise ValueError(str(error)) from None  # msgspec turns it into a ValidationError with the path

    @cached_property
    def parsed_case(self) -> Case:
        """The Case behind the id; parsed once, when the measurement is made or read."""
        case = parsed_case(self.case)
        if isinstance(case, CallCase):  # its id does not hold what its author counts
            return CallCase.of(case.call, case.compute.name, case.axes, self.flops, self.bytes_moved)
        return case

    @property
    def element(self) -> str:
        """The element that entered the multiplier: which matrix roof applies."""
        return self.computes or self.parsed_case.compute.name

    @property
    def key(self) -> tuple[str, str, str]:
        """What identifies a planned measurement: device, case, kernel."""
        return self.device, self.case, self.kernel

    @property
    def run_key(self) -> tuple[str, str, str, int]:
        """What identifies one line of a run: the key and the process."""
        return *self.key, self.process


class Unknown(msgspec.Struct, frozen=True):
    """A line of a kind this version does not know, kept as it was."""

    kind: str
    data: dict[str, Any]


AnyRecord = RunInfo | Ceiling | Anchor | Bits | Measurement | RunEnd


@lru_cache(maxsize=65536)
def case_words(case_id: str) -> str:
    """A case for people: scheme and shape of a layer, else its id, which a file may have made up."""
    try:
        return parsed_case(case_id).words
    except UsageError:
        return case_id


@lru_cache(maxsize=65536)
def parsed_case(case_id: str) -> Case:
    """The Case behind an id; UsageError if the text is not an id."""
    return Case.parse(case_id)


def _require_timing_iff_timed(status: Status, timing: Timing | None, reason: str | None) -> None:
    if status in HAVE_TIMES:
        if timing is None or not timing.samples_ns:
            raise ValueError(f"status '{status}' needs timing samples")
        if all(SHORTEST_NS <= sample <= LONGEST_NS for sample in timing.samples_ns):
            return
        if any(not sample > 0 for sample in timing.samples_ns):
            raise ValueError("a sample is not a positive number")
        # No file holds infinity; in memory it is what `analysis.trust` judges.
        if any(sample < SHORTEST_NS or LONGEST_NS < sample < math.inf for sample in timing.samples_ns):
            raise ValueError(f"a sample is not within {SHORTEST_NS:g} and {LONGEST_NS:g} ns")
    elif timing is not None:
        raise ValueError(f"status '{status}' must not carry a timing")
    elif not reason:
        raise ValueError(f"status '{status}' needs a reason")
