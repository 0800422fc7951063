"""Kernels that misbehave, for `--kernel`: each does one thing a third party's kernel has been seen to do."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

import triton
import triton.language as tl

from quantroof.kernels.kernel import Kernel, Prepared, Skip
from quantroof.kernels.problem import Problem


def _kernel(name: str, misbehave: Callable[[Any], Any]) -> Kernel:
    def build(problem: Problem) -> Prepared:
        import torch

        x = problem.arriving

        def call(w: torch.Tensor) -> torch.Tensor:
            y = torch.nn.functional.linear(x, w)
            answer: torch.Tensor = misbehave(y)
            return answer

        return Prepared((problem.weight.codes,), call)

    return Kernel(f"faulty.{name}", "faulty", ("fp32",), build)


def _segfault(_: Any) -> None:
    ctypes.string_at(0)


def _exhaust(_: Any) -> Any:
    import torch

    return torch.empty(1 << 60, dtype=torch.uint8)


def _fork(y: Any) -> Any:
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(600)
        os._exit(0)
    return y


def _stubborn(y: Any) -> Any:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(600)
    return y


def _print(y: Any) -> Any:
    print('{"message": "result", "measurement": "garbage"}')
    sys.stdout.flush()
    os.write(1, b"\x00\xff garbage \n")
    return y


def _raise(_: Any) -> Any:
    raise RuntimeError("kernel says no\nwith a second line")


def _spoil(problem: Problem) -> Prepared:
    problem.weight.codes.zero_()
    raise RuntimeError("gave up after writing into its operands")


def _refuse(_: Problem) -> Skip:
    return Skip("only the library knows why")


@triton.jit
def undefined_name(x):  # type: ignore[no-untyped-def]
    """Names something that exists nowhere: Triton refuses to compile it."""
    tl.store(x, nowhere_defined)  # type: ignore[name-defined]  # noqa: F821


SEGFAULT = _kernel("segfault", _segfault)
EXIT = _kernel("exit", lambda _: os._exit(1))
HANG = _kernel("hang", _stubborn)
EXHAUST = _kernel("exhaust", _exhaust)
WRONG = _kernel("wrong", lambda y: y * 1.5)
NAN = _kernel("nan", lambda y: y * float("nan"))
PRINT = _kernel("print", _print)
FORK = _kernel("fork", _fork)
RAISE = _kernel("raise", _raise)
SPOIL = Kernel("faulty.spoil", "faulty", ("fp32",), _spoil)
REFUSE = Kernel("faulty.refuse", "faulty", ("fp32",), _refuse)
