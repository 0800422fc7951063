"""The machine and the times that an answer rests on: from a profile, a run, or both."""

from __future__ import annotations

from pathlib import Path

import msgspec

from quantroof.advisor.choices import CHOICES
from quantroof.advisor.derived_gpu import derived_gpu
from quantroof.advisor.links import DEFAULT_LATENCY_S, Link
from quantroof.advisor.machine import Machine, device_of, from_profile, from_run
from quantroof.advisor.timings import TimingTable
from quantroof.errors import UsageError
from quantroof.hwprofiles import catalog
from quantroof.hwprofiles.types import HardwareProfile
from quantroof.records.directory import read_run
from quantroof.records.jsonl import collector_paused


def machine_and_times(gpu: str | None, run_path: Path | None) -> tuple[Machine, TimingTable]:
    """The node's own measurements where a run is given, the profile where there is none."""
    if run_path is not None:
        from quantroof.advisor.run_times import run_table

        run = read_run(run_path, imported=True)
        device = device_of(run, gpu)
        with collector_paused():
            return from_run(run, device), run_table(run, device, CHOICES)
    if gpu is None:
        raise UsageError(
            "needs a GPU or a run",
            where="advise",
            hint="--gpu a100-sxm4-80gb, or --run latest; `quantroof list gpus` has every GPU",
        )
    return from_profile(_profile(gpu)), TimingTable()


def machines_named(gpus: str) -> list[Machine]:
    """The machines of a list of names, or of the catalog for `all`, without those that nobody rates."""
    if gpus == "all":
        every = (from_profile(profile) for profile in catalog.profiles().values())
        return [machine for machine in every if machine.rate("bf16") is not None]
    names = dict.fromkeys(name.strip() for name in gpus.split(",") if name.strip())
    return [from_profile(_profile(name)) for name in names]


def _profile(gpu: str) -> HardwareProfile:
    """A derived board, or the one entry of the catalog that a name means."""
    if "=" in gpu:
        return derived_gpu(gpu)
    matches = catalog.named(gpu)
    if len(matches) > 1:
        ids = ", ".join(p.id for p in matches)
        raise UsageError(
            f"several boards are called '{gpu}'",
            where="--gpu",
            hint=f"name one, or several with commas to compare them: {ids}",
        )
    if not matches:
        raise catalog.unknown_gpu(gpu)
    return matches[0]


def with_link(machine: Machine, gbps: float | None, latency_us: float | None) -> Machine:
    """The machine with a link that the user stated."""
    if gbps is None and latency_us is None:
        return machine
    latency = DEFAULT_LATENCY_S if latency_us is None else latency_us * 1e-6
    if gbps is not None:
        link = Link(
            kind="a stated link", bytes_per_s=gbps * 1e9, latency_s=latency, source="stated by the user"
        )
    elif machine.link is not None:
        link = msgspec.structs.replace(machine.link, latency_s=latency, from_catalog=False)
    else:
        raise UsageError(
            f"no link between GPUs is known for {machine.id}", where="--link-latency", hint="--link-gbps"
        )
    return msgspec.structs.replace(machine, link=link)
