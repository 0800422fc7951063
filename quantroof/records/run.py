"""The first and the last record of a run file: what was asked for, where it ran, and how it ended."""

from __future__ import annotations

from typing import Literal

import msgspec

from quantroof.bounds import Amount, Count, Processes, Seed, Timeout
from quantroof.hwprofiles.types import Device, HardwareProfile

SCHEMA = "quantroof-run/1"
PYTEST = "pytest"
"""The suite of a run that pytest collected: only pytest can measure its cases again."""

Cache = Literal["cold", "hot"]
Mode = Literal["burst", "sustained"]
RunOutcome = Literal["complete", "interrupted", "failed"]


class Record(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """Base of every record kind."""


class RunOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the user asked for; None leaves it to the suite. `--resume` reads it from the run file."""

    suite: str = "default"
    devices: tuple[str, ...] = ()
    formats: tuple[str, ...] | None = None
    providers: tuple[str, ...] | None = None
    precision: Amount | None = None
    seconds_per_case: Amount | None = None
    cache: Cache = "cold"
    mode: Mode = "burst"
    eager: bool = False
    """Include the kernel launches in the time, as a program without CUDA graphs pays for them."""
    processes: Processes = 1
    serial: bool = False
    seed: Seed = 0
    again: bool = False
    """A second measurement of what the first one found slow; it may leave out links and exact products."""
    case_timeout_s: Timeout = 120.0
    ceilings: bool = True
    anchors: bool = False
    """Time the anchors at the start and the end of every process; the gate needs them."""
    kernels: tuple[str, ...] = ()
    """External kernels as `path.py:NAME`."""


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """The machine that ran it."""

    name: str | None = None
    system: str | None = None
    """Kernel and release of the operating system."""
    machine: str | None = None
    """Instruction set, such as x86_64."""
    cpus: Count | None = None


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """Where the times of a run come from that others measured; none of them was taken on this machine."""

    source: str
    version: str
    license: str
    framework: str
    rule: str
    """How the source timed, in a sentence."""


class RunInfo(Record, frozen=True, kw_only=True, tag="run"):
    """The first record: what was run, where, with what."""

    schema: str
    run_id: str
    started_at: str
    command: tuple[str, ...]
    suite: str
    suite_source: str
    """The text of the suite file."""
    options: RunOptions = msgspec.field(name="settings")
    devices: tuple[Device, ...]
    profiles: dict[str, HardwareProfile]
    versions: dict[str, str]
    environment: dict[str, str] | None = None
    """Variables that steer the libraries, as they were set; None where the run did not record them."""
    host: Host
    git: str | None = None
    simulated: bool = False
    imported: Imported | None = None
    plan: tuple[tuple[str, str, str], ...] = ()
    """(device id, case id, kernel name) of every planned measurement, in the order of the run."""
    processes: Processes = 1
    """In how many fresh processes every planned measurement is repeated."""
    kernel_sources: dict[str, str] = {}
    """Hash of every planned kernel's source by its name (`kernels.sources`)."""


class RunEnd(Record, frozen=True, kw_only=True, tag="end"):
    """The run stopped here: complete, failed or interrupted (a resumed run has several)."""

    finished_at: str
    outcome: RunOutcome
    reason: str | None = None


def environment_changes(before: dict[str, str] | None, after: dict[str, str] | None) -> list[str]:
    """Variables that differ between two headers, in words; none where one of them did not record any."""
    if before is None or after is None:
        return []
    return [
        f"{name} {before.get(name, 'not set')} -> {after.get(name, 'not set')}"
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    ]
