"""`quantroof hardware`: the catalog, derivation, and the audit of what others claim."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from quantroof.cli.options import POSITIVE
from quantroof.cli.output import echo_json, echo_lines, echo_rich, json_option
from quantroof.errors import ExitCode, UsageError
from quantroof.hwprofiles.types import RateClass
from quantroof.reports.text.console import stdout

if TYPE_CHECKING:
    from quantroof.analysis.roofs import Roofs
    from quantroof.hwprofiles.types import Device, HardwareProfile, Peak
    from quantroof.records.directory import Run

_CLASSES = [c for c in get_args(RateClass) if c in ("full", "half", "geforce")]
_run_option = click.option(
    "--run",
    "run_path",
    type=click.Path(path_type=Path),
    help="A run whose measured ceilings are shown beside.",
)


@click.group(short_help="Datasheet peaks with their sources; derive and audit.")
def command() -> None:
    """What GPUs can do by their vendors, where each number comes from, and whether claims about it hold."""


@command.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List every profile of the catalog: the ids are what --gpu and --device sim:ID take."""
    import msgspec

    from quantroof.hwprofiles import catalog

    found = list(catalog.profiles().values())
    if as_json:
        echo_json("hardware-list", {"profiles": msgspec.to_builtins(found)})
        return
    from quantroof.reports.text.hardware_lines import catalog_table

    echo_rich([catalog_table(found, stdout().width)])


@command.command(short_help="Show one profile, beside what a run measured.")
@click.argument("name")
@_run_option
@json_option
def show(name: str, run_path: Path | None, as_json: bool) -> None:
    """Show one profile by id, device name or device (cuda:0), beside what a run measured.

    A shared name shows every card that has it; a device is matched as a run would match it.

    \b
    quantroof hardware show h100-sxm5-80gb
    quantroof hardware show "NVIDIA H200" --run runs/run-...
    """
    found = _resolve(name)
    run = _read(run_path)
    if as_json:
        import msgspec

        from quantroof.hwprofiles import native

        shown = [{"profile": msgspec.to_builtins(p), "ridge_points": _ridges(p)} for p in found]
        for entry, p in zip(shown, found, strict=True):
            entry["measured"] = _measured_data(run, p)
            entry["machine_code"] = msgspec.to_builtins(native.on(p.compute_capability))
        echo_json("hardware-show", {"profiles": shown})
        return
    for p in found:
        _print_profile(p, _roofs(run, p))


@command.command(short_help="Peaks by formula, for a GPU that is not listed.")
@click.option("--device", "device_text", help="Derive for a detected GPU, such as cuda:0.")
@click.option("--compute-capability", help="Such as 8.9.")
@click.option("--sms", type=click.IntRange(1), help="Number of SMs.")
@click.option("--clock-mhz", type=POSITIVE, help="Rated boost clock.")
@click.option("--tensor-clock-mhz", type=POSITIVE, help="If rated apart.")
@click.option("--memory-gbps-per-pin", type=POSITIVE, help="Data rate, Gbit/s.")
@click.option("--bus-bits", type=click.IntRange(1), help="Width of the memory bus.")
@click.option("--rate-class", type=click.Choice(_CLASSES), help="How matrix rates are cut.  [default: full]")
@json_option
def derive(device_text: str | None, rate_class: RateClass | None, as_json: bool, **given: Any) -> None:
    """Derive peaks and bandwidth by formula, for a GPU that the catalog does not list.

    \b
    quantroof hardware derive --compute-capability 8.9 --sms 128 --clock-mhz 2520 \\
        --memory-gbps-per-pin 21 --bus-bits 384 --rate-class geforce
    """
    import msgspec

    if device_text is not None:
        from quantroof.hwprofiles.derive import profile

        derived = profile(_device(device_text), rate_class)
        if as_json:
            echo_json("hardware-derive", {"profile": msgspec.to_builtins(derived)})
        else:
            _print_profile(derived, None)
        return
    from quantroof.reports.text.hardware_lines import derived_lines

    peaks, bandwidth = _by_numbers(rate_class or "full", given)
    if as_json:
        echo_json("hardware-derive", {"peaks": msgspec.to_builtins(peaks), "bandwidth_gbps": bandwidth})
        return
    echo_lines(derived_lines(peaks, bandwidth))


