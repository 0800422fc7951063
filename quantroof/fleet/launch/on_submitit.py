"""A sweep as Slurm jobs through submitit, or on this machine with its local executor."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from quantroof.files import require
from quantroof.fleet.launch.options import LaunchOptions
from quantroof.fleet.launch.task import LaunchResult, TaskResult, run_task


def launch(options: LaunchOptions, nodes: Sequence[str], cluster: str | None = None) -> LaunchResult:
    """Run one task per node and wait. A task without a complete run is submitted again and resumed.

    submitit detects Slurm; `cluster="local"` runs on this machine, and `nodes` only names the tasks.
    """
    submitit: Any = require("submitit", "the engine submitit", "slurm")
    executor = submitit.AutoExecutor(folder=str(Path(options.folder) / "submitit"), cluster=cluster)
    executor.update_parameters(name=options.name, timeout_min=options.minutes + 1)
    results: dict[str, TaskResult] = {}
    lost: dict[str, str] = {}
    for _attempt in range(options.retries + 1):
        waiting = [node for node in nodes if node not in results]
        submitted = {node: _submit(executor, options, node) for node in waiting}
        for node, task in submitted.items():
            try:
                results[node] = task.result()
            except Exception as error:  # noqa: BLE001 - submitit re-raises whatever ended the job
                lost[node] = f"{node}: {_cause(str(error))}"
    missing = [lost[node] for node in nodes if node not in results]
    return LaunchResult([results[node] for node in nodes if node in results], missing)


def _cause(text: str) -> str:
    """The line of a traceback with the error; submitit adds lines around it."""
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["no message"]
    return next((line for line in reversed(lines) if "Error: " in line), lines[0])


def _submit(executor: Any, options: LaunchOptions, node: str) -> Any:
    if executor.cluster == "slurm":
        executor.update_parameters(
            slurm_gpus_per_node=options.gpus,
            slurm_additional_parameters={"nodelist": node, "exclusive": True},
        )
    directory = str(Path(options.folder) / f"run-{node}")
    return executor.submit(run_task, directory, options.run_options, options.device, options.minutes)
