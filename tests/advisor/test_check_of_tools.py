"""`advise --check` of results of guidellm, `vllm bench serve`, AIPerf and InferenceX, as documented."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from quantroof.advisor.points_served import AT_A_RATE, inferencex_points
from quantroof.cli.commands.advise import command
from quantroof.errors import UsageError
from quantroof.quality.served.importing import read_result

DATA = Path(__file__).parent.parent / "data"
# vllm/benchmarks/serve.py, without --save-detailed.
VLLM: dict[str, Any] = {
    "date": "20261101-120000", "backend": "vllm", "model_id": "meta-llama/Llama-3.1-8B-Instruct",
    "num_prompts": 100, "request_rate": "inf", "max_concurrency": 16, "duration": 30.0, "completed": 100,
    "total_input_tokens": 102400, "total_output_tokens": 25600, "median_ttft_ms": 80.0, "median_tpot_ms": 9.5,
}  # fmt: skip
# docs/tutorials/working-with-profile-exports.md of AIPerf.
AIPERF: dict[str, Any] = {
    "request_count": {"unit": "requests", "avg": 200.0},
    "total_isl": {"unit": "tokens", "avg": 204800.0},
    "total_osl": {"unit": "tokens", "avg": 51200.0},
    "time_to_first_token": {"unit": "ms", "avg": 90.0, "p50": 80.0, "p90": 120.0, "p99": 200.0},
    "inter_token_latency": {"unit": "ms", "avg": 9.8, "p50": 9.5, "p90": 11.0, "p99": 12.0},
    "benchmark_duration": {"unit": "sec", "avg": 15.2},
    "error_summary": [{"error_details": {"code": 499, "type": "RequestCancellationError"}, "count": 3}],
    "input_config": {
        "endpoint": {"model_names": ["meta-llama/Llama-3.1-8B-Instruct"], "type": "chat", "url": "localhost"},
        "loadgen": {"concurrency": 16, "request_rate_mode": "concurrency_burst"},
    },
}  # fmt: skip
# utils/process_result.py of InferenceX: times are seconds.
INFERENCEX: dict[str, Any] = {
    "hw": "h100", "conc": 16, "model": "deepseek-ai/DeepSeek-R1-0528", "framework": "vllm",
    "precision": "fp8", "spec_decoding": "none", "disagg": False, "isl": 1024, "osl": 1024,
    "is_multinode": False, "tp": 8, "ep": 1, "dp_attention": "false", "median_tpot": 0.020,
    "mean_tpot": 0.021, "median_ttft": 0.3, "median_intvty": 50.0,
}  # fmt: skip
DEPLOYED = ("--gpu", "h100-sxm5-80gb", "--gpus", "1")


def _checked(file: Path, *options: str) -> dict[str, Any]:
    ran = CliRunner().invoke(command, ["--check", str(file), *options, "--json"])
    assert ran.exception is None or isinstance(ran.exception, SystemExit), ran.exception
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


@pytest.mark.parametrize("result", [VLLM, AIPERF], ids=["vllm", "aiperf"])
def test_a_load_is_checked_on_the_gpu_that_is_named(tmp_path: Path, result: dict[str, Any]) -> None:
    """16 requests of 1024 tokens in and 256 out at 9.5 ms each: one error, whichever tool measured it."""
    file = tmp_path / "result.json"
    file.write_text(json.dumps(result))
    row = "llama-3.1-8b,h100-sxm5-80gb,1,bf16,vllm,1024,256,16,tpot_ms,9.5,nobody,"
    points = tmp_path / "points.csv"
    points.write_text(f"model,gpu,tp,format,framework,isl,osl,concurrency,metric,value,source,note\n{row}\n")

    found, same = _checked(file, *DEPLOYED), _checked(points)

    assert found["points"] == 2  # the time per token and to the first
    assert found["judged"][0]["median_error"] == pytest.approx(same["judged"][0]["median_error"])


def test_results_that_the_tools_wrote_are_read(tmp_path: Path) -> None:
    """Files of guidellm and of vLLM, served by a tiny model that is told to be another one."""
    for name in ("served_guidellm_tiny_llama.json", "served_vllm_appended.jsonl"):
        found = _checked(DATA / name, *DEPLOYED, "--model", "llama-3.1-8b", "--formats", "fp8-w8a8")
        assert found["points"] >= 2, name
        assert any(group["name"] == "fp8-w8a8" for group in found["judged"]), name


def test_aiperf_is_a_served_result_too(tmp_path: Path) -> None:
    """`quality endpoint --import` reads it: counts, tokens and percentiles, no single requests."""
    file = tmp_path / "profile_export_aiperf.json"
    file.write_text(json.dumps(AIPERF))

    load = read_result(file).loads[0]

    assert (load.concurrency, load.completed, load.failed) == (16, 200, 3)
    assert (load.mean_prompt_tokens, load.mean_output_tokens) == (1024, 256)
    assert load.per_token is not None
    assert (load.per_token.median_ns, load.per_token.p99_ns) == (9.5e6, 12e6)


def test_inferencex_rows_say_where_they_ran(tmp_path: Path) -> None:
    """H100 is the SXM board, fp8 is what the checkpoint has, and both of its times are points."""
    first, second = inferencex_points(INFERENCEX, Path("agg.json"), Counter())

    assert (first.gpu, first.tp, first.format) == ("h100-sxm5-80gb", 8, "fp8-block-w8a8")
    assert (first.metric, second.metric) == ("tpot_ms", "first_token_ms")
    assert [first.value, second.value] == pytest.approx([20.0, 300.0])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"spec_decoding": "mtp"}, "speculation (mtp) is not modeled"),
        ({"dp_attention": "true"}, "data-parallel attention is not modeled"),
        ({"is_multinode": True}, "several nodes are not modeled"),
        ({"ep": 8}, "experts divided among GPUs (ep > 1) are not modeled"),
        ({"hw": "tpu"}, "unknown GPU 'tpu'"),
    ],
)
def test_what_is_not_modeled_is_set_aside_with_its_reason(change: dict[str, Any], reason: str) -> None:
    """Speculation and other cuts make a time that the advisor does not predict."""
    aside: Counter[str] = Counter()

    assert inferencex_points([{**INFERENCEX, **change}], Path("agg.json"), aside) == ()
    assert [key.startswith(reason) for key in aside] == [True]


def test_a_load_at_a_rate_is_no_batch(tmp_path: Path) -> None:
    """Without a fixed concurrency nothing is judged, and the reason is counted."""
    file = tmp_path / "result.json"
    file.write_text(json.dumps({**VLLM, "max_concurrency": None, "request_rate": 4.0}))

    found = _checked(file, *DEPLOYED)

    assert found["judged"] == []
    assert found["refused"] == [[AT_A_RATE, 1]]


@pytest.mark.parametrize(
    ("text", "options", "complaint"),
    [
        (json.dumps(VLLM), (), "on which GPU"),
        (json.dumps(VLLM), ("--gpu", "l4"), "on how many GPUs"),
        ("{", DEPLOYED, "is not JSON"),
        ("{}", DEPLOYED, "is not a result that can be imported"),
        (json.dumps({**INFERENCEX, "conc": "many"}), (), "is not a result of InferenceX"),
        (json.dumps({**AIPERF, "request_count": 3}), DEPLOYED, "is not a result of AIPerf"),
        (json.dumps({**AIPERF, "inter_token_latency": {"unit": "s", "p50": 1}}), DEPLOYED, "in s, not ms"),
        (json.dumps(VLLM), (*DEPLOYED, "--formats", "fp9"), "unknown format 'fp9'"),
    ],
)
def test_a_bad_file_or_question_is_one_line(
    tmp_path: Path, text: str, options: tuple[str, ...], complaint: str
) -> None:
    """The line names the file and what to add."""
    file = tmp_path / "result.json"
    file.write_text(text)
    ran = CliRunner().invoke(command, ["--check", str(file), *options])

    assert isinstance(ran.exception, UsageError)
    assert complaint in str(ran.exception)
