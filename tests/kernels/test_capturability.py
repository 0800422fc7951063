"""What a CUDA graph can hold: torch's kernels never wait for the host; and CUDA operators' shapes.

A dispatch mode watches the calls on CPU tensors; operators of a GPU are called with fake tensors.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from quantroof.hwprofiles.types import Device
from quantroof.kernels import registry
from quantroof.kernels.cases import Case
from quantroof.kernels.kernel import Kernel, Skip
from quantroof.kernels.linear.torch_fp8_blocks import multiplier, scales_of_activation, scales_of_weight
from quantroof.kernels.problem import Problem
from quantroof.kernels.quantize import Quantized
from quantroof.kernels.samples import sample_cases
from tests.hwprofiles.boards import h200

# Operators whose result the host must know, or whose shape depends on values: each waits for the device.
_SYNCHRONIZING = ("_local_scalar_dense", "nonzero", "is_nonzero", "masked_select", "unique", "equal")
_NOT_LINKED = "not linked with support for cuda"
_PROBED = ("scaled_mm", "int8pack", "int_mm", "int4pack")
CPU = Device(kind="cpu", index=0, name="test CPU", memory_bytes=4 << 30)


class NoSynchronization(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Fails on an operator that waits for the device, or that brings a tensor from one device to another."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Look at the name of each operator before it runs."""
        name = func.overloadpacket.__name__
        kwargs = kwargs or {}
        masked = name == "index" and any(i is not None and i.dtype == torch.bool for i in args[1])
        if masked or name.startswith(_SYNCHRONIZING):
            raise AssertionError(f"{name} waits for the device")
        if name == "_to_copy" and str(kwargs.get("device", "cpu")) != "cpu":
            raise AssertionError(f"{name} moves a tensor to {kwargs['device']}")
        return func(*args, **kwargs)


def _torch_cases() -> list[tuple[Kernel, Case]]:
    return [
        (kernel, case)
        for kernel in registry.load().for_providers(("torch",))
        for m in (1, 32)
        for case in sample_cases(kernel, m, 256, 512)
        if kernel.made_for(case, CPU) and kernel.check(case, CPU) is None
    ]


@pytest.mark.parametrize(
    ("kernel", "case"), _torch_cases(), ids=lambda value: getattr(value, "name", None) or value.id
)
def test_no_call_of_torch_waits_for_the_device(kernel: Kernel, case: Case) -> None:
    """What is captured must not synchronize: a graph of it could not be made."""
    prepared = kernel.build(Problem(case, CPU))
    if isinstance(prepared, Skip):
        pytest.skip(prepared.reason)
    prepared.call(*prepared.weights)
    with NoSynchronization():  # type: ignore[no-untyped-call]
        prepared.call(*prepared.weights)


@pytest.mark.parametrize(
    "call",
    [lambda x: float(x.sum()), lambda x: x[x > 0], lambda x: x.nonzero(), lambda x: bool((x > 0).any())],
    ids=["item", "mask", "nonzero", "bool"],
)
def test_a_call_that_waits_is_seen(call: Callable[[torch.Tensor], Any]) -> None:
    """The four usual ways to synchronize without meaning to."""
    mode = NoSynchronization()  # type: ignore[no-untyped-call]
    with mode, pytest.raises(AssertionError, match="waits for the device"):
        call(torch.ones(4))


def _gpu_only() -> list[tuple[Kernel, Case]]:
    device, found = h200(), []
    for kernel in registry.load().for_providers(("torch",)):
        if not any(word in kernel.name for word in _PROBED):
            continue
        cases = (case for m in (1, 16, 17, 128, 2048) for case in sample_cases(kernel, m, 512, 1024))
        made = [case for case in cases if kernel.made_for(case, device)]
        found += [(kernel, case) for case in made if kernel.check(case, device) is None]
    return found


