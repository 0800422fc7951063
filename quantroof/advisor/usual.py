"""Default advice, for a report: a usual model and context, on the devices that a run measured."""

from __future__ import annotations

from quantroof.advisor.advice import Advice, AdviceOptions
from quantroof.advisor.choices import DEFAULT
from quantroof.advisor.decision import advise
from quantroof.advisor.machine import device_of, from_run
from quantroof.advisor.model_lookup import model
from quantroof.advisor.run_times import run_table
from quantroof.records.directory import Run

_USUAL = {"gpu": ("llama-3.1-8b", 4096), "cpu": ("llama-3.2-1b", 512)}
_GPU_COUNTS = (1, 2, 4, 8)


def usual_advice(run: Run, model_name: str | None = None) -> Advice:
    """Advice for the first device of a run, on as many as the node has of it.

    UsageError if its bandwidth is unknown, or the model is.
    """
    device = device_of(run, run.info.devices[0].id)
    name, context = _USUAL[device.processor]
    alike = sum(other.name == device.name for other in run.info.devices)
    counts = tuple(n for n in _GPU_COUNTS if n <= alike)
    options = AdviceOptions(context=context, formats=DEFAULT, gpu_counts=counts)
    table = run_table(run, device, DEFAULT)
    return advise(model(model_name or name), from_run(run, device), table, options, None)
