"""Load an endpoint with guidellm in a separate process: fixed concurrency, fixed lengths, bounded time.

guidellm is the load generator of the vLLM project. It is never imported here: it brings an event loop, a
process pool and libraries that nothing else needs.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from quantroof.errors import EnvironmentMissing
from quantroof.extras import install_hint
from quantroof.quality.served import guidellm_result
from quantroof.quality.served.endpoint import PATHS, Endpoint
from quantroof.records.served import Served

# What guidellm needs before the first and between two loads: its workers start anew.
_START_S, _BETWEEN_S = 180.0, 60.0
_TOOL = "guidellm"


@dataclass(frozen=True, slots=True)
class Workload:
    """What is asked of an endpoint, at each concurrency in turn.

    A load ends after `requests_per_stream` times its concurrency, or `seconds`. `tokenizer` is a folder, or a
    name in the local cache: prompts are made to have `prompt_tokens` in it.
    """

    concurrency: tuple[int, ...]
    requests_per_stream: int
    prompt_tokens: int
    output_tokens: int
    seconds: float
    tokenizer: str
    seed: int = 0

    @property
    def longest_s(self) -> float:
        """Seconds after which a run that hangs is killed."""
        return _START_S + len(self.concurrency) * (self.seconds + _BETWEEN_S)


def require_tool() -> None:
    """Raise EnvironmentMissing if guidellm is not installed."""
    if find_spec(_TOOL) is None:
        what, hint = f"{_TOOL} is not installed, needed for load", install_hint("serve")
        raise EnvironmentMissing(what, hint=f"{hint}, or --import a result made elsewhere")


def scenario(endpoint: Endpoint, workload: Workload, result: Path, *, ignore_eos: bool) -> dict[str, Any]:
    """The content of guidellm's scenario file."""
    backend: dict[str, Any] = {
        "kind": "openai_http",
        "target": endpoint.url,
        "model": endpoint.model,
        "request_format": PATHS[endpoint.api],
        "timeout": 2 * workload.seconds,  # the load's own end comes first, and counts as cut off
        "validate_backend": False,  # not every server has /health; it answered a request already
    }
    if endpoint.key is not None:
        backend["api_key"] = endpoint.key
    if not ignore_eos:
        backend["extras"] = {"body": {"ignore_eos": None}}  # None takes the field out of the request
    counts = [streams * workload.requests_per_stream for streams in workload.concurrency]
    return {
        "spec": {
            "backend": backend,
            "profile": {"kind": "concurrent", "streams": [workload.concurrency[0]]},
            "constraints": [
                {"kind": "max_requests", "count": counts},
                {"kind": "max_duration", "seconds": workload.seconds},
            ],
            "tokenizer": {"kind": "huggingface_auto", "model": workload.tokenizer},
            "data": [
                {
                    "kind": "synthetic_text",
                    "prompt_tokens": workload.prompt_tokens,
                    "output_tokens": workload.output_tokens,
                }
            ],
            "seed": {"kind": "static", "value": workload.seed},
            "outputs": [{"kind": "json", "path": str(result)}],
            "metrics": {"kind": "generative", "sample_size": 0},  # prompts and answers are not kept
        },
        "benchmarks": [{"profile.streams": streams} for streams in workload.concurrency],
    }


def run(endpoint: Endpoint, workload: Workload, *, ignore_eos: bool) -> Served:
    """Put the load on the endpoint. EnvironmentMissing if guidellm fails or hangs, with its last line."""
    require_tool()
    # The scenario may hold a key: the folder is readable by this user only, and is removed.
    with tempfile.TemporaryDirectory(prefix="quantroof-served-") as folder:
        plan, result = Path(folder) / "scenario.json", Path(folder) / "result.json"
        plan.write_text(json.dumps(scenario(endpoint, workload, result, ignore_eos=ignore_eos)))
        _guidellm(plan, Path(folder) / "log.txt", workload.longest_s)
        if not result.exists():
            raise EnvironmentMissing(f"{_TOOL} wrote no result", where=endpoint.url)
        return guidellm_result.read(result.read_bytes(), result)


def _guidellm(plan: Path, log: Path, seconds: float) -> None:
    command = [sys.executable, "-P", "-m", _TOOL, "run", "--scenario", str(plan), "--disable-console"]
    workers = str(max(1, min(10, os.cpu_count() or 1)))  # each starts a Python with torch
    environment = {
        "GUIDELLM__MAX_WORKER_PROCESSES": workers,
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "PYTHONWARNINGS": "ignore",
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            code = process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise EnvironmentMissing(f"{_TOOL} did not end within {seconds:.0f} s") from None
        finally:
            _end(process)
    if code:
        text = log.read_text(errors="replace")
        offline = "offline mode" in text  # what transformers says of a name that is not in its cache
        hint = "name its folder with --tokenizer: nothing is downloaded" if offline else None
        last = next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "no output")
        what = "cannot find the tokenizer on this machine" if offline else f"failed: {last[:300]}"
        raise EnvironmentMissing(f"{_TOOL} {what}", hint=hint)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill the session that was started, workers included: after an interrupt none may load the server."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
