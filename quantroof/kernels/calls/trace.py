"""The launches of a user's function, recorded without a GPU: it is called with tensors that have no data.

torch computes shapes only, and a launch of a Triton kernel is recorded, not executed. A function that
reads values from its tensors, or queries the driver, cannot be traced; its source is compared instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from quantroof.kernels.calls.arguments import TORCH_DTYPES, ScalarArgument, TensorArgument
from quantroof.kernels.calls.call import Call
from quantroof.kernels.cases import CallCase

_MOST_LAUNCHES = 64
_FREE = ("aten.empty", "aten.new_empty", "aten.detach", "aten.alias", "prim.", "aten.set_")


@dataclass(frozen=True, slots=True)
class Launch:
    """One Triton launch: its grid, and every input that determines its machine code."""

    function: Any
    grid: tuple[int, ...]
    signature: dict[str, str]
    constants: dict[Any, Any]
    attributes: dict[Any, Any]
    options: Any

    def compiled(self, arch_number: int) -> tuple[bytes, int]:
        """The cubin, and the shared memory that a launch requests."""
        import triton
        from triton.backends.compiler import GPUTarget
        from triton.compiler import ASTSource

        source = ASTSource(self.function, self.signature, self.constants, self.attributes)
        target = GPUTarget("cuda", arch_number, 32)
        compiled = triton.compile(source, target=target, options=self.options.__dict__)
        return compiled.asm["cubin"], int(compiled.metadata.shared)

    @property
    def described(self) -> dict[str, Any]:
        """The arguments of a launch besides its tensors, as text for the comparison of two sides."""
        names = list(self.signature)
        aligned = {path[0] for path, attribute in self.attributes.items() if attribute}
        arguments = [
            f"{kind}:16" if place in aligned else kind
            for place, kind in enumerate(self.signature.values())
            if kind != "constexpr"
        ]
        constants = {names[path[0]]: str(value) for path, value in self.constants.items()}
        return {
            "function": self.function.fn.__name__,
            "grid": list(self.grid),
            "warps": self.options.num_warps,
            "stages": self.options.num_stages,
            "arguments": arguments,
            "constants": dict(sorted(constants.items())),
        }


@dataclass(slots=True)
class Trace:
    """What one call does on the GPU, in order: operators of torch as text, and launches."""

    operators: list[str] = field(default_factory=list)
    launches: list[Launch] = field(default_factory=list)


def traced(function: Callable[[], Callable[..., Any]], call: Call, case: CallCase, device: Any) -> Trace:
    """Load a function and call it once with the tensors of a case. Its exceptions pass through."""
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode

    trace = Trace()
    with _gpu_stands_in(trace, device):
        loaded = function()  # a module may ask the driver when it is imported
        fake = FakeTensorMode(allow_non_fake_inputs=True)
        with fake, _recorder(trace), _indexing(), torch.no_grad():
            loaded(*_tensors(call, case), **_numbers(call, case))
    return trace


def _tensors(call: Call, case: CallCase) -> list[Any]:
    import torch

    names = dict(case.axes)
    return [
        torch.empty(a.sizes(names), dtype=getattr(torch, TORCH_DTYPES[a.dtype]), device="cuda")
        for a in call.arguments
        if isinstance(a, TensorArgument)
    ]


def _numbers(call: Call, case: CallCase) -> dict[str, Any]:
    return {a.name: a.value(dict(case.axes)) for a in call.arguments if isinstance(a, ScalarArgument)}


def _indexing() -> AbstractContextManager[Any]:
    import torch

    from quantroof.kernels.calls.indexing import ViewIndexing

    return nullcontext() if torch.version.cuda else ViewIndexing()


def _recorder(trace: Trace) -> Any:
    from torch.utils._python_dispatch import TorchDispatchMode

    class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            name = str(func)
            if not name.startswith(_FREE) and not getattr(func, "is_view", False):
                trace.operators.append(f"{name}({', '.join(map(_text, (*args, *(kwargs or {}).values())))})")
            return func(*args, **(kwargs or {}))

    return Recorder()  # type: ignore[no-untyped-call]


def _text(value: Any) -> str:
    import torch

    if isinstance(value, torch.Tensor):
        return f"{str(value.dtype).removeprefix('torch.')}{list(value.shape)}{list(value.stride())}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_text, value))}]"
    return str(value)


@contextmanager
def _gpu_stands_in(trace: Trace, device: Any) -> Iterator[None]:
    """A Triton driver that needs no GPU, and torch's properties of the device that is compiled for."""
    import torch
    from triton.runtime import autotuner, driver
    from triton.runtime.jit import JITFunction

    major, minor = device.capability
    properties = SimpleNamespace(
        name=device.device, major=major, minor=minor, multi_processor_count=device.sm_count, warp_size=32
    )
    answers: dict[str, Any] = {
        "get_device_capability": lambda _device=None: (major, minor),
        "get_device_properties": lambda _device=None: properties,
        "get_device_name": lambda _device=None: device.device,
        "current_device": lambda: 0,
        "device_count": lambda: 1,
        "device": lambda _device=None: nullcontext(),
        "synchronize": lambda _device=None: None,
    }
    with ExitStack() as stack:
        for name, answer in answers.items():
            stack.enter_context(patch.object(torch.cuda, name, answer))
        before = getattr(driver, "_active", None)
        driver.set_active(_driver(device))
        stack.callback(setattr, driver, "_active", before)
        stack.enter_context(patch.object(JITFunction, "run", _record_into(trace)))
        stack.enter_context(patch.object(autotuner.Autotuner, "run", _every_configuration))
        yield


