"""`quantroof quality claims`: what a lesson says of accuracy, held against formats and a study."""

from __future__ import annotations

from pathlib import Path

import click

from quantroof.cli.output import echo_json, json_option
from quantroof.errors import ExitCode


@click.command("claims")
@click.argument("claims", required=False, type=click.Path(path_type=Path))
@click.option(
    "--study", "study_path", type=click.Path(path_type=Path), help="A file of `quality study --out`."
)
@json_option
def command(claims: Path | None, *, study_path: Path | None, as_json: bool) -> int:
    """Judge CLAIMS, by default those of the lesson this project was made from.

    Claims about a model's loss need --study and concern that model; what it leaves undecided cannot be told.
    Exit code 1 says that a claim is wrong.
    """
    from importlib.resources import as_file, files

    import msgspec

    from quantroof.hwprofiles.claims.model import judge_all, read_claims
    from quantroof.quality.claims import evaluators
    from quantroof.quality.environment import load
    from quantroof.records.quality import read_study

    load("torch")
    if claims is None:
        with as_file(files("quantroof.quality") / "lesson.toml") as shipped:
            read = read_claims(shipped)
    else:
        read = read_claims(claims)
    judged = judge_all(read, evaluators(None if study_path is None else read_study(study_path)))
    if as_json:
        echo_json("quality-claims", {"judgements": msgspec.to_builtins(judged)})
    else:
        for judgement in judged:
            click.echo(f"{judgement.outcome:16}  {judgement.claim.text}")
            for evidence in judgement.evidence:
                click.echo(f"{'':18}{evidence}")
    return ExitCode.FINDING if any(j.outcome == "wrong" for j in judged) else ExitCode.OK
