"""Results of load tools as records, from real ones.

tests/data/served_*: a random Llama of 2 layers under `transformers serve` 5.17 on a CPU, 2026-11-21; its
times mean nothing. `guidellm_*` by guidellm 0.8.1, without the aggregate block `metrics` and stack traces.
`vllm_*` by the client of `vllm bench serve` 0.33.0, without generated texts, through a relay that drops the
request fields this server refuses. The `refused` ones met it without the relay: 422 to `ignore_eos`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from quantroof.errors import UsageError
from quantroof.quality.served.importing import read_result, read_results
from tests import builders, runs

Run = Callable[..., tuple[int, str, str]]
DATA = Path(__file__).parent.parent / "data"
GUIDELLM = DATA / "served_guidellm_tiny_llama.json"
DETAILED = DATA / "served_vllm_detailed.json"
APPENDED = DATA / "served_vllm_appended.jsonl"
REFUSED = (DATA / "served_guidellm_refused.json", DATA / "served_vllm_refused.json")


def _changed(file: Path, change: Callable[[dict[str, Any]], object]) -> str:
    raw = json.loads(file.read_text())
    change(raw)
    return json.dumps(raw)


def test_guidellm_requests_keep_their_own_times() -> None:
    """Each request's first token and time per token equal what guidellm derives for it."""
    served = read_result(GUIDELLM)
    raw = json.loads(GUIDELLM.read_text())

    assert (served.header.model, served.header.tool_version) == ("tiny-llama", "0.8.1")
    assert [(x.concurrency, x.completed, x.failed) for x in served.loads] == [(1, 4, 0), (3, 12, 0)]
    for load, benchmark in zip(served.loads, raw["benchmarks"], strict=True):
        assert (load.prompt_tokens, load.output_tokens) == (16 * load.completed, 8 * load.completed)
        for request, theirs in zip(load.requests, benchmark["requests"]["successful"], strict=True):
            assert request.first_token_ns == pytest.approx(theirs["time_to_first_token_ms"] * 1e6)
            # Where all came in one piece guidellm says 0, we say unknown.
            assert (request.per_token_ns or 0) == pytest.approx(theirs["inter_token_latency_ms"] * 1e6)
        assert load.duration_ns is not None
        assert 0 < load.duration_ns <= benchmark["duration"] * 1e9 * 1.001


def test_vllm_requests_give_the_medians_that_vllm_states() -> None:
    """From single requests of a detailed result we come to its own medians and rate."""
    (load,) = read_result(DETAILED).loads
    raw = json.loads(DETAILED.read_text())

    assert load.first_token is not None
    assert load.per_token is not None
    assert load.first_token.median_ns == pytest.approx(raw["median_ttft_ms"] * 1e6)
    assert load.per_token.median_ns == pytest.approx(raw["median_tpot_ms"] * 1e6)
    assert load.output_tokens_per_s == pytest.approx(raw["output_throughput"])
    assert (load.concurrency, load.completed) == (2, 6)


def test_a_vllm_result_without_requests_keeps_its_percentiles() -> None:
    """Two appended results: medians as stated; p99 of six requests is not believed."""
    one, two = read_result(APPENDED).loads
    raw = json.loads(APPENDED.read_text().splitlines()[0])

    assert (one.concurrency, two.concurrency) == (1, 2)
    assert one.requests == ()
    assert one.first_token is not None
    assert one.first_token.median_ns == pytest.approx(raw["median_ttft_ms"] * 1e6)
    assert one.first_token.p99_ns is None
    assert one.first_token.count == 6


@pytest.mark.parametrize("file", REFUSED)
def test_failures_are_counted_and_shown(file: Path, run_command: Run) -> None:
    """A load of failures alone: their number, what the server said, exit code 1; no time is invented."""
    code, text, _ = run_command("endpoint", "--import", file)
    _, document, _ = run_command("endpoint", "--import", file, "--json")
    (load,) = json.loads(document)["loads"]

    assert code == 1
    assert "Unprocessable Entity" in text
    assert (load["completed"], load["first_token"], load["output_tokens_per_s"]) == (0, None, None)
    assert load["failed"] in (4, 6)