def _driver(device: Any) -> Any:
    import torch
    from triton.backends.compiler import GPUTarget

    major, minor = device.capability
    utilities = SimpleNamespace(
        get_device_properties=lambda _device: {
            "multiprocessor_count": device.sm_count, "max_shared_mem": 1 << 20, "warpSize": 32,
            "max_num_regs": 1 << 16, "max_threads_per_sm": 2048,
        }
    )  # fmt: skip
    return SimpleNamespace(
        get_current_target=lambda: GPUTarget("cuda", major * 10 + minor, 32),
        get_current_device=lambda: 0,
        get_current_stream=lambda _device=0: 0,
        get_active_torch_device=lambda: torch.device("cuda", 0),
        get_device_capability=lambda _device=0: (major, minor),
        get_device_interface=lambda: torch.cuda,
        utils=utilities,
    )


def _record_into(trace: Trace) -> Callable[..., None]:
    def run(self: Any, *args: Any, grid: Any, warmup: bool = False, **kwargs: Any) -> None:  # noqa: ARG001 - Triton's signature
        if len(trace.launches) >= _MOST_LAUNCHES:
            raise RuntimeError(f"it makes more than {_MOST_LAUNCHES} launches")
        kwargs.setdefault("debug", bool(self.debug))
        _, _, _, backend, binder = self.device_caches[0]
        bound, specialization, options = binder(
            *map(_stand_in, args), **{name: _stand_in(value) for name, value in kwargs.items()}
        )
        options, signature, constants, attributes = self._pack_args(
            backend, kwargs, bound, specialization, options
        )
        real = {**bound, **dict(zip(self.arg_names, args, strict=False)), **kwargs}
        sizes = grid(real) if callable(grid) else grid
        trace.launches.append(
            Launch(self, tuple(int(n) for n in sizes), signature, constants, attributes, options)
        )

    return run


def _stand_in(value: Any) -> Any:
    """Replaces a tensor without data: Triton specializes a launch by its type and its alignment."""
    import torch

    if not isinstance(value, torch.Tensor):
        return value
    offset = int(value.storage_offset()) * value.element_size()
    return SimpleNamespace(dtype=value.dtype, data_ptr=lambda: offset)


def _every_configuration(self: Any, *args: Any, **kwargs: Any) -> None:
    """All configurations of an autotuner, because it may launch any of them after timing them."""
    self.nargs = dict(zip(self.arg_names, args, strict=False))
    for configuration in self.prune_configs(kwargs) if len(self.configs) > 1 else self.configs:
        arguments = configuration.all_kwargs()
        if configuration.pre_hook is not None:
            configuration.pre_hook({**self.nargs, **kwargs, **arguments})
        self.fn.run(*args, **kwargs, **arguments)
    self.nargs = None
