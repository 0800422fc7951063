"""What is run.

Number formats and cases, quantization and packing, and one folder per operation with the kernels of each
provider. Formats, cases and byte counts are torch-free; `quantize`, `problem` and the kernels need torch.
"""

__all__ = [
    "act_quant",
    "block_scales",
    "calls",
    "cases",
    "ceilings",
    "dequantize",
    "device",
    "foreign",
    "formats",
    "kernel",
    "layers",
    "linear",
    "packing",
    "problem",
    "program",
    "quantize",
    "reference",
    "registry",
    "requirements",
    "sass",
    "schemes",
    "sources",
    "stack",
    "stream",
]