def test_a_load_that_was_cut_off_is_a_finding(tmp_path: Path, run_command: Run) -> None:
    """No failure, but no answer either: said so, exit code 1."""

    def cut_off(raw: dict[str, Any]) -> None:
        requests = raw["benchmarks"][0]["requests"]
        requests["incomplete"], requests["successful"] = requests["successful"], []

    file = tmp_path / "result.json"
    file.write_text(_changed(GUIDELLM, cut_off))
    code, text, _ = run_command("endpoint", "--import", file)

    assert code == 1
    assert "concurrency 1: no request completed before the time limit" in text


def test_the_table_has_a_row_a_concurrency(run_command: Run) -> None:
    """Concurrency, requests, tokens, percentiles, rate: 12 requests have a p90 and no p99."""
    code, text, _ = run_command("endpoint", "--import", GUIDELLM)
    rows = [line.split() for line in text.splitlines() if line.strip()[:1] in "13" and "/" in line]

    assert code == 0
    assert [row[0:4] for row in rows] == [["1", "4", "0", "0"], ["3", "12", "0", "0"]]
    assert rows[0].count("-") == 4
    assert rows[1].count("-") == 2


def test_results_of_several_files_are_one_table(tmp_path: Path, run_command: Run) -> None:
    """Loads by concurrency; what was written with --out reads back to the same document."""
    out = tmp_path / "served.jsonl"
    code, text, _ = run_command(
        "endpoint", "--import", DETAILED, "--import", APPENDED, "--out", out, "--json"
    )
    _, again, _ = run_command("endpoint", "--import", out, "--json")
    first, second = json.loads(text), json.loads(again)

    assert code == 0
    assert [load["concurrency"] for load in first["loads"]] == [1, 2, 2]
    assert first["header"]["imported_from"] == [DETAILED.name, APPENDED.name]
    assert second["loads"] == first["loads"]


def test_files_of_two_tools_are_not_mixed() -> None:
    """Their ways to count differ."""
    with pytest.raises(UsageError, match="of tool 'vllm bench serve', the first file of 'guidellm'"):
        read_results([GUIDELLM, DETAILED])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is not a result that can be imported"),
        ("[1, 2]", "is not a result that can be imported"),
        ('{"a": 1}', "is not a result that can be imported"),
        ("\x1b[31m{", "is not JSON"),
        (_changed(GUIDELLM, lambda r: r["metadata"].update(version=1)), "format 1, not 2"),
        (_changed(GUIDELLM, lambda r: r.pop("benchmarks")), "missing required field `benchmarks`"),
        (_changed(GUIDELLM, lambda r: r["benchmarks"].clear()), "holds no load"),
        (_changed(DETAILED, lambda r: r.pop("total_output_tokens")), "missing required field"),
        (_changed(DETAILED, lambda r: r.update(ttfts=[0.1])), "differ in length"),
        (_changed(DETAILED, lambda r: r.update(completed=3)), "3 requests completed, 6 are listed"),
        (_changed(DETAILED, lambda r: r.update(duration="long")), "Expected `float`"),
        (_changed(DETAILED, lambda r: r.update(duration=-3.0)), "holds what no load can measure"),
        (_changed(DETAILED, lambda r: r.update(total_output_tokens=-1)), "no load can measure"),
        (_changed(DETAILED, lambda r: r["ttfts"].__setitem__(0, -0.1)), "no load can measure"),
        (_changed(DETAILED, lambda r: r.update(duration=float("nan"))), "is not JSON: it holds NaN"),
    ],
)
def test_a_file_of_another_schema_is_one_line(tmp_path: Path, run_command: Run, text: str, says: str) -> None:
    """Nothing, another document, another format, a missing or wrong field: exit code 2, no traceback."""
    file = tmp_path / "result.json"
    file.write_text(text)
    code, out, error = run_command("endpoint", "--import", file)

    assert code == 2
    assert out == ""
    assert says in error
    assert len(error.strip().splitlines()) == 1


