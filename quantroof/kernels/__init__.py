"""What is run.

Number formats and cases, quantization and packing, and one folder per operation with the kernels of each
provider. Formats, cases and byte counts are torch-free; `quantize`, `problem` and the kernels need torch.
"""

__all__ = [
    "act_quant",
    "architectures",
    "attention",
    "block_scales",
    "calls",
    "case",
    "cases",
    "ceilings",
    "dequantize",
    "device",
    "experts",
    "foreign",
    "formats",
    "kernel",
    "layers",
    "linear",
    "model_operations",
    "packing",
    "problem",
    "program",
    "quantize",
    "reference",
    "registry",
    "requirements",
    "samples",
    "sass",
    "schemes",
    "sources",
    "stack",
    "stream",
]
