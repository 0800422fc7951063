"""`quantroof fleet`: find the slow GPUs among many, and start sweeps on a cluster."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from quantroof.cli.options import COUNT, FILE, OPEN_SHARE, Finite, as_struct
from quantroof.cli.output import echo_json, echo_lines, json_option, note
from quantroof.cli.renamed import renamed
from quantroof.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from quantroof.fleet.analysis import Analysis
    from quantroof.fleet.groups import Labels
    from quantroof.fleet.launch.options import LaunchOptions


class _AnalyzeByDefault(click.Group):
    """A group whose first argument is either a subcommand or the first run to analyze."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ("-h", "--help"):
            args = ["analyze", *args]
        return super().parse_args(ctx, args)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalyzeOptions:
    """Which runs are judged, and by which thresholds."""

    runs: tuple[str, ...]
    retest: tuple[str, ...]
    labels: Path | None
    expect: str | None
    floor: float
    min_effect: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchFlags:
    """What `fleet launch` starts, and where."""

    engine: str
    folder: str
    nodes: str | None
    count: int | None
    device: str
    gpus: int
    minutes: int
    retries: int
    image: str
    claim: str
    options: tuple[str, ...]


@click.group("fleet", cls=_AnalyzeByDefault, short_help="Find the slow GPU among many.")
def command() -> None:
    """Judge the GPUs of many runs against each other, their own past and the datasheet.

    \b
    quantroof fleet runs/*                     judge them: short for `fleet analyze`
    quantroof fleet part-*.parquet --json      the same from compacted parts
    quantroof fleet runs/* --html fleet.html   and a page to pass on
    """


@command.command("analyze", short_help="Judge the GPUs of many runs.")
@click.argument("runs", nargs=-1, required=True)
@click.option(
    "--retest", multiple=True, help="Second measurements of suspects; those they clear are dropped."
)
@click.option("--labels", type=FILE, help="CSV: node and any attributes to compare.")
@click.option(
    "--floor", type=OPEN_SHARE, default=0.95, show_default=True,
    help="Below this share of the siblings' median speed a GPU is degraded.",
)  # fmt: skip
@click.option(
    "--min-effect", type=Finite(0, 1, max_open=True), default=0.03, show_default=True,
    help="A smaller slowdown never counts.",
)  # fmt: skip
@click.option("--expect", help="Nodes that should have a run, as a,b or a file: those without one are named.")
@click.option("--top", type=COUNT, default=20, show_default=True, help="How many GPUs to print.")
@click.option("--html", type=FILE, help="Also write a page that opens without a network.")
@json_option
@as_struct(AnalyzeOptions)
def analyze(options: AnalyzeOptions, *, top: int, html: Path | None, as_json: bool) -> int:
    """Judge RUNS: run directories, globs, Parquet parts, or URLs of either (through fsspec).

    Exit code 1 means that a GPU failed or is degraded, or that an expected node is missing; 4
    that nothing could be judged. Unreadable input is reported on stderr; the rest is
    analyzed.
    """
    from quantroof.analysis.verdicts import exit_code
    from quantroof.fleet.conclusions import gpu_answer
    from quantroof.fleet.groups import read_labels
    from quantroof.reports.text.fleet_lines import fleet_document, fleet_lines

    labels = read_labels(options.labels) if options.labels else None
    analysis, silent = _analysis(options, labels)
    if html is not None:
        _write_page(html, analysis, silent, labels)
    if as_json:
        echo_json("fleet", fleet_document(analysis, silent))
    else:
        echo_lines(fleet_lines(analysis, silent, top))
    return ExitCode.FINDING if silent else exit_code(gpu_answer(analysis).state)


def _analysis(options: AnalyzeOptions, labels: Labels | None) -> tuple[Analysis, list[str]]:
    """The verdicts on the GPUs of the runs, and the expected nodes without a run. Problems go to stderr."""
    from quantroof.fleet.analysis import analyze
    from quantroof.fleet.gather import gather
    from quantroof.fleet.launch.options import read_nodes, silent_nodes
    from quantroof.fleet.policy import Policy

    expected = read_nodes(options.expect) if options.expect else []
    retest = gather(options.retest) if options.retest else None
    policy = Policy(floor=options.floor, min_effect=options.min_effect)
    analysis = analyze(gather(options.runs), policy, labels, retest)
    for problem in [*analysis.problems, *(retest.problems if retest else [])]:
        note(f"warning: {problem}")
    return analysis, silent_nodes(expected, [node for node, _ in analysis.nodes()])


