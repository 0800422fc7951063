"""The TensorRT-LLM command of an option (`trtllm-serve`, PyTorch backend)."""

from __future__ import annotations

from quantroof.advisor.advice import Advice, Option
from quantroof.advisor.launch import (
    ON_LOAD,
    EngineOption,
    Launch,
    batch_reason,
    cache_reason,
    warnings,
    weights_reason,
)
from quantroof.errors import UsageError

_LEAST_CAPABILITY = (8, 0)
_NOT_SERVED = ("int8-w8a8", "int8-w8a16", "int4-actorder-w4a16")
_CACHE_FILE = "kv_cache.yaml"


def launch(advice: Advice, option: Option, repository: str) -> Launch:
    """`trtllm-serve`; UsageError for formats and GPUs that it does not serve."""
    machine = advice.machine
    if machine.capability is None or machine.capability < _LEAST_CAPABILITY:
        raise UsageError(f"TensorRT-LLM does not run on {machine.name}")
    stored = option.format == advice.model.native_format or repository in dict(advice.model.checkpoints)
    if option.format in ON_LOAD and not stored:
        raise UsageError(
            f"TensorRT-LLM does not quantize on load, and {repository} is a 16-bit checkpoint",
            hint="name an FP8 copy with --model (ModelOpt), or take fp8-w8a8-static",
        )
    if option.format in _NOT_SERVED:
        raise UsageError(f"TensorRT-LLM's PyTorch backend does not serve {option.format}")
    if option.kv not in ("fp16", "fp8"):
        raise UsageError(f"TensorRT-LLM has no {option.kv} cache", hint="--kv fp16 or fp8")
    return Launch(
        engine="trtllm",
        model=repository,
        start=("trtllm-serve",),
        options=tuple(_options(advice, option)),
        warnings=(*_cache_remarks(option), *warnings(advice, option)),
    )


def _options(advice: Advice, option: Option) -> list[EngineOption]:
    memory = option.memory
    free = advice.machine.memory_bytes - memory.weights - memory.runtime
    share = max(memory.left_for_kv, 0.0) / free
    flags = [
        ("--tp_size", str(option.gpus), weights_reason(option)),
        ("--max_seq_len", str(advice.request.context), "the planned context"),
        ("--max_batch_size", str(option.batch or 1), batch_reason(advice, option)),
        (
            "--kv_cache_free_gpu_memory_fraction",
            f"{share:.2f}",
            f"of what the weights leave; {memory.sequences} sequences fit",
        ),
    ]
    if option.kv == "fp8":
        flags.append(("--config", _CACHE_FILE, cache_reason(advice, option)))
    return [EngineOption(name=name, value=value, reason=reason) for name, value, reason in flags]


def _cache_remarks(option: Option) -> list[str]:
    """trtllm-serve reads the format of the cache from a file only."""
    return [f"{_CACHE_FILE} holds one line: kv_cache_config: {{dtype: fp8}}"] if option.kv == "fp8" else []
