"""All results that a report shows, computed before layout; shared by HTML, Markdown and the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from quantroof.analysis.cause import compare_runs
from quantroof.analysis.choice import LayerChoice, layer_choices
from quantroof.analysis.comparison import RunComparison
from quantroof.analysis.device_results import DeviceResults, device_results
from quantroof.analysis.health import HealthReport, judge_health
from quantroof.kernels.schemes import catalog_order
from quantroof.records.directory import Run


@dataclass(frozen=True, slots=True)
class Answers:
    """Runs, their devices, and the three answers; `choices` holds the layers of every device in order."""

    runs: list[Run]
    devices: list[DeviceResults]
    health: HealthReport
    choices: list[list[LayerChoice]]
    comparison: RunComparison | None
    baseline: Run | None = None

    @property
    def simulated(self) -> bool:
        """True where any run is simulated."""
        return any(run.info.simulated for run in self.runs)

    @property
    def timed(self) -> list[tuple[DeviceResults, list[LayerChoice]]]:
        """Every device with the choice of its layers."""
        return list(zip(self.devices, self.choices, strict=True))


def answers(runs: Sequence[Run], baseline: Run | None = None) -> Answers:
    """Judge the runs. With a baseline, the first run is compared with it."""
    devices = device_results(list(runs))
    order = catalog_order({p.scheme for results in devices for p in results.points})
    choices = [layer_choices(results, order) for results in devices]
    before = [] if baseline is None else device_results([baseline])
    comparison = None
    if baseline is not None:
        now = [results for results in devices if results.run is runs[0]]
        comparison = compare_runs(before, now)
    health = judge_health(devices, before)
    return Answers(list(runs), devices, health, choices, comparison, baseline)
