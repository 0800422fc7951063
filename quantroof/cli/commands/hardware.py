"""`quantroof hardware`: the catalog, peaks by formula, and the audit of claims about hardware."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from quantroof.cli.groups import SuggestingGroup
from quantroof.cli.options import COUNT, FILE, POSITIVE, as_struct
from quantroof.cli.output import echo_json, echo_lines, echo_rich, json_option
from quantroof.errors import EnvironmentMissing, ExitCode, UsageError
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
    type=FILE,
    help="Also show the ceilings that this run measured.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The figures of a GPU from which peaks are derived."""

    compute_capability: str | None
    sms: int | None
    clock_mhz: float | None
    tensor_clock_mhz: float | None
    memory_gbps_per_pin: float | None
    bus_bits: int | None
    bandwidth_gbps: float | None
    memory_gib: float | None


@click.group(cls=SuggestingGroup, short_help="Datasheet peaks with their sources; derive and audit.")
def command() -> None:
    """What GPUs can do according to their vendors, with the source of each number, and checks of claims."""


@command.command("list", short_help="The ids and figures of all profiles.")
@json_option
def list_(as_json: bool) -> None:
    """List every profile of the catalog: --gpu and --device sim:ID take these ids."""
    import msgspec

    from quantroof.hwprofiles import catalog

    profiles = list(catalog.profiles().values())
    if as_json:
        echo_json("hardware-list", {"profiles": msgspec.to_builtins(profiles)})
        return
    from quantroof.reports.text.hardware_lines import catalog_table

    echo_rich([catalog_table(profiles, stdout().width)])


@command.command(short_help="Show one profile, beside what a run measured.")
@click.argument("name")
@_run_option
@json_option
def show(name: str, run_path: Path | None, as_json: bool) -> None:
    """Show one profile by id, device name or device (cuda:0), beside what a run measured.

    A name that several cards share shows all of them; a device is matched as in a run.

    \b
    quantroof hardware show h100-sxm5-80gb
    quantroof hardware show "NVIDIA H200" --run runs/run-...
    """
    profiles = _resolve(name)
    run = _read(run_path)
    if as_json:
        import msgspec

        from quantroof.hwprofiles import native

        shown = [{"profile": msgspec.to_builtins(p), "ridge_points": _ridges(p)} for p in profiles]
        for entry, p in zip(shown, profiles, strict=True):
            entry["measured"] = _measured_data(run, p)
            entry["machine_code"] = msgspec.to_builtins(native.on(p.compute_capability))
        echo_json("hardware-show", {"profiles": shown})
        return
    for p in profiles:
        _print_profile(p, _roofs(run, p))


@command.command(short_help="Peaks by formula, for a GPU that is not listed.")
@click.option("--device", "device_text", help="Derive for a detected GPU, such as cuda:0.")
@click.option("--compute-capability", help="Such as 8.9.")
@click.option("--sms", type=COUNT, help="Number of SMs.")
@click.option("--clock-mhz", type=POSITIVE, help="Rated boost clock.")
@click.option("--tensor-clock-mhz", type=POSITIVE, help="Clock of the matrix units, if rated separately.")
@click.option("--memory-gbps-per-pin", type=POSITIVE, help="Data rate, Gbit/s.")
@click.option("--bus-bits", type=COUNT, help="Width of the memory bus.")
@click.option("--bandwidth-gbps", type=POSITIVE, help="Bandwidth in GB/s, in place of data rate and bus.")
@click.option("--memory-gib", type=POSITIVE, help="Memory in GiB: prints the option that advise takes.")
@click.option(
    "--rate-class", type=click.Choice(_CLASSES), help="How matrix rates are limited.  [default: full]"
)
@json_option
@as_struct(Figures)
def derive(figures: Figures, *, device_text: str | None, rate_class: RateClass | None, as_json: bool) -> None:
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

    peaks, bandwidth = _by_numbers(rate_class or "full", figures)
    if as_json:
        echo_json("hardware-derive", {"peaks": msgspec.to_builtins(peaks), "bandwidth_gbps": bandwidth})
        return
    echo_lines(derived_lines(peaks, bandwidth))
    option = _for_advise(rate_class or "full", figures, bandwidth)
    if option is not None:
        click.echo(f"\nquantroof advise --model llama-3.1-8b --gpu {option}")


@command.command(short_help="Check claims about hardware.")
@click.argument("claims", required=False, type=FILE)
@_run_option
@json_option
def audit(claims: Path | None, run_path: Path | None, as_json: bool) -> int:
    """Check claims about hardware by the catalog, machine code and measurements.

    Without CLAIMS, those about hardware in the course of docs/lesson.md; `quantroof claims` judges all of
    them. Exit code 1 means that one is wrong.
    """
    from quantroof.analysis.answers import answers
    from quantroof.claims.checklist import HARDWARE, evidence_of, judge, shipped
    from quantroof.claims.reading import read_claims
    from quantroof.reports.text.claims_lines import claim_lines, document

    checklist = shipped([HARDWARE]) if claims is None else read_claims([claims])
    run = _read(run_path)
    results = judge(checklist.claims, evidence_of(answers([run]).timed if run else []))
    if as_json:
        echo_json("hardware-audit", document(results))
    else:
        echo_rich(claim_lines(results, checklist.sections))
    return ExitCode.FINDING if any(result.outcome == "wrong" for result in results) else ExitCode.OK


def _print_profile(profile: HardwareProfile, measured: Roofs | None) -> None:
    from quantroof.reports.text.hardware_lines import profile_parts

    echo_rich(profile_parts(profile, measured))


def _resolve(name: str) -> list[HardwareProfile]:
    from quantroof.hwprofiles import catalog

    if name.startswith("cuda"):
        try:
            return [_profile_of(_device(name))]
        except EnvironmentMissing as error:
            hint = "name a profile of `quantroof hardware list`"
            raise EnvironmentMissing(error.what, where=name, hint=hint) from None
    return catalog.named(name) or [catalog.profile(name)]


def _device(text: str) -> Device:
    from quantroof.hwprofiles.detect import detect
    from quantroof.hwprofiles.select import select

    return select(detect(), (text,))[0]


def _profile_of(device: Device) -> HardwareProfile:
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


def _by_numbers(rate_class: RateClass, figures: Figures) -> tuple[tuple[Peak, ...], float | None]:
    from quantroof.hwprofiles.derive import bandwidth_gbps, peaks

    capability, sms, clock = figures.compute_capability, figures.sms, figures.clock_mhz
    if capability is None or sms is None or clock is None:
        needed = {"--compute-capability": capability, "--sms": sms, "--clock-mhz": clock}
        options = ", ".join(name for name, value in needed.items() if value is None)
        raise UsageError(
            f"needs {options}", where="derive", hint="or --device cuda:0 for a GPU of this machine"
        )
    derived = peaks(capability, sms, clock, figures.tensor_clock_mhz or clock, rate_class)
    per_pin, bus = figures.memory_gbps_per_pin, figures.bus_bits
    bandwidth = None if per_pin is None or bus is None else bandwidth_gbps(per_pin, bus)
    return derived, figures.bandwidth_gbps or bandwidth


def _for_advise(rate_class: RateClass, figures: Figures, bandwidth: float | None) -> str | None:
    """The `--gpu` of advise for these figures, None where the memory or its bandwidth is not stated."""
    if bandwidth is None or figures.memory_gib is None:
        return None
    text = f"cc={figures.compute_capability},sms={figures.sms},clock={figures.clock_mhz:g}"
    return f"{text},memory={figures.memory_gib:g},bandwidth={bandwidth:g},class={rate_class}"