@command.command(short_help="Hold claims about hardware against what is known.")
@click.argument("claims", required=False, type=click.Path(path_type=Path))
@_run_option
@json_option
def audit(claims: Path | None, run_path: Path | None, as_json: bool) -> int:
    """Hold claims about hardware against the catalog, machine code and measurements.

    Without a file those of the lesson that are about hardware; `quantroof claims` judges all of them. Exit
    code 1 says that one is wrong.
    """
    from importlib.resources import as_file, files

    from quantroof.analysis.answers import answers
    from quantroof.claims.checklist import judge
    from quantroof.claims.model import read_claims
    from quantroof.reports.text.claims_lines import document, judgement_lines

    if claims is None:
        with as_file(files("quantroof.claims") / "hardware.toml") as shipped:
            read = read_claims(shipped)
    else:
        read = read_claims(claims)
    run = _read(run_path)
    judged = judge(read, answers([run]).timed if run else [], None)
    if as_json:
        echo_json("hardware-audit", document(judged))
    else:
        echo_rich(judgement_lines(judged))
    return ExitCode.FINDING if any(j.outcome == "wrong" for j in judged) else ExitCode.OK


def _print_profile(profile: HardwareProfile, measured: Roofs | None) -> None:
    from quantroof.reports.text.hardware_lines import profile_parts

    echo_rich(profile_parts(profile, measured))


def _resolve(name: str) -> list[HardwareProfile]:
    from quantroof.hwprofiles import catalog

    if name.startswith("cuda"):
        device = _device(name)
        return [_known(device)]
    return catalog.by_name(name) or [catalog.profile(name)]


def _device(text: str) -> Device:
    from quantroof.hwprofiles.detect import detect
    from quantroof.hwprofiles.select import select

    return select(detect(), (text,))[0]


def _known(device: Device) -> HardwareProfile:
    from quantroof.hwprofiles import catalog
    from quantroof.hwprofiles.derive import profile

    return catalog.match(device) or profile(device)


def _read(path: Path | None) -> Run | None:
    from quantroof.records.directory import read_run

    return None if path is None else read_run(path)


def _roofs(run: Run | None, profile: HardwareProfile) -> Roofs | None:
    """What a run measured on its first device that has this profile."""
    from quantroof.analysis.roofs import measured_roofs

    device = _device_of(run, profile)
    return None if run is None or device is None else measured_roofs(device.id, run.ceilings)


def _measured_data(run: Run | None, profile: HardwareProfile) -> dict[str, Any] | None:
    device, roofs = _device_of(run, profile), _roofs(run, profile)
    if device is None or roofs is None:
        return None
    return {"device": device.id, "bandwidth": dict(roofs.bandwidth), "matrix": dict(roofs.matrix)}


def _device_of(run: Run | None, profile: HardwareProfile) -> Device | None:
    """The first device of a run that has this profile."""
    if run is None:
        return None
    return next((d for d in run.info.devices if d.profile_id == profile.id), None)


def _ridges(profile: HardwareProfile) -> dict[str, float]:
    from quantroof.hwprofiles.roofline import ridge_point

    bandwidth = profile.bandwidth_bytes_per_s
    return {peak.key: ridge_point(peak.flops_per_s, bandwidth) for peak in profile.peaks}


def _by_numbers(rate_class: RateClass, given: dict[str, Any]) -> tuple[tuple[Peak, ...], float | None]:
    from quantroof.hwprofiles.derive import bandwidth_gbps, peaks

    needed = ("compute_capability", "sms", "clock_mhz")
    if missing := [name for name in needed if given[name] is None]:
        options = " and ".join(f"--{name.replace('_', '-')}" for name in missing)
        raise UsageError(f"{options} missing", hint="or --device cuda:0 for a GPU that is here")
    clock = given["clock_mhz"]
    tensor = given["tensor_clock_mhz"] or clock
    found = peaks(given["compute_capability"], given["sms"], clock, tensor, rate_class)
    per_pin, bus = given["memory_gbps_per_pin"], given["bus_bits"]
    bandwidth = None if per_pin is None or bus is None else bandwidth_gbps(per_pin, bus)
    return found, bandwidth
