"""The SGLang command of an option."""

from __future__ import annotations

from quantroof.advisor.advice import Advice, Option
from quantroof.advisor.launch import (
    EngineOption,
    Launch,
    batch_reason,
    cache_reason,
    dtype,
    quantization,
    warnings,
    weights_reason,
)
from quantroof.errors import UsageError

_KV = {"fp16": "auto", "fp8": "fp8_e4m3"}


def launch(advice: Advice, option: Option, repository: str) -> Launch:
    """`python -m sglang.launch_server`; UsageError for a cache that SGLang does not have."""
    if option.kv not in _KV:
        raise UsageError(f"SGLang has no {option.kv} cache", hint=f"--kv {' or '.join(_KV)}")
    memory, request = option.memory, advice.request
    computed = dtype(advice, option)
    held = memory.weights + max(memory.left_for_kv, 0.0)
    flags = [
        ("--tp-size", str(option.gpus), weights_reason(option)),
        ("--dtype", computed, f"products and activations in {computed}"),
        ("--kv-cache-dtype", _KV[option.kv], cache_reason(advice, option)),
        ("--context-length", str(request.context), "the planned context"),
        (
            "--mem-fraction-static",
            f"{held / advice.machine.memory_bytes:.2f}",
            f"weights and cache; {memory.sequences} sequences fit",
        ),
        ("--max-running-requests", str(option.batch or 1), batch_reason(advice, option)),
    ]
    options = [EngineOption(name=name, value=value, reason=reason) for name, value, reason in flags]
    method = quantization(advice, option)
    if method is not None:
        options.insert(1, method)
    if option.format == "nf4-w4a16":
        reason = "bitsandbytes weights are made by this loader"
        options.insert(2, EngineOption(name="--load-format", value="bitsandbytes", reason=reason))
    if option.format == "int8-w8a8":
        reason = "SGLang does not detect int8 products"
        options.insert(1, EngineOption(name="--quantization", value="w8a8_int8", reason=reason))
    return Launch(
        engine="sglang",
        model=repository,
        start=("python", "-m", "sglang.launch_server", "--model-path"),
        options=tuple(options),
        warnings=tuple(warnings(advice, option)),
    )