def _write_page(target: Path, analysis: Analysis, silent: list[str], labels: Labels | None) -> None:
    from quantroof.files import write_to
    from quantroof.reports.html.fleet_page import fleet_html

    page = fleet_html(analysis, silent, labels)
    write_to(target, lambda file: file.write_text(page, encoding="utf-8"))


@command.command(
    "launch",
    short_help="Start a sweep on Slurm, Kubernetes or Ray.",
    context_settings={"ignore_unknown_options": True},
)
@click.option(
    "--engine", required=True, type=click.Choice(["slurm", "submitit", "k8s", "ray"]),
    help="slurm and k8s print what to submit; submitit and ray run it and wait.",
)  # fmt: skip
@click.option("--folder", required=True, help="Where runs go: one path that every node sees.")
@click.option("--nodes", help="Node names, as a,b or a file with one per line.")
@click.option("--count", type=COUNT, help="k8s: number of nodes. ray: number of GPUs.")
@click.option(
    "--device",
    default="cuda",
    show_default=True,
    help="What each task measures, as in `quantroof run`; cpu or sim:PROFILE for a trial without GPUs.",
)
@click.option("--gpus-per-node", "gpus", type=COUNT, default=8, show_default=True, help="GPUs per node.")
@renamed("--gpus", "--gpus-per-node")
@click.option(
    "--minutes-per-attempt",
    "minutes",
    type=COUNT,
    default=30,
    show_default=True,
    help="Time limit of an attempt.",
)
@renamed("--minutes", "--minutes-per-attempt")
@click.option("--retries", type=click.IntRange(0), default=2, show_default=True, help="Further attempts.")
@click.option("--image", default="quantroof:latest", show_default=True, help="k8s: the container image.")
@click.option("--claim", default="quantroof-results", show_default=True, help="k8s: the volume claim.")
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
@as_struct(LaunchFlags)
def launch(flags: LaunchFlags) -> int:
    """Start `quantroof run` with OPTIONS on every node, such as `-- --suite node --mode sustained`.

    An attempt that is cut off keeps what it measured, and the next one continues from there. slurm prints a
    script for `bash`, k8s a manifest for `kubectl apply -f -`.
    """
    from quantroof.fleet.launch.options import LaunchOptions, checked_options, read_nodes

    job = LaunchOptions(
        folder=flags.folder, device=flags.device, gpus=flags.gpus, minutes=flags.minutes,
        retries=flags.retries, run_options=checked_options(flags.options),
    )  # fmt: skip
    names = read_nodes(flags.nodes) if flags.nodes else []
    if flags.engine == "slurm":
        from quantroof.fleet.launch.slurm import sbatch_script

        click.echo(sbatch_script(job, names), nl=False)
        return ExitCode.OK
    if flags.engine == "k8s":
        from quantroof.fleet.launch.kubernetes import job_manifest

        count = _required(flags.count or len(names), "the number of nodes", "--count")
        click.echo(job_manifest(job, count, flags.image, flags.claim), nl=False)
        return ExitCode.OK
    return _wait(flags.engine, job, names, flags.count)


def _wait(engine: str, job: LaunchOptions, names: list[str], count: int | None) -> int:
    """Run a sweep and wait for it; prints the runs, and on stderr what never came back."""
    if engine == "ray":
        from quantroof.fleet.launch.on_ray import launch as on_ray

        sweep = on_ray(job, _required(count or 0, "the number of GPUs", "--count"))
    else:
        from quantroof.fleet.launch.on_submitit import launch as on_submitit

        _required(len(names), "a list of nodes", "--nodes")
        sweep = on_submitit(job, names)
    for result in sweep.results:
        click.echo(result.directory)
    for line in sweep.lost:
        note(f"no run received from {line}")
    return ExitCode.FINDING if sweep.lost else ExitCode.OK


def _required(number: int, what: str, option: str) -> int:
    if not number:
        raise UsageError(f"{what} is missing", where="fleet launch", hint=f"give {option}")
    return number
