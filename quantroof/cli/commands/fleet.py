"""`quantroof fleet`: which GPU of many is slow, and runs on the engine a site has."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quantroof.cli.numbers import Finite
from quantroof.cli.output import echo_json, json_option
from quantroof.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from quantroof.fleet.analysis import Analysis
    from quantroof.fleet.launch.options import LaunchOptions


class _AnalyzeByDefault(click.Group):
    """A group whose first argument is either a subcommand or the first run to analyze."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ("-h", "--help"):
            args = ["analyze", *args]
        return super().parse_args(ctx, args)


@click.group("fleet", cls=_AnalyzeByDefault, short_help="Find the slow GPU among many.")
def command() -> None:
    """Judge the GPUs of many runs against each other, their own past and the datasheet.

    \b
    quantroof fleet runs/*                     judge them: the short form of `fleet analyze`
    quantroof fleet part-*.parquet --json      the same from compacted parts
    quantroof fleet runs/* --html fleet.html   and a page to pass on
    """


@command.command("analyze", short_help="Judge the GPUs of many runs.")
@click.argument("runs", nargs=-1, required=True)
@click.option("--retest", multiple=True, help="Second measurements of suspects: what they clear is dropped.")
@click.option("--labels", type=click.Path(path_type=Path), help="CSV: node and any attributes to compare.")
@click.option(
    "--floor", type=Finite(0, 1, min_open=True, max_open=True), default=0.95, show_default=True,
    help="Below this share of the siblings' median speed a GPU is below policy.",
)  # fmt: skip
@click.option(
    "--min-effect", type=Finite(0, 1, max_open=True), default=0.03, show_default=True,
    help="A slowdown under this is never called a defect.",
)  # fmt: skip
@click.option("--expect", help="Nodes that should be here, a,b or a file: those without a run are named.")
@click.option("--top", type=click.IntRange(1), default=20, show_default=True, help="How many GPUs to print.")
@click.option(
    "--html", type=click.Path(path_type=Path), help="Also write a page that opens without a network."
)
@json_option
def analyze(
    runs: tuple[str, ...],
    retest: tuple[str, ...],
    labels: Path | None,
    expect: str | None,
    top: int,
    html: Path | None,
    as_json: bool,
    **thresholds: float,
) -> int:
    """Judge RUNS: run directories, globs, Parquet parts, or URLs of either (through fsspec).

    Exit code 1 says that a GPU failed, is defective or below policy, or that an expected node is missing; 4
    that nothing could be judged. What cannot be read is reported on
    stderr, a line each, and the rest is analyzed.
    """
    from quantroof.fleet.analysis import analyze as judge
    from quantroof.fleet.gather import gather
    from quantroof.fleet.groups import read_labels
    from quantroof.fleet.launch.nodes import read_nodes, silent_nodes
    from quantroof.fleet.policy import Policy
    from quantroof.reports.text.fleet_lines import fleet_document, fleet_lines

    known = read_labels(labels) if labels else None
    expected = read_nodes(expect) if expect else []
    second = gather(retest) if retest else None
    found = judge(gather(runs), Policy(**thresholds), known, second)
    silent = silent_nodes(expected, [node for node, _ in found.nodes()])
    for problem in [*found.problems, *(second.problems if second else [])]:
        click.echo(f"warning: {problem}", err=True)
    if html is not None:
        _write_page(html, found, silent)
    if as_json:
        echo_json("fleet", {**fleet_document(found), "never_answered": silent})
    else:
        for line in fleet_lines(found, top):
            click.echo(line)
        if silent:
            click.echo(f"never answered: {', '.join(silent)}")
    if found.bad or silent:
        return ExitCode.FINDING
    return ExitCode.OK if any(gpu.grade == "healthy" for gpu in found.gpus) else ExitCode.UNDECIDED


def _write_page(target: Path, found: Analysis, silent: list[str]) -> None:
    from quantroof.files import write_to
    from quantroof.reports.html.fleet_page import fleet_html

    page = fleet_html(found, silent)
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
@click.option("--nodes", help="Node names, a,b or a file with one a line.")
@click.option("--count", type=click.IntRange(1), help="k8s: how many nodes. ray: how many GPUs.")
@click.option(
    "--device",
    default="cuda",
    show_default=True,
    help="What each task measures, as in `quantroof run`: cpu or sim:PROFILE try a sweep without GPUs.",
)
@click.option("--gpus", type=click.IntRange(1), default=8, show_default=True, help="GPUs of a node.")
@click.option("--minutes", type=click.IntRange(1), default=30, show_default=True, help="Limit of an attempt.")
@click.option("--retries", type=click.IntRange(0), default=2, show_default=True, help="Further attempts.")
@click.option("--image", default="quantroof:latest", show_default=True, help="k8s: the container image.")
@click.option("--claim", default="quantroof-results", show_default=True, help="k8s: the volume claim.")
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def launch(
    engine: str,
    nodes: str | None,
    count: int | None,
    image: str,
    claim: str,
    options: tuple[str, ...],
    **settings: Any,
) -> int:
    """Start `quantroof run` with OPTIONS on every node, such as `-- --suite node --mode sustained`.

    An attempt that is cut off keeps what it measured, and the next one goes on there. slurm prints a script
    for `bash`, k8s a manifest for `kubectl apply -f -`.
    """
    from quantroof.fleet.launch.nodes import read_nodes
    from quantroof.fleet.launch.options import LaunchOptions, checked_options

    job = LaunchOptions(run_options=checked_options(options), **settings)
    names = read_nodes(nodes) if nodes else []
    if engine == "slurm":
        from quantroof.fleet.launch.slurm import sbatch_script

        click.echo(sbatch_script(job, names), nl=False)
        return ExitCode.OK
    if engine == "k8s":
        from quantroof.fleet.launch.kubernetes import job_manifest

        click.echo(job_manifest(job, _needed(count or len(names), "--count"), image, claim), nl=False)
        return ExitCode.OK
    return _wait(engine, job, names, count)


def _wait(engine: str, job: LaunchOptions, names: list[str], count: int | None) -> int:
    """Run a sweep here and now; prints the runs, and names on stderr what never came back."""
    if engine == "ray":
        from quantroof.fleet.launch.on_ray import launch as on_ray

        sweep = on_ray(job, _needed(count or 0, "--count"))
    else:
        from quantroof.fleet.launch.on_submitit import launch as on_submitit

        _needed(len(names), "--nodes")
        sweep = on_submitit(job, names)
    for result in sweep.results:
        click.echo(result.directory)
    for line in sweep.lost:
        click.echo(f"never answered: {line}", err=True)
    return ExitCode.FINDING if sweep.lost else ExitCode.OK


def _needed(number: int, option: str) -> int:
    if not number:
        raise UsageError(f"how many? say {option}")
    return number
