"""`quantroof doctor`: what is here, and is it fit to be measured?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from quantroof.cli.burn_in import burn_in, burn_in_options, refuse_without_burn_in
from quantroof.cli.output import echo_json, json_option
from quantroof.errors import ExitCode
from quantroof.reports.text.console import stdout

if TYPE_CHECKING:
    from rich.console import Console

    from quantroof.hwprofiles.checks import Check
    from quantroof.hwprofiles.detect import Detection
    from quantroof.hwprofiles.health import Health
    from quantroof.hwprofiles.types import Device


@click.command(short_help="What is here, and is it fit to be measured?")
@click.option("--burn-in", "burning", is_flag=True, help="Load every GPU at once and judge the node.")
@burn_in_options
@json_option
def command(burning: bool, as_json: bool, **options: Any) -> int:
    """Look at every device, the driver and the libraries.

    Exit code 1 says that something would spoil a measurement or contradicts the hardware catalog; a machine
    without a GPU is no finding, its CPU is measured.

    With --burn-in every GPU is measured under load and called healthy, degraded or failed, by the datasheet,
    its siblings and its own past: exit code 0, 1 (degraded or failed), 3 (no GPU), 4 (nothing to judge by).
    """
    if burning:
        return burn_in(as_json=as_json, **options)
    refuse_without_burn_in(options)
    from quantroof.bench.provenance import versions
    from quantroof.cli.library_checks import library_checks
    from quantroof.hwprofiles.detect import detect

    detection = detect()
    installed = versions()
    general = library_checks(detection, installed)
    by_device = [(device, *_examined(device)) for device in detection.devices]
    checks = [*general, *(check for _, _, found in by_device for check in found)]
    if as_json:
        echo_json("doctor", _document(detection, installed, general, by_device))
    else:
        _print(stdout(), detection, installed, general, by_device)
    if not detection.devices:
        return ExitCode.ENVIRONMENT
    return ExitCode.FINDING if any(check.level == "warn" for check in checks) else ExitCode.OK


def _examined(device: Device) -> tuple[Health | None, list[Check]]:
    from quantroof.hwprofiles.catalog import match
    from quantroof.hwprofiles.checks import Check, cross_check
    from quantroof.hwprofiles.clock_events import faults
    from quantroof.hwprofiles.health import judge, read_health

    if device.kind != "cuda":
        return None, []
    profile, health = match(device), read_health(device)
    checks = []
    if profile is None:
        text = "not in the hardware catalog: roofs come from formulas and measurements"
        checks.append(Check(level="note", code="unlisted", text=text, hint="quantroof hardware derive"))
    if health is not None:
        checks += judge(device, health, faults(health.reasons))
    return health, [*checks, *cross_check(device, profile)]


def _document(
    detection: Detection,
    installed: dict[str, str],
    general: list[Check],
    by_device: list[tuple[Device, Health | None, list[Check]]],
) -> dict[str, Any]:
    import msgspec

    return {
        "remarks": list(detection.remarks),
        "versions": installed,
        "checks": msgspec.to_builtins(general),
        "devices": [
            {
                "id": device.id,
                "device": msgspec.to_builtins(device),
                "state": msgspec.to_builtins(health),
                "checks": msgspec.to_builtins(checks),
            }
            for device, health, checks in by_device
        ],
    }


def _print(
    console: Console,
    detection: Detection,
    installed: dict[str, str],
    general: list[Check],
    by_device: list[tuple[Device, Health | None, list[Check]]],
) -> None:
    from quantroof.cli.library_checks import NOTHING_RUNS
    from quantroof.reports.text.device_lines import headline

    for device, _, checks in by_device:
        console.print(headline(device), style="bold", markup=False)
        _print_checks(console, checks)
    for remark in detection.remarks:
        console.print(remark, markup=False)
    console.print(", ".join(f"{name} {version}" for name, version in installed.items()), markup=False)
    _print_checks(console, general)
    warnings = sum(c.level == "warn" for _, _, found in by_device for c in found)
    warnings += sum(c.level == "warn" for c in general)
    gpus = len(detection.gpus)
    subject = f"{_plural(gpus, 'GPU')} and the CPU" if gpus else "the CPU"
    able = "cannot" if any(c.code == NOTHING_RUNS for c in general) else "can"
    console.print(f"{subject} {able} be measured, {_plural(warnings, 'warning')}")


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _print_checks(console: Console, checks: list[Check]) -> None:
    styles = {"ok": "green", "note": "cyan", "warn": "yellow"}
    for check in checks:
        hint = f"   hint: {check.hint}" if check.hint else ""
        console.print(f"  [{styles[check.level]}]{check.level:4}[/]  ", end="")
        console.print(f"{check.text}{hint}", markup=False, soft_wrap=True)
