"""What a kernel from outside may not change: the data it is given, and the worker that measures others too.

Compared before and after. On a change the kernel's record loses its time and names the change, and the run
replaces the worker, so that the next kernel begins with everything as it was.
"""

from __future__ import annotations

import gc
import os
import resource
import signal
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import psutil
import torch

from quantroof.bench.workers.parent import COPY_RETURNED
from quantroof.kernels.problem import Problem

CHANGED = "it changed the process that measured it"
CHANGED_DATA = "it wrote into its operands:"
_SHOWN = 4
_COMPILE_WORKER = "torch/_inductor/compile_worker"  # of torch.compile, at rest while we time
_TIME = ("perf_counter", "perf_counter_ns", "monotonic", "monotonic_ns", "time", "time_ns", "process_time")
_TORCH = (
    *("randn", "rand", "zeros", "empty", "full", "tensor", "equal", "isfinite", "where", "bucketize"),
    *("matmul", "mm", "_int_mm", "_scaled_mm", "_weight_int8pack_mm", "argsort", "Generator", "Tensor"),
)
_TENSOR = ("double", "float", "to", "copy_", "clone", "norm", "abs", "max", "all", "view", "data_ptr")
_TENSOR_OPERATORS = ("__matmul__", "__mul__", "__sub__", "__getitem__", "__setitem__")
_OPERATORS = ("linear", "matmul", "mm", "addmm", "bmm", "mul", "add", "copy_", "clone", "_int_mm")
_FUNCTIONAL = ("linear", "pad")
_CUDA = ("Event", "Stream", "CUDAGraph", "synchronize", "_sleep", "stream", "current_stream")


class Guard:
    """The state of the worker and of a problem's data, if it has one, when it is made."""

    def __init__(self, problem: Problem | None) -> None:
        self._problem = problem
        self._data = dict(_data(problem))
        self._state = {**dict(_settings()), **dict(_process())}
        self._code = dict(_code())
        self._threads = set(threading.enumerate())
        self._children = set(psutil.Process().children(recursive=True))

    def changed_data(self) -> str | None:
        """Which of the operands were written into, or None."""
        names = [name for name, value in _data(self._problem) if self._data.get(name) != value]
        return f"{CHANGED_DATA} {' and '.join(names)}" if names else None

    def changed_worker(self) -> str | None:
        """What is not as it was in this process, or None. What was started and still runs is ended."""
        state = {**dict(_settings()), **dict(_process())}
        changes = [_change(n, old, state.get(n)) for n, old in self._state.items() if state.get(n) != old]
        code = dict(_code())
        changes += [f"{name} replaced" for name, old in self._code.items() if code.get(name) is not old]
        threads = [t for t in threading.enumerate() if t not in self._threads and not _of_a_compiler(t)]
        changes += [f"thread {_short(thread.name)} left running" for thread in threads]
        changes += list(_ended_children(self._children))
        if not changes:
            return None
        more = f" and {len(changes) - _SHOWN} more" if len(changes) > _SHOWN else ""
        return f"{CHANGED}: {', '.join(changes[:_SHOWN])}{more}"


def _data(problem: Problem | None) -> Iterator[tuple[str, int]]:
    """Checksums of everything that a kernel is given."""
    if problem is None:
        return
    weight, activation = problem.weight, problem.activation
    parts = {
        "activations": (problem.source, problem.arriving, activation.codes, activation.scales),
        "weights": (problem.weights.source, weight.codes, weight.scales, weight.zeros, weight.order),
    }
    for name, tensors in parts.items():
        value = 0
        for tensor in tensors:
            if tensor is not None:
                value = zlib.crc32(_bytes(tensor), value)
        yield name, value


def _bytes(tensor: torch.Tensor) -> Any:
    flat = tensor.detach().contiguous().reshape(-1).view(torch.uint8).cpu()
    return flat.numpy()


def _settings() -> Iterator[tuple[str, Any]]:
    """Settings of torch that every later kernel meets."""
    yield "default dtype", torch.get_default_dtype()
    yield "default device", str(torch.get_default_device())
    yield "number of threads", torch.get_num_threads()
    yield "float32 matmul precision", torch.get_float32_matmul_precision()
    yield "deterministic algorithms", torch.are_deterministic_algorithms_enabled()
    yield "grad mode", torch.is_grad_enabled()
    yield "inference mode", torch.is_inference_mode_enabled()
    yield "autocast", (torch.is_autocast_enabled("cpu"), torch.is_autocast_enabled("cuda"))
    yield "oneDNN", torch.backends.mkldnn.enabled
    yield "tf32 flags", (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32)
    yield "kernels of torch's operators", tuple(map(_registered, _OPERATORS))
    # The smallest normal number halved is 0 where denormals are flushed.
    yield (
        "flushed denormals",
        float(torch.tensor([1.1754944e-38], dtype=torch.float32, device="cpu").mul(0.5)[0]) == 0.0,
    )


