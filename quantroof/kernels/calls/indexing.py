"""Indexing of tensors without data, for a torch that is built without CUDA: such a build refuses `x[1:]`."""

from __future__ import annotations

from types import EllipsisType
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


class ViewIndexing(TorchFunctionMode):
    """Integers, slices, None and `...` as the views that torch makes of them; other indices go to torch."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Replace reading and writing of an item."""
        reads, writes = func is torch.Tensor.__getitem__, func is torch.Tensor.__setitem__
        if not reads and not writes:
            return func(*args, **(kwargs or {}))
        index = args[1] if isinstance(args[1], tuple) else (args[1],)
        if any(isinstance(one, bool) or not isinstance(one, _BASIC) for one in index):
            return func(*args, **(kwargs or {}))
        view = _view(args[0], index)
        if reads:
            return view
        return view.copy_(args[2]) if isinstance(args[2], torch.Tensor) else view.fill_(args[2])


_BASIC = (int, slice, type(None), EllipsisType)


def _view(tensor: torch.Tensor, index: tuple[Any, ...]) -> Any:
    named = sum(isinstance(one, int | slice) for one in index)
    view, place = torch.ops.aten.alias.default(tensor), 0
    for one in index:
        if one is None:
            view, place = torch.ops.aten.unsqueeze.default(view, place), place + 1
        elif one is ...:
            place += tensor.dim() - named
        elif isinstance(one, slice):
            view = torch.ops.aten.slice.Tensor(view, place, one.start, one.stop, one.step or 1)
            place += 1
        else:
            view = torch.ops.aten.select.int(view, place, one)
    return view
