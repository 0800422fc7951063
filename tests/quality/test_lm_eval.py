"""The adapter of lm-evaluation-harness: commands that today's version takes, and a local task run offline."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from quantroof.quality.lm.cache import SmallModel
from quantroof.quality.lm_eval import commands, write_local_task
from tests.quality.extras import needs

Run = Callable[..., tuple[int, str, str]]


def test_tasks_are_grouped_by_their_customary_shots() -> None:
    """One command per checkpoint and number of shots; no flag that names a quantization."""
    planned = commands([Path("gptq")], ["winogrande", "mmlu", "hellaswag"], "cpu", Path("out"))

    assert {(e.shots, e.tasks) for e in planned} == {(5, ("winogrande", "mmlu")), (10, ("hellaswag",))}
    assert all("load_in" not in e.text and "gptq=True" not in e.text for e in planned)


def test_a_local_task_holds_every_paragraph(tmp_path: Path) -> None:
    """The data file is JSON lines, one document a paragraph."""
    write_local_task("one\n\ntwo\n\n\n\nthree", tmp_path)

    lines = (tmp_path / "quantroof_text.jsonl").read_text().splitlines()
    assert [json.loads(line)["text"].strip() for line in lines] == ["one", "two", "three"]


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (("nowhere",), 2, "no checkpoint here"),
        (("checkpoint", "--tasks", ""), 2, "no task is named"),
        (("checkpoint", "--text", "empty"), 2, "text is empty"),
        (("checkpoint", "--text", "text", "--out", "text"), 3, "cannot be written"),
        (("checkpoint", "--text", "text", "--device", "cuda:99"), 3, "use --device cpu"),
    ],
)
def test_a_wrong_request_is_one_line(
    trained: SmallModel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    run_command: Run,
    arguments: tuple[str, ...],
    code: int,
    expected: str,
) -> None:
    """No checkpoint, task, text, folder or GPU: said before the harness is started."""
    monkeypatch.chdir(tmp_path)
    Path("empty").write_text("")
    Path("text").write_text("some text")
    Path("checkpoint").symlink_to(trained.checkpoint)
    found, _, error = run_command("lm-eval", *arguments)

    assert found == code
    assert expected in error
    assert len(error.strip().splitlines()) == 1


@pytest.mark.slow
def test_a_local_task_runs_offline(trained: SmallModel, tmp_path: Path, run_command: Run) -> None:
    """The harness itself measures the small model: under 4 bits a byte after 200 steps."""
    needs("lm_eval")
    options = ("--text", trained.held_out_text, "--limit", 5, "--out", tmp_path, "--json")
    code, text, _ = run_command("lm-eval", trained.checkpoint, *options)

    (found,) = json.loads(text)["results"].values()
    assert code == 0
    assert 1 < found["bits_per_byte"] < 4
