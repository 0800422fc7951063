"""Commands of serving engines: what each would accept, and what it would refuse with the reason."""

from __future__ import annotations

import msgspec
import pytest

from quantroof.advisor.advice import Advice, AdviceOptions
from quantroof.advisor.choices import DEFAULT, choice
from quantroof.advisor.decision import advise
from quantroof.advisor.engine_limits import cut_refused
from quantroof.advisor.engines import launch_of
from quantroof.advisor.machine import Machine
from quantroof.advisor.model_lookup import model
from quantroof.advisor.timings import TimingTable
from tests.advisor.machines import A100, H100, H200


def _ask(machine: Machine = A100, name: str = "llama-3.1-70b", **wishes: object) -> Advice:
    asked = AdviceOptions(**{"context": 4096, "formats": DEFAULT, **wishes})  # type: ignore[arg-type]
    return advise(model(name), machine, TimingTable(), asked, None)


def test_vllm_command_has_a_reason_for_every_flag() -> None:
    """The chosen option becomes a command; GPU count, context, share and batch are the plan's."""
    advice = _ask(H100, latency_s=0.050, formats=("fp8-w8a8",), kv="fp8")
    assert advice.choice is not None

    launch = launch_of("vllm", advice, advice.choice)

    words = launch.command.split()
    assert words[:3] == ["vllm", "serve", "meta-llama/Llama-3.1-70B"]
    for flag, value in (
        ("--quantization", "fp8"),
        ("--kv-cache-dtype", "fp8"),
        ("--max-model-len", "4096"),
        ("--tensor-parallel-size", str(advice.choice.gpus)),
        ("--max-num-seqs", str(advice.choice.batch)),
    ):
        assert words[words.index(flag) + 1] == value
    assert all(flag.reason for flag in launch.options)


def test_vllm_says_what_it_cannot_do() -> None:
    """fp8 on an A100 is storage only; int4 needs its own checkpoint; an int4 cache needs a new version."""
    fp8 = _ask(formats=("fp8-w8a16",), gpu_counts=(2,))
    int4 = _ask(formats=("int4-w4a16",), gpu_counts=(1,))
    cache = _ask(name="org/Llama-3.1-70B-AWQ", formats=("int4-w4a16",), gpu_counts=(1,), kv="int4")

    storage = launch_of("vllm", fp8, fp8.options[0])
    assert any("fp8 is not supported as compute here" in w for w in storage.warnings)
    refused = launch_of("vllm", int4, int4.options[0])
    assert refused.command == ""
    assert "needs a GPTQ or AWQ checkpoint in groups of 128" in (refused.refusal or "")
    served = launch_of("vllm", cache, cache.options[0])
    assert served.command.startswith("vllm serve org/Llama-3.1-70B-AWQ ")
    assert "--quantization" not in served.command
    assert "--kv-cache-dtype int4_per_token_head" in served.command
    assert any("only vLLM releases of 2026 have int4_per_token_head" in w for w in served.warnings)


@pytest.mark.parametrize(
    ("engine", "name", "format_name", "kv", "expected"),
    [
        (
            "vllm",
            "gpt-oss-120b",
            "mxfp4-w4a16",
            "fp16",
            "vllm serve openai/gpt-oss-120b --tensor-parallel-size 1",
        ),
        ("vllm", "gpt-oss-120b", "fp8-w8a8", "fp16", "stored as mxfp4-w4a16"),
        ("sglang", "llama-3.1-8b", "fp8-w8a8", "fp8", "--tp-size 1 --quantization fp8 --dtype bfloat16"),
        ("sglang", "llama-3.1-8b", "bf16", "int8", "SGLang has no int8 cache"),
        ("trtllm", "llama-3.1-8b", "bf16", "fp8", "trtllm-serve meta-llama/Llama-3.1-8B --tp_size 1"),
        ("trtllm", "llama-3.1-8b", "fp8-w8a8", "fp16", "does not quantize on load"),
        ("trtllm", "qwen3-32b", "fp8-block-w8a8", "fp16", "trtllm-serve Qwen/Qwen3-32B-FP8 --tp_size 1"),
    ],
)
def test_engines_get_a_command_or_a_reason(
    engine: str, name: str, format_name: str, kv: str, expected: str
) -> None:
    """A command holds only flags of that engine; what it would refuse has no command."""
    advice = _ask(H200, name, formats=(format_name,), gpu_counts=(1,), kv=kv, context=2048)
    launch = launch_of(engine, advice, advice.options[0])

    assert expected in (launch.command or launch.refusal or "")
    assert (launch.command == "") == (launch.refusal is not None)


def test_a_models_name_is_quoted_for_the_shell() -> None:
    """A repository name from a file is one word of the command, whatever is in it."""
    evil = msgspec.structs.replace(model("phi-4"), repository="x; rm -rf /")
    asked = AdviceOptions(context=128, formats=("bf16",), gpu_counts=(1,))
    advice = advise(evil, H100, TimingTable(), asked, None)

    assert "vllm serve 'x; rm -rf /' --tensor" in launch_of("vllm", advice, advice.options[0]).command


@pytest.mark.parametrize(
    ("name", "format_name", "gpus", "reason"),
    [
        ("phi-4", "bf16", 4, "10 KV heads cannot be divided among 4 GPUs"),
        ("phi-4", "bf16", 2, None),
        ("qwen2.5-72b", "int4-w4a16", 8, "down has 231 groups of 128, which 8 GPUs cannot share"),
        ("qwen2.5-72b", "int4-w4a16", 1, None),
        ("qwen3-30b-a3b", "int4-w4a16", 8, "expert down has 6 groups of 128, which 8 GPUs cannot share"),
        ("gpt-oss-120b", "mxfp4-w4a16", 8, None),
        ("gpt-oss-120b", "fp8-block-w8a8", 1, "blocks of 128 do not divide the K = 2880"),
    ],
)
def test_cuts_that_engines_refuse(name: str, format_name: str, gpus: int, reason: str | None) -> None:
    """KV heads and groups of scales are whole on each GPU; engines pad the fp4 formats."""
    refused = cut_refused(model(name), choice(format_name), gpus)

    assert refused is None if reason is None else reason in (refused or "")
