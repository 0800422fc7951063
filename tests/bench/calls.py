"""Functions of a user's own, for tests: honest ones, and ones that err or cheat."""

from __future__ import annotations

import torch

_KEPT: dict[int, torch.Tensor] = {}


def honest(x: torch.Tensor, scale: float = 1.0) -> torch.Tensor:
    """Softmax of rows, written out."""
    e = (x * scale - (x * scale).amax(-1, keepdim=True)).exp()
    return e / e.sum(-1, keepdim=True)


def exact(x: torch.Tensor, scale: float = 1.0) -> torch.Tensor:
    """The expected result."""
    return torch.softmax(x * scale, -1)


def writes(x: torch.Tensor, y: torch.Tensor) -> None:
    """Writes its result into an argument."""
    torch.softmax(x, -1, out=y)


def half(x: torch.Tensor, y: torch.Tensor) -> None:
    """Writes half of its result."""
    rows = x.shape[0] // 2
    y[:rows] = torch.softmax(x[:rows], -1)


def wrong(x: torch.Tensor) -> torch.Tensor:
    """Forgets to divide."""
    return x.exp()


def cached(x: torch.Tensor) -> torch.Tensor:
    """Returns what it computed for these pointers before."""
    return _KEPT.setdefault(x.data_ptr(), torch.softmax(x, -1))


def in_place(x: torch.Tensor) -> torch.Tensor:
    """Writes into what it is given."""
    return x.mul_(0.5)


def nothing(x: torch.Tensor) -> None:
    """Returns nothing."""
    x.sum()


def raises(x: torch.Tensor) -> torch.Tensor:
    """Raises."""
    raise RuntimeError("no such layout")


def leaves(x: torch.Tensor) -> torch.Tensor:
    """Ends the program."""
    raise SystemExit(3)