def _registered(operator: str) -> tuple[str, ...]:
    """Where the kernels of an operator come from, by device, as torch's dispatcher has them."""
    dump: str = torch._C._dispatch_dump(f"aten::{operator}")  # noqa: SLF001 - there is no public one
    lines = dump.splitlines()
    return tuple(line for line in lines if line.startswith(("CPU:", "CUDA:")))


def _process() -> Iterator[tuple[str, Any]]:
    """What the operating system and the interpreter keep for this process."""
    yield "affinity", frozenset(os.sched_getaffinity(0))
    yield "niceness", os.nice(0)
    yield "working directory", _or_none(os.getcwd)
    yield "environment variables", dict(os.environ)
    yield "garbage collector", gc.isenabled()
    yield "recursion limit", sys.getrecursionlimit()
    yield "switch interval", sys.getswitchinterval()
    yield "tracing", (sys.gettrace(), sys.getprofile())
    yield "standard output and error", (_stream(1, sys.stdout), _stream(2, sys.stderr))
    limits = [name for name in dir(resource) if name.startswith("RLIMIT_")]
    yield "resource limits", tuple(resource.getrlimit(getattr(resource, name)) for name in limits)
    handled = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}
    yield "signal handlers", tuple(signal.getsignal(number) for number in sorted(handled))
    timers = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)
    yield "alarms", tuple(signal.getitimer(which)[0] > 0 for which in timers)


def _stream(number: int, stream: Any) -> tuple[Any, ...]:
    status = _or_none(lambda: os.fstat(number))
    return (status and (status.st_dev, status.st_ino), id(stream), getattr(stream, "closed", True))


def _or_none(ask: Any) -> Any:
    with suppress(OSError):
        return ask()
    return None


def _code() -> Iterator[tuple[str, Any]]:
    """The functions and classes that measuring goes through, by name: ours, the clocks, some of torch."""
    tensor, functional = torch.Tensor, torch.nn.functional
    for owner, label, names in (
        (time, "time", _TIME),
        (torch, "torch", _TORCH),
        (tensor, "torch.Tensor", (*_TENSOR, *_TENSOR_OPERATORS)),
        (functional, "torch.nn.functional", _FUNCTIONAL),
        (torch.cuda, "torch.cuda", _CUDA),
        (torch.cuda.Event, "torch.cuda.Event", ("record", "elapsed_time", "synchronize")),
    ):
        for name in names:
            yield f"{label}.{name}", getattr(owner, name, None)
    for module_name, module in list(sys.modules.items()):
        if module_name.startswith("quantroof."):
            yield from _code_of(module_name, vars(module))


def _code_of(prefix: str, names: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in list(names.items()):
        if isinstance(value, type) and value.__module__ == prefix:
            yield f"{prefix}.{name}", value
            for attribute, member in list(vars(value).items()):
                if callable(member):
                    yield f"{prefix}.{name}.{attribute}", getattr(member, "__code__", member)
        elif callable(value):
            yield f"{prefix}.{name}", value
            if hasattr(value, "__code__"):
                yield f"the code of {prefix}.{name}", value.__code__


def _of_a_compiler(thread: threading.Thread) -> bool:
    """Whether torch or Triton started a thread, as for the pool that compiles: it rests while we time."""
    target = getattr(thread, "_target", None)
    module = str(getattr(target, "__module__", type(thread).__module__))
    return module.startswith(("torch.", "triton."))


def _ended_children(before: set[psutil.Process]) -> Iterator[str]:
    """Processes that were started since `before` and still run, killed here, and copies that returned."""
    for child in set(psutil.Process().children(recursive=True)) - before:
        with suppress(psutil.Error):
            if child.status() == psutil.STATUS_ZOMBIE:
                if child.wait(0.1) == COPY_RETURNED:
                    yield "a copy of it went on measuring"
                continue
            if any(_COMPILE_WORKER in argument for argument in child.cmdline()):
                continue
            name = child.name()
            child.kill()
            yield f"process {_short(name)} left running"


def _change(name: str, old: Any, new: Any) -> str:
    simple = isinstance(old, str | int | float | bool | torch.dtype)
    return f"{name} ({_short(old)} to {_short(new)})" if simple else name


def _short(value: Any) -> str:
    text = ascii(value) if not isinstance(value, str) else ascii(value)[1:-1]
    return text if len(text) <= 40 else f"{text[:37]}..."
