"""Scale and shift the rows of a matrix: one Triton kernel on a GPU, the same formula in torch on a CPU."""

import torch

from quantroof.declare import bench

try:
    import triton
    import triton.language as tl
except ImportError:
    triton = None

BLOCK = 1024

if triton is not None:

    @triton.jit
    def scale_shift_kernel(x, scale, shift, y, n, BLOCK: tl.constexpr):
        """One row per program."""
        row = tl.program_id(0)
        for start in range(0, n, BLOCK):
            columns = start + tl.arange(0, BLOCK)
            inside = columns < n
            value = tl.load(x + row * n + columns, inside)
            factor = tl.load(scale + columns, inside)
            tl.store(y + row * n + columns, value * factor + tl.load(shift + columns, inside), inside)


def formula(x, scale, shift):
    """What the kernel has to compute."""
    return x * scale + shift


@bench(
    args=["x: bf16[M, N]", "scale: bf16[N]", "shift: bf16[N]"],
    axes=["M=1,64", "N=8192"],
    dtype="bf16",
    bytes="4*M*N + 4*N",
    flops="2*M*N",
    reference="kernels.py:formula",
)
def scale_shift(x, scale, shift):
    """Launch the kernel."""
    if triton is None or x.device.type == "cpu":
        return formula(x, scale, shift)
    y = torch.empty_like(x)
    scale_shift_kernel[(x.shape[0],)](x, scale, shift, y, x.shape[1], BLOCK=BLOCK)
    return y
