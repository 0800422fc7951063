"""`quantroof stack`: does the installed compiler use what the silicon can multiply?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from quantroof.cli.output import echo_json, echo_lines, echo_rich, json_option, note
from quantroof.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from quantroof.hwprofiles.types import HardwareProfile


@click.command(short_help="Does the installed compiler use your silicon?")
@click.option("--gpu", "gpus", multiple=True, help="A GPU of the catalog, by id or name. Repeatable.")
@click.option(
    "--arch", "archs", multiple=True, help="An architecture, such as sm_121a or gfx950. Repeatable."
)
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1), help="Compile in parallel.")
@json_option
def command(gpus: tuple[str, ...], archs: tuple[str, ...], workers: int, *, as_json: bool) -> int:
    """Compile plain products of every format and list those that use the matrix units of the GPU.

    For the GPUs that are here, those named, or every architecture. No GPU is needed; the first time takes
    about 15 s of CPU time per architecture. Exit 1 where a format that the silicon multiplies is emulated or
    does not compile on a GPU that is here or was named.

    \b
    quantroof stack --gpu gb10
    quantroof stack --arch sm_100a --arch sm_103a
    """
    from quantroof.analysis.stack import Tables, stack_findings, stack_verdicts
    from quantroof.kernels.architectures import ARCHITECTURES
    from quantroof.kernels.stack import table
    from quantroof.reports.text.stack_lines import finding_lines, stack_matrix, stack_tables

    version = table.triton_version()
    names = _architectures(gpus)
    targets = tuple(dict.fromkeys((*names, *archs))) or ARCHITECTURES
    others = [(v, table.shipped(v)) for v in table.shipped_versions()]
    verdicts = stack_verdicts(Tables(version, table.installed(targets, workers, note), others))
    findings = stack_findings(verdicts, version)
    if as_json:
        import msgspec

        data = {"versions": _versions(version), "gpus": names}
        echo_json(
            "stack",
            {**data, "verdicts": msgspec.to_builtins(verdicts), "findings": msgspec.to_builtins(findings)},
        )
    else:
        echo_lines([f"triton {version}"])
        echo_rich(stack_tables(verdicts, names) if len(targets) < 4 else [stack_matrix(verdicts)])
        echo_lines(finding_lines(findings))
    below = [verdict for verdict in verdicts if verdict.below_silicon and verdict.arch in names]
    return int(ExitCode.FINDING if below else ExitCode.OK)


def _architectures(gpus: tuple[str, ...]) -> dict[str, str]:
    """Architecture to the name of the GPU: those named, else those that are here."""
    if gpus:
        profiles = [profile for text in gpus for profile in _profiles(text)]
        return {_arch(p.compute_capability, p.id): p.device_names[0] for p in profiles}
    from quantroof.hwprofiles.detect import detect

    here = [
        device
        for device in detect().devices
        if device.kind == "cuda" and device.compute_capability is not None
    ]
    return {_arch(device.compute_capability or "", device.name): device.name for device in here}


def _profiles(text: str) -> list[HardwareProfile]:
    from quantroof.hwprofiles import catalog

    return catalog.named(text) or [catalog.profile(text)]


def _arch(capability: str, name: str) -> str:
    from quantroof.hwprofiles import native
    from quantroof.kernels.architectures import ARCHITECTURES

    arch = native.architecture_of(capability) or capability
    if arch not in ARCHITECTURES:
        raise UsageError(
            f"{name} has compute capability {capability}, which the tables lack",
            hint=f"--arch takes {', '.join(ARCHITECTURES)}",
        )
    return arch


def _versions(triton: str) -> dict[str, str | None]:
    from importlib.metadata import PackageNotFoundError, version

    versions: dict[str, str | None] = {"triton": triton}
    for name, package in (("torch", "torch"), ("nvrtc", "nvidia-cuda-nvrtc")):
        try:
            versions[name] = version(package)
        except PackageNotFoundError:
            versions[name] = None
    return versions
