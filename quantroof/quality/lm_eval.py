"""lm-evaluation-harness as an adapter: the right command for quantized checkpoints, or a local task offline.

A checkpoint of `quality quantize` carries its quantization in config.json: the harness needs no flag for it.
`load_in_8bit`, `load_in_4bit` and `gptq=True` as model arguments end in a TypeError in today's versions.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quantroof.errors import EnvironmentMissing, UsageError
from quantroof.files import writing
from quantroof.quality.environment import load

# Shots that published figures of these tasks use (Open LLM Leaderboard, version 1).
SHOTS = {"arc_challenge": 25, "arc_easy": 25, "hellaswag": 10, "mmlu": 5, "winogrande": 5, "gsm8k": 5}
LOCAL_TASK = "quantroof_text"
_YAML = """\
task: {task}
dataset_path: json
dataset_kwargs:
  data_files:
    test: {data}
test_split: test
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{{{text}}}}"
metric_list:
  - metric: word_perplexity
  - metric: byte_perplexity
  - metric: bits_per_byte
"""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One command: tasks of equal shots on one checkpoint."""

    checkpoint: Path
    tasks: tuple[str, ...]
    shots: int
    arguments: tuple[str, ...]

    @property
    def text(self) -> str:
        """The command as a shell takes it."""
        return shlex.join(("lm_eval", *self.arguments))


def commands(
    checkpoints: Sequence[Path], tasks: Sequence[str], device: str, out: Path, limit: int | None = None
) -> list[Evaluation]:
    """A command per checkpoint and number of shots; tasks without a customary number get none.

    UsageError if no task is named.
    """
    if not tasks:
        raise UsageError("no task is named", hint="--tasks winogrande,mmlu")
    by_shots: dict[int, list[str]] = {}
    for task in tasks:
        by_shots.setdefault(SHOTS.get(task, 0), []).append(task)
    return [
        _evaluation(checkpoint, names, shots, device, out / f"{checkpoint.name}-{shots}shot", limit)
        for checkpoint in checkpoints
        for shots, names in by_shots.items()
    ]


def write_local_task(text: str, folder: Path) -> Path:
    """Write a perplexity task over a text, in documents of its paragraphs; gives the folder to include."""
    documents = [part for part in text.split("\n\n") if part.strip()]
    if not documents:
        raise UsageError("the evaluation text is empty")
    data = (folder / f"{LOCAL_TASK}.jsonl").resolve()
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        data.write_text("".join(json.dumps({"text": d}) + "\n" for d in documents), encoding="utf-8")
        (folder / f"{LOCAL_TASK}.yaml").write_text(_YAML.format(task=LOCAL_TASK, data=json.dumps(str(data))))
    return folder


def run(evaluation: Evaluation, include: Path) -> dict[str, Any]:
    """Run a command in a separate process, offline; returns the harness's figures by metric.

    Raises EnvironmentMissing if it is not installed or fails, with its last line.
    """
    load("lm_eval")  # also sets the variables that forbid downloads, which the process inherits
    arguments = (*evaluation.arguments, "--include_path", str(include))
    done = subprocess.run(
        [sys.executable, "-P", "-m", "lm_eval", *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise EnvironmentMissing(f"lm_eval failed: {last[:300]}", where=str(evaluation.checkpoint))
    out = Path(evaluation.arguments[evaluation.arguments.index("--output_path") + 1])
    written = sorted(out.rglob("results*.json"), key=lambda p: p.stat().st_mtime)
    if not written:
        raise EnvironmentMissing("lm_eval wrote no results", where=str(out))
    results: dict[str, Any] = json.loads(written[-1].read_text())["results"]
    return results


def _evaluation(
    checkpoint: Path, tasks: list[str], shots: int, device: str, out: Path, limit: int | None
) -> Evaluation:
    arguments = [
        *("--model", "hf", "--model_args", f"pretrained={checkpoint},dtype=auto"),
        *("--tasks", ",".join(tasks), "--num_fewshot", str(shots)),
        *("--device", device, "--batch_size", "8", "--output_path", str(out)),
    ]
    if limit is not None:
        arguments += ["--limit", str(limit)]
    return Evaluation(checkpoint, tuple(tasks), shots, tuple(arguments))
