"""What to do about a node: the commands that drain it, an action per GPU, and the text of a return (RMA).

Nothing here is run. Every word that comes from a device or a host is quoted for the shell.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from quantroof.analysis.verdicts import State
from quantroof.units import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from quantroof.finding import Finding
    from quantroof.fleet.node import GpuReport, NodeReport
    from quantroof.fleet.telemetry import Telemetry
    from quantroof.hwprofiles.types import Device

REASON_LENGTH = 80
"""Characters of a reason that schedulers and node-problem-detector show."""
_SLOW = "measure it again after a reset (nvidia-smi --gpu-reset -i {gpu}); return it if it stays slow"
_LOST = "look at `dmesg -T | grep -i xid`, reset the GPU, measure again; return it if it fails again"
_LINK = "see nvidia-smi nvlink -s -i {gpu} and nvidia-smi nvlink -e -i {gpu}; reset it, and measure again"
_ACTIONS = {
    "ecc_errors": "see nvidia-smi -i {gpu} -q -d ECC; reset the GPU, and return it if errors come again",
    "row_remapping": "reset the GPU; return it if a row remapping has failed",
    "xid": _LOST,
    "kernels_failed": _LOST,
    "no_start": _LOST,
    "bits": "return it: it computes the same product differently",
    "bits_failed": _LOST,
    "incorrect": "return it: it computes wrong results",
    "pcie_width": "reseat the card, and check its riser and slot",
    "pcie_generation": "reseat the card, and check its riser and slot",
    "link_host": "reseat the card, and check its riser and slot",
    "link_slow": _LINK,
    "link_pair": _LINK,
    "link_failed": _LINK,
    "link_collective": "restart the fabric manager, and measure again",
    "throttling": "check airflow, heat sink and power cables",
    "slowdown": "check airflow, heat sink and power cables",
    "power_cap": "set its power limit to the default: nvidia-smi -i {gpu} -pl WATTS",
    "busy": "measure again when the other processes have ended",
}


@dataclass(frozen=True, slots=True)
class NextSteps:
    """`drain` are commands to copy, `actions` one sentence per GPU, `evidence` the text of a return."""

    drain: tuple[str, ...]
    actions: tuple[str, ...]
    evidence: str


def next_steps(node: NodeReport) -> NextSteps:
    """What the verdict asks for; nothing is drained for a node that is ok or unknown."""
    bad = [gpu for gpu in node.gpus if gpu.state in ("failed", "degraded")]
    actions = [f"{place(gpu)}: {_action(gpu)}" for gpu in node.gpus if gpu.state != "ok"]
    if node.verdict.state not in ("failed", "degraded"):
        return NextSteps((), tuple(actions), "")
    if not bad:
        actions.append("find the missing GPU: lspci -d 10de: and dmesg -T | grep -i nvrm")
    return NextSteps(
        drain_commands(node.name, reason_line(node)),
        tuple(actions),
        "\n\n".join(_evidence(node, gpu) for gpu in bad),
    )


def drain_commands(node: str, reason: str) -> tuple[str, str]:
    """How Slurm and Kubernetes take a node out of service; `reason` is one line."""
    name = shlex.quote(printable(node))
    return (
        f"scontrol update nodename={name} state=drain reason={shlex.quote(reason)}",
        f"kubectl cordon {name}",
    )


def reason_line(node: NodeReport) -> str:
    """The verdict in one line of at most REASON_LENGTH characters, without quotes or control characters."""
    state: State = node.verdict.state
    words = node.verdict.reason or f"{len(node.gpus)} GPUs"
    worst = node.gpus[0] if node.gpus else None
    if worst is not None and worst.state == state and worst.reasons and state != "ok":
        words = f"GPU {worst.device.index} {worst.device.pci or ''} {worst.reasons[0].text}"
    return one_line(state, words, simulated=node.simulated)


def one_line(state: State, words: str, *, simulated: bool = False) -> str:
    """A state and its reason within REASON_LENGTH characters."""
    kind = "SIMULATED " if simulated else ""
    text = printable(f"quantroof {kind}{state}: {words}").replace('"', "").replace("'", "")
    return text if len(text) <= REASON_LENGTH else text[: REASON_LENGTH - 1].rstrip() + "~"


def place(gpu: GpuReport) -> str:
    """Where to find a GPU: `cuda:3 (0000:5d:00.0)`."""
    device = gpu.device
    return device.id if device.pci is None else f"{device.id} ({device.pci})"


def _action(gpu: GpuReport) -> str:
    code = gpu.reasons[0].code if gpu.reasons else ""
    text = _ACTIONS.get(code, "measure it again" if gpu.state == "unknown" else _SLOW)
    number = gpu.device.nvml_index
    return text.replace("{gpu}", str(gpu.device.index if number is None else number))


def evidence(
    node: str, device: Device, seen: Telemetry, state: State, reasons: Iterable[Finding], *, simulated: bool
) -> str:
    """What a vendor asks for: the identity of the board, what was seen, and under which load."""
    rows = (
        ("node", node), ("model", device.name), ("serial", device.serial), ("UUID", device.uuid),
        ("PCI", device.pci), ("slot", device.slot), ("VBIOS", device.vbios), ("driver", device.driver),
    )  # fmt: skip
    under_load = (
        ("hottest", seen.temperature_c, "C"),
        ("highest power", seen.power_w, "W"),
        ("lowest SM clock", seen.sm_clock_mhz, "MHz"),
    )
    head = "SIMULATED: not a real board\n" if simulated else ""
    identity = "\n".join(
        [
            *(f"{name}: {printable(value or 'not reported')}" for name, value in rows),
            *(f"{name}: {value:.0f} {unit}" for name, value, unit in under_load if value is not None),
        ]
    )
    return f"{head}{identity}\nverdict: {state}\n" + "\n".join(map(_observed, reasons))


def _evidence(node: NodeReport, gpu: GpuReport) -> str:
    return evidence(node.name, gpu.device, gpu.seen, gpu.state, gpu.reasons, simulated=node.simulated)


def _observed(finding: Finding) -> str:
    return f"- {printable(finding.text)}"
