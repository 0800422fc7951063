"""The arguments of one case of a call, as tensors and numbers on one device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from quantroof.kernels.calls.arguments import TORCH_DTYPES, ScalarArgument, TensorArgument
from quantroof.kernels.calls.call import Call
from quantroof.kernels.calls.signature import takes_by_name
from quantroof.kernels.cases import CallCase

DTYPES = {name: getattr(torch, own) for name, own in TORCH_DTYPES.items()}


@dataclass(frozen=True)
class CallData:
    """What a function is called with in one case: `tensors` in order, and numbers by name."""

    call: Call
    case: CallCase
    device: torch.device
    tensors: tuple[torch.Tensor, ...]

    @classmethod
    def made(cls, call: Call, case: CallCase, device: torch.device, seed: int) -> CallData:
        """Fill the arguments by a seed; every one has data of its own."""
        names = dict(case.axes)
        generator = torch.Generator(device).manual_seed(seed)
        return cls(call, case, device, tuple(_filled(a, names, device, generator) for a in call.tensors))

    def again(self, seed: int) -> CallData:
        """The same arguments with other values."""
        return CallData.made(self.call, self.case, self.device, seed)

    @property
    def written(self) -> tuple[int, ...]:
        """The places of the tensors that the function writes its result into."""
        return tuple(i for i, argument in enumerate(self.call.tensors) if argument.fill == "out")

    @property
    def total_bytes(self) -> int:
        """Bytes of all tensors, results included."""
        return sum(tensor.numel() * tensor.element_size() for tensor in self.tensors)

    def bound(self, function: Callable[..., Any], *, results: bool = True) -> Callable[..., Any]:
        """The function of the tensors alone; numbers are passed by name. A reference takes no `results`."""
        arguments = [a for a in self.call.arguments if results or getattr(a, "fill", "") != "out"]
        names = [a.name for a in arguments if isinstance(a, TensorArgument)]
        numbers = {a.name: a.value(dict(self.case.axes)) for a in arguments if isinstance(a, ScalarArgument)}
        if not numbers:
            return function
        if takes_by_name(function, [a.name for a in arguments]):
            return lambda *tensors: function(**dict(zip(names, tensors, strict=True)), **numbers)
        return lambda *tensors: function(*tensors, **numbers)

    def in_fp64(self) -> tuple[torch.Tensor, ...]:
        """Copies of the tensors for a reference: floating-point ones in fp64, without the results."""
        own = (t for place, t in enumerate(self.tensors) if place not in self.written)
        return tuple(t.double() if t.is_floating_point() else t.clone() for t in own)


def _filled(
    argument: TensorArgument, names: dict[str, int], device: torch.device, generator: torch.Generator
) -> torch.Tensor:
    sizes, dtype = argument.sizes(names), DTYPES[argument.dtype]
    match argument.fill:
        case "normal":
            return torch.randn(sizes, generator=generator, device=device).to(dtype)
        case "uniform":
            return torch.rand(sizes, generator=generator, device=device).to(dtype)
        case "index":
            drawn = torch.randint(max(argument.limit_at(names), 1), sizes, generator=generator, device=device)
            return drawn.to(dtype)
        case "arange":
            total = int(torch.Size(sizes).numel())
            return torch.arange(total, device=device).reshape(sizes).to(dtype)
        case "out":
            value = float("nan") if dtype.is_floating_point else 0
            return torch.full(sizes, value, device=device).to(dtype)
        case fill:
            return torch.full(sizes, 1.0 if fill == "ones" else 0.0, device=device).to(dtype)
