"""Give a model activation outliers without changing what it computes.

Large models have a few channels 10 to 100 times the usual size at the input of their linear layers; a small
one trained briefly has none. Multiplying weights of an RMSNorm and dividing the matching input columns of the
layers it feeds leaves the function as it is and makes those channels large, which is what quantized
activations stumble over. It is SmoothQuant's transformation (arXiv 2211.10438) run backwards.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from quantroof.errors import UsageError

FACTOR = 60.0
CHANNELS = 3
# Norm and the linear layers that read it, in decoder layers of the Llama family (Llama, Mistral, Qwen2/3).
_FED_BY = {
    "input_layernorm": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "post_attention_layernorm": ("mlp.gate_proj", "mlp.up_proj"),
}


@torch.no_grad()
def induce_outliers(
    model: torch.nn.Module, factor: float = FACTOR, channels: int = CHANNELS, seed: int = 0
) -> int:
    """Multiply `channels` channels behind every norm of every layer by `factor`, in place.

    Returns how many norms were changed. The product stays the same up to rounding in the model's dtype, so do
    it in fp32. UsageError for a model without such norms.
    """
    generator = torch.Generator().manual_seed(seed)
    changed = 0
    for norm, linears in _norms_and_readers(model):
        picks = torch.randperm(norm.numel(), generator=generator)[:channels]
        norm[picks] *= factor
        for weight in linears:
            weight[:, picks] /= factor
        changed += 1
    if changed == 0:
        raise UsageError(
            f"{type(model).__name__} has no norms of the Llama family to scale",
            hint="leave the outliers out: --variants base",
        )
    return changed


def _norms_and_readers(model: torch.nn.Module) -> Iterator[tuple[torch.Tensor, list[torch.Tensor]]]:
    for layer in model.modules():
        for norm_name, readers in _FED_BY.items():
            norm = getattr(layer, norm_name, None)
            if isinstance(norm, torch.nn.Module) and isinstance(norm.weight, torch.Tensor):
                yield norm.weight.data, [layer.get_parameter(f"{name}.weight").data for name in readers]