@pytest.mark.parametrize(
    ("kernel", "case"), _gpu_only(), ids=lambda value: getattr(value, "name", None) or value.id
)
def test_cuda_operators_take_these_shapes(kernel: Kernel, case: Case) -> None:
    """Shapes, strides and types on fake tensors of a GPU: `call` returns [M, N] there."""
    real = Problem(case, CPU)
    _ = real.weight, real.activation, real.arriving  # quantized before fake tensors stand for them
    with FakeTensorMode():
        problem: Any = _on_gpu(real)
        try:
            prepared = kernel.build(problem)
        except RuntimeError as error:
            prepared = Skip(str(error))
        if isinstance(prepared, Skip) and _NOT_LINKED in prepared.reason:
            pytest.skip("its set-up copies, which fake tensors of a GPU need a torch with CUDA for")
        assert not isinstance(prepared, Skip), prepared.reason
        output = prepared.call(*prepared.weights)

    assert tuple(output.shape) == (case.m, case.n)
    assert output.device.type == "cuda"


@pytest.mark.parametrize("m", [1, 17, 2048])
def test_tinygemm_takes_the_layout_that_is_packed_for_it(m: int) -> None:
    """Packed int4 [N / 8, K / 128, 32, 4] of 8 inner tiles with scales and zeros [K / group, N, 2]."""
    with FakeTensorMode():
        x = torch.empty(m, 1024, dtype=torch.bfloat16, device="cuda")
        packed = torch.empty(512 // 8, 1024 // 128, 32, 4, dtype=torch.int32, device="cuda")
        scales = torch.empty(1024 // 128, 512, 2, dtype=torch.bfloat16, device="cuda")
        output = torch._weight_int4pack_mm(x, packed, 128, scales)

    assert (tuple(output.shape), output.dtype) == ((m, 512), torch.bfloat16)


@pytest.mark.parametrize("m", [1, 17, 2048])
def test_the_block_recipe_takes_the_scales_that_are_made_for_it(m: int) -> None:
    """x in groups of 128 along K, strides (1, M); w in blocks of 128 x 128, K / 128 padded to four."""
    with FakeTensorMode():
        multiply = multiplier()
        assert not isinstance(multiply, Skip)
        x = torch.empty(m, 1152, dtype=torch.float8_e4m3fn, device="cuda")
        w = torch.empty(512, 1152, dtype=torch.float8_e4m3fn, device="cuda")
        xs = torch.empty_strided((m, 9), (1, m), device="cuda")
        ws = torch.empty_strided((12, 4), (1, 12), device="cuda")
        output = multiply(x, xs, w, ws)
    real = scales_of_weight(torch.ones(4, 9)), scales_of_activation(torch.ones(m, 9))

    assert (tuple(output.shape), output.dtype) == ((m, 512), torch.bfloat16)
    assert [tuple(scales.shape) for scales in real] == [tuple(ws.shape), tuple(xs.shape)]
    assert [scales.stride() for scales in real] == [ws.stride(), xs.stride()]


def test_a_shape_that_an_operator_refuses_is_seen() -> None:
    """fp8 products need K in multiples of 16: the fake operator says so as the real one does."""
    with FakeTensorMode():
        x = torch.empty(32, 24, dtype=torch.float8_e4m3fn, device="cuda")
        one = torch.ones(1, device="cuda")
        with pytest.raises((RuntimeError, ValueError)):
            torch._scaled_mm(x, torch.empty_like(x).t(), scale_a=one, scale_b=one)


def _on_gpu(real: Problem) -> SimpleNamespace:
    """A problem with the shapes, strides and types of a real one, on fake tensors of a GPU."""
    return SimpleNamespace(
        case=real.case,
        device=h200(),
        seed=0,
        torch_device=torch.device("cuda", 0),
        weight=_moved(real.weight),
        activation=_moved(real.activation),
        arriving=_fake(real.arriving),
    )


def _moved(quantized: Quantized) -> Quantized:
    values = {field.name: getattr(quantized, field.name) for field in dataclasses.fields(quantized)}
    tensors: dict[str, Any] = {
        name: _fake(value) for name, value in values.items() if isinstance(value, torch.Tensor)
    }
    return dataclasses.replace(quantized, **tensors)


def _fake(tensor: torch.Tensor) -> torch.Tensor:
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="cuda")
