"""The state of GPUs as OpenMetrics text, for the textfile collector of Prometheus' node exporter.

The file is replaced at once, so that a collector never reads half of it. The age of a figure is
`time() - quantroof_gpu_measured_timestamp_seconds`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from quantroof.analysis.verdicts import STATES
from quantroof.fleet.scores import CLASSES

if TYPE_CHECKING:
    from quantroof.fleet.analysis import Analysis, GpuResult

_HELP = {
    "quantroof_gpu_score": "Speed of a class of work relative to the median of similar GPUs; 1 is equal.",
    "quantroof_gpu_floor": "The score below which a GPU is degraded.",
    "quantroof_gpu_past": "Speed of a class of work relative to the GPU's own earlier runs.",
    "quantroof_gpu_datasheet_share": "Share of the datasheet's figure that was reached.",
    "quantroof_gpu_verdict": "1 for the state of the GPU, 0 for all others.",
    "quantroof_gpu_measured_timestamp_seconds": "When the run that was judged started.",
}
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
Sample = tuple[str, dict[str, str], float]


def openmetrics(analysis: Analysis) -> str:
    """The whole text, ending in `# EOF`."""
    samples = list(_samples(analysis))
    lines = []
    for name, words in _HELP.items():
        own = [(labels, value) for metric, labels, value in samples if metric == name]
        if own:
            lines += [f"# TYPE {name} gauge", f"# HELP {name} {words}"]
            lines += [f"{name}{{{_labels(labels)}}} {value!r}" for labels, value in own]
    return "\n".join([*lines, "# EOF", ""])


def write(analysis: Analysis, target: Path) -> None:
    """Write beside the target and rename: a reader sees the old file or the new one."""
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        beside.write_text(openmetrics(analysis), encoding="utf-8")
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)


def _samples(analysis: Analysis) -> Iterator[Sample]:
    floors = {summary.population: summary.floor for summary in analysis.populations if summary.compared}
    for gpu in analysis.gpus:
        labels = _identity(gpu)
        for state in STATES:
            yield "quantroof_gpu_verdict", {**labels, "state": state}, float(gpu.state == state)
        started = gpu.unit.started(datetime.now(UTC))
        if started is not None:
            yield "quantroof_gpu_measured_timestamp_seconds", labels, started.timestamp()
        for name in CLASSES:
            own = {**labels, "class": name}
            if (level := gpu.level[name]) is not None:
                yield "quantroof_gpu_score", own, math.exp(-level)
                yield "quantroof_gpu_floor", own, floors[gpu.population][name]
            if (change := gpu.past[name]) is not None:
                yield "quantroof_gpu_past", own, math.exp(-change)
        for what, share in gpu.datasheet.items():
            yield "quantroof_gpu_datasheet_share", {**labels, "figure": what}, share


def _identity(gpu: GpuResult) -> dict[str, str]:
    device = gpu.unit.device
    labels = {
        "node": gpu.unit.node, "gpu": device.id, "uuid": device.uuid, "pci": device.pci,
        "serial": device.serial, "model": device.name, "suite": gpu.population.suite,
        "mode": gpu.population.mode, "simulated": str(gpu.population.simulated).lower(),
    }  # fmt: skip
    return {name: value for name, value in labels.items() if value}


def _labels(labels: dict[str, str]) -> str:
    return ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in labels.items())