def test_a_hostile_model_name_is_text(tmp_path: Path, run_command: Run) -> None:
    """Control codes of a file do not reach the terminal."""
    file = tmp_path / "result.json"
    file.write_text(_changed(DETAILED, lambda r: r.update(model_id="\x1b[2J[bold]m[/bold]")))
    code, text, _ = run_command("endpoint", "--import", file)

    assert code == 0
    assert "\x1b" not in text
    assert "[bold]m[/bold]" in text


def test_a_missing_file_is_one_line(run_command: Run) -> None:
    """The path is named."""
    code, _, error = run_command("endpoint", "--import", "nowhere.json")

    assert code == 2
    assert "nowhere.json: cannot be read" in error


PREDICT = ("--predict-for", "a100-sxm4-80gb", "--as-model", "llama-3.1-8b")


def test_the_prediction_stands_beside_with_band_and_word(run_command: Run) -> None:
    """Two rows a concurrency, measured and predicted, ratio and where the prediction comes from."""
    code, text, _ = run_command("endpoint", "--import", GUIDELLM, *PREDICT)
    _, document, _ = run_command("endpoint", "--import", GUIDELLM, *PREDICT, "--json")
    found = json.loads(document)
    (_, three) = found["predictions"]["loads"]
    measured = found["loads"][1]["per_token"]["median_ns"] / 1e9
    predicted = three["per_token"]["predicted"]

    assert code == 0
    assert "llama-3.1-8b in bf16 on 1 GPU" in text
    assert "3: per token" in text
    assert "modeled" in text
    assert three["per_token"]["ratio"] == pytest.approx(measured / predicted["seconds"])
    assert predicted["low"] < predicted["seconds"] < predicted["high"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--predict-for", "h900", "--as-model", "llama-3.1-8b"), "unknown GPU 'h900'"),
        (("--predict-for", "a100-sxm4-80gb", "--as-model", "llama-9"), "unknown model 'llama-9'"),
        (("--predict-for", "a100-sxm4-80gb"), "needs the sizes of the model"),
        (("--as-model", "llama-3.1-8b"), "needs a GPU"),
        ((*PREDICT, "--format", "int3"), "unknown format 'int3'"),
        ((*PREDICT, "--kv", "int3"), "unknown KV-cache format 'int3'"),
        (("http://127.0.0.1:1",), "URL of a server, or --import"),
    ],
)
def test_a_wrong_request_is_one_line(run_command: Run, arguments: tuple[str, ...], says: str) -> None:
    """Names that the advisor does not know, half a question, two sources: exit code 2."""
    code, _, error = run_command("endpoint", "--import", GUIDELLM, *arguments)

    assert code == 2
    assert says in error
    assert len(error.strip().splitlines()) == 1


def test_a_prediction_that_cannot_be_made_says_why(run_command: Run) -> None:
    """The measured table stands; the reason follows it, and the exit code is that of the load."""
    code, text, _ = run_command("endpoint", "--import", GUIDELLM, *PREDICT, "--format", "fp8-w8a8")

    assert code == 0
    assert "concurrency 3: no prediction, no fp8 matrix instructions" in text


def test_a_prediction_from_a_simulated_run_says_so(tmp_path: Path, run_command: Run) -> None:
    """The title is marked, the document too; linear layers come from the run's points."""
    run = builders.write(runs.gpu_run(simulated=True), tmp_path / "run")
    options = ("--import", GUIDELLM, "--run", run, "--as-model", "llama-3.1-8b")
    code, text, _ = run_command("endpoint", *options)
    _, document, _ = run_command("endpoint", *options, "--json")
    found = json.loads(document)["predictions"]

    assert code == 0
    assert "SIMULATED. beside the advisor" in text
    assert found["simulated"] is True
    assert "interpolated" in found["loads"][1]["per_token"]["linear"]
