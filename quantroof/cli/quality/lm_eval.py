"""`quantroof quality lm-eval`: tasks of the lm-evaluation-harness for quantized checkpoints."""

from __future__ import annotations

from pathlib import Path

import click

from quantroof.cli.output import echo_json, echo_rich, json_option


@click.command("lm-eval", short_help="The commands that evaluate checkpoints.")
@click.argument("checkpoints", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--tasks",
    default="winogrande,hellaswag,arc_challenge,mmlu",
    show_default=True,
    help="Tasks of the harness.",
)
@click.option("--text", type=click.Path(path_type=Path), help="Run a local task over this text, offline.")
@click.option("--limit", type=click.IntRange(1), help="At most this many documents.")
@click.option("--device", default="cpu", show_default=True, help="cpu or cuda:0.")
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("lm-eval"), show_default=True, help="Its results."
)
@json_option
def command(
    checkpoints: tuple[Path, ...],
    *,
    tasks: str,
    text: Path | None,
    limit: int | None,
    device: str,
    out: Path,
    as_json: bool,
) -> None:
    """Print the commands that evaluate CHECKPOINTS, original and quantized alike.

    Each task has its usual number of examples in the prompt. Tasks of the harness are downloaded when the
    commands are run. With --text nothing is: perplexity over that text is measured here and now (needs
    lm-eval).
    """
    from quantroof.quality import lm_eval
    from quantroof.quality.checkpoint import open_checkpoint

    whole = [open_checkpoint(path).path for path in checkpoints]
    if text is None:
        names = [name for name in map(str.strip, tasks.split(",")) if name]
        planned = lm_eval.commands(whole, names, device, out, limit)
        if as_json:
            echo_json("quality-lm-eval", {"commands": [e.text for e in planned], "results": {}})
        else:
            click.echo("\n".join(e.text for e in planned))
        return
    from quantroof.files import read_text
    from quantroof.quality.environment import use_device
    from quantroof.reports.text.table import table, titled

    device = use_device(device)  # the harness would take the CPU instead, with a line in its log
    include = lm_eval.write_local_task(read_text(text), out / "tasks")
    planned = lm_eval.commands(whole, [lm_eval.LOCAL_TASK], device, out, limit)
    results = {e.checkpoint: lm_eval.run(e, include)[lm_eval.LOCAL_TASK] for e in planned}
    figures = {str(path): _figures(metrics) for path, metrics in results.items()}
    if as_json:
        echo_json("quality-lm-eval", {"commands": [e.text for e in planned], "results": figures})
        return
    names = list(dict.fromkeys(name for metrics in figures.values() for name in metrics))
    rows = [(path, *(f"{metrics[name]:.4f}" for name in names)) for path, metrics in figures.items()]
    echo_rich([titled(f"lm-eval over {text.name}", table(("checkpoint", *names), rows, right=names))])


def _figures(metrics: dict[str, object]) -> dict[str, float]:
    """Metrics by name, without the harness's filter suffix and its standard errors."""
    return {
        name.partition(",")[0]: value
        for name, value in metrics.items()
        if isinstance(value, float) and "stderr" not in name
    }
