"""The vLLM command of an option."""

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

# vLLM's 8- and 4-bit integer caches have one scale per token and head; here one per 64 elements counts.
_KV = {"fp16": "auto", "fp8": "fp8", "int8": "int8_per_token_head", "int4": "int4_per_token_head"}


def launch(advice: Advice, option: Option, repository: str) -> Launch:
    """`vllm serve`, with the planned GPU count, context, cache and batch."""
    memory, request = option.memory, advice.request
    computed = dtype(advice, option)
    share = f"{memory.usable / 1e9:.1f} GB for vLLM, {memory.sequences} sequences fit"
    flags = [
        ("--tensor-parallel-size", str(option.gpus), weights_reason(option)),
        ("--dtype", computed, f"products and activations in {computed}"),
        ("--kv-cache-dtype", _KV[option.kv], cache_reason(advice, option)),
        ("--max-model-len", str(request.context), "the planned context"),
        ("--gpu-memory-utilization", f"{request.reserve.utilization:g}", share),
        ("--max-num-seqs", str(option.batch or 1), batch_reason(advice, option)),
    ]
    options = [EngineOption(name=name, value=value, reason=reason) for name, value, reason in flags]
    method = quantization(advice, option)
    if method is not None:
        options.insert(1, method)
    remarks = warnings(advice, option)
    if option.kv in ("int8", "int4"):
        remarks.append(f"only vLLM releases of 2026 have {_KV[option.kv]}: check `vllm serve --help`")
    return Launch(
        engine="vllm",
        model=repository,
        start=("vllm", "serve"),
        options=tuple(options),
        warnings=tuple(remarks),
    )
