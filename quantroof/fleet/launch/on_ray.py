"""A sweep on a running Ray cluster: one task per GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from quantroof.files import require
from quantroof.fleet.launch.options import LaunchOptions
from quantroof.fleet.launch.task import LaunchResult, run_task


def launch(options: LaunchOptions, tasks: int, address: str | None = "auto") -> LaunchResult:
    """Run `tasks` tasks with one GPU each and wait for all of them.

    Ray retries a task whose worker died or that ended without a complete run; the retry resumes the run. With
    an `address` of None, the cluster that this process started is used.
    """
    ray: Any = require("ray", "the engine ray", "ray")
    if not ray.is_initialized():
        ray.init(address=address, log_to_driver=False)
    remote = ray.remote(num_gpus=1, max_retries=options.retries, retry_exceptions=[RuntimeError])(run_task)
    pending = {}
    for number in range(tasks):
        directory = str(Path(options.folder) / f"run-{number:05d}")
        pending[directory] = remote.remote(directory, options.run_options, options.device, options.minutes)
    return _gathered(ray, pending)


def _gathered(ray: Any, pending: dict[str, Any]) -> LaunchResult:
    results, lost = [], []
    for directory, reference in pending.items():
        try:
            results.append(ray.get(reference))
        except ray.exceptions.RayError as error:
            cause = str(getattr(error, "cause", None) or error).strip().splitlines()[-1]
            lost.append(cause if directory in cause else f"{directory}: {cause}")
    return LaunchResult(results, lost)
