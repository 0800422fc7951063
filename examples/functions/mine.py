"""Functions to try `quantroof bench` on: docs/bench.md."""

import torch

from quantroof.declare import bench


@bench(args=["x: bf16[M, N]", "dim = -1"], axes=["M=1,256", "N=4096"], dtype="bf16", reference="exact")
def softmax(x, dim):
    """Softmax in three steps, to race against `torch.softmax`."""
    e = torch.exp(x - x.amax(dim, keepdim=True))
    return e / e.sum(dim, keepdim=True)


def exact(x, dim):
    """What softmax has to compute."""
    return torch.softmax(x, dim)


def add(x, y):
    """A sum: bound by memory at every size."""
    return x + y
