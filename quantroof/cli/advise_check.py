"""`quantroof advise --check`: the advisor's own error, from a file of points to an exit code."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from quantroof.cli.output import echo_json, echo_lines
from quantroof.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from quantroof.advisor.machine import Machine
    from quantroof.advisor.points import Point
    from quantroof.advisor.points_served import Deployment
    from quantroof.advisor.question import Question

SHIPPED = "shipped"
_JSON = (".json", ".jsonl")


def check_points(name: str, flags: Question, *, as_json: bool, markdown: bool) -> int:
    """Print the error table of a file, or of the points of the package where `name` is `shipped`.

    With a run, the points of its GPU are predicted from its times.
    """
    import msgspec

    from quantroof.advisor.check import Checker
    from quantroof.advisor.check_table import check
    from quantroof.advisor.sources import machine_and_times
    from quantroof.reports.text.check_lines import check_lines, check_markdown

    checker, machine, aside = Checker(), None, Counter[str]()
    if flags.run_path is not None:
        machine, table = machine_and_times(None, flags.run_path)
        checker = Checker(machine=machine, table=table)
    points = _points(name, flags, machine, aside)
    if machine is not None:
        points = tuple(point for point in points if point.gpu == machine.id)
        if not points:
            raise UsageError(f"holds no points of {machine.id}", where=name, hint="the run is of this GPU")
    result = check(points, checker, aside)
    if as_json:
        echo_json("check", msgspec.to_builtins(result))
    elif markdown:
        click.echo(check_markdown(result), nl=False)
    else:
        echo_lines(check_lines(result))
    return ExitCode.OK if result.judged else ExitCode.FINDING


def _points(name: str, flags: Question, machine: Machine | None, aside: Counter[str]) -> tuple[Point, ...]:
    """The points of a file by its kind: the package's, a CSV file, or the JSON of another tool."""
    from quantroof.advisor.points import read_points, shipped_points

    if Path(name).suffix in _JSON:
        return _of_tools(Path(name), flags, machine, aside)
    if flags.model_name or flags.gpu or flags.formats:
        hint = "a load tool's .json takes --gpu, --gpus, --model, --formats and --kv"
        raise UsageError(
            "--check takes --run, --json or --markdown, and nothing else", where="advise", hint=hint
        )
    return shipped_points() if name == SHIPPED else read_points(Path(name))


def _of_tools(file: Path, flags: Question, machine: Machine | None, aside: Counter[str]) -> tuple[Point, ...]:
    """InferenceX' own rows, or the loads of guidellm, `vllm bench serve` or AIPerf."""
    import msgspec

    from quantroof.advisor.points_served import inferencex_points, is_inferencex, served_points
    from quantroof.files import MALFORMED, read_bytes
    from quantroof.quality.served.importing import read_result

    try:
        document = msgspec.json.decode(read_bytes(file))
    except MALFORMED:
        document = None  # one document per line, which a load tool's reader knows
    if is_inferencex(document):
        return inferencex_points(document, file, aside)
    return served_points(read_result(file), _deployment(file, flags, machine), file.name, aside)


def _deployment(file: Path, flags: Question, machine: Machine | None) -> Deployment:
    """What the user must add to a load tool's result. UsageError names the option that is missing."""
    from quantroof.advisor.choices import choice, kv_format
    from quantroof.advisor.points_served import Deployment
    from quantroof.advisor.sources import machine_and_times

    if machine is None and flags.gpu is None:
        raise UsageError("does not say on which GPU the model was served", where=str(file), hint="--gpu GPU")
    if not flags.gpus.isdigit():
        raise UsageError(
            "does not say on how many GPUs the model was served", where=str(file), hint="--gpus 1"
        )
    kv_format(flags.kv or "fp16")
    served_on = machine or machine_and_times(flags.gpu, None)[0]
    return Deployment(
        gpu=served_on.id,
        gpus=int(flags.gpus),
        format=choice(flags.formats).name if flags.formats else None,
        kv=flags.kv or "fp16",
        model=flags.model_name,
    )
