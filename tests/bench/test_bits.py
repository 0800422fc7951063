"""Exact products: proved, repeated, compared bit by bit; planted flips are found, and nothing else is."""

from __future__ import annotations

import dataclasses
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial

import pytest
import torch

from quantroof.analysis.bits import judge_bits
from quantroof.bench.bits import products, run
from quantroof.bench.bits.products import ProductName, Shape, WrongReference, differing, product
from quantroof.bench.bits.repeat import Counter, counter, repeated
from quantroof.hwprofiles.detect import detect
from quantroof.hwprofiles.select import select
from quantroof.hwprofiles.types import Device
from quantroof.records.lines import Bits, DeviceState
from tests.builders import gpu_device

CPU = Device(kind="cpu", index=0, name="CPU")
MILLION: Shape = (1000, 1000, 64)
WARM = DeviceState(sm_clock_mhz=1755.0, sm_clock_source="nvml", temperature_c=61.0)


def made(name: ProductName, shape: Shape) -> Counter:
    """A product of this process's CPU, ready to be repeated."""
    ready = counter(name, shape, CPU, torch.device("cpu"))
    assert isinstance(ready, Counter)
    return ready


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small products on several threads mostly wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def times(count: int) -> Callable[[], bool]:
    """More, for so many repeats."""
    left = iter(range(count - 1))
    return lambda: next(left, None) is not None


def flipped(values: torch.Tensor, place: int, bit: int) -> torch.Tensor:
    """A copy with one bit of one output flipped."""
    copy = values.clone()
    words = copy.view(torch.int16 if copy.dtype == torch.bfloat16 else torch.int32).view(-1)
    words[place] ^= torch.tensor(1, dtype=words.dtype) << bit
    return copy


def found_flips(count: int, name: ProductName) -> int:
    """How many of `count` repeats with one flipped bit in a million outputs are found, each at its place."""
    one, seeded = made(name, MILLION), random.Random(5)
    honest, found = one.product, 0
    for _ in range(count):
        place, bit = seeded.randrange(1_000_000), seeded.randrange(15 if name == "bf16" else 31)
        wrong = flipped(honest.expected, place, bit)
        one.product = dataclasses.replace(honest, compute=partial(torch.clone, wrong))
        one.record = Bits(device="cpu:0", product=name, status="ok")
        one.repeat(lambda: WARM)
        first = one.record.first
        found += first is not None and (first.row, first.column) == divmod(place, 1000)
    return found


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("int8", 5),
        ("bf16", 5),
        pytest.param("int8", 100, marks=pytest.mark.long),
        pytest.param("bf16", 100, marks=pytest.mark.long),
    ],
)
def test_one_flipped_bit_in_a_million_outputs_is_always_found(name: ProductName, count: int) -> None:
    """Any bit of any output, at the row and column where it was planted."""
    assert found_flips(count, name) == count


@pytest.mark.parametrize("repeats", [200, pytest.param(5_000, marks=pytest.mark.long)])
def test_honest_repeats_never_differ(repeats: int) -> None:
    """Both products in turn: 10,000 repeats in the long test, and none is called wrong."""
    counters = [made("int8", (64, 64, 64)), made("bf16", (64, 64, 64))]
    repeated(counters, lambda: None, times(2 * repeats))

    assert sum(one.record.repeats for one in counters) == 2 * repeats
    assert [(one.record.status, one.record.wrong_repeats) for one in counters] == [("ok", 0), ("ok", 0)]


@pytest.mark.parametrize("name", ["int8", "bf16"])
def test_products_are_exact(name: ProductName) -> None:
    """The result is that of whole numbers, in any order of the sums; equal seeds give equal operands."""
    one, same = (product(name, (48, 40, 96), 3, torch.device("cpu")) for _ in range(2))
    left = products._operand(name, 48, 96, 3, torch.device("cpu")).double()
    right = products._operand(name, 40, 96, 4, torch.device("cpu")).double()

    assert torch.equal(one.expected.double(), left @ right.t())
    assert products.digest(one.expected) == products.digest(same.expected)


def test_a_wrong_first_result_is_not_taken_for_the_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proof is another computation: a unit that is always wrong is found, too."""
    honest = torch._int_mm
    monkeypatch.setattr(torch, "_int_mm", lambda a, b: flipped(honest(a, b), 17, 6))
    with pytest.raises(WrongReference):
        product("int8", (64, 64, 64), 1, torch.device("cpu"))
    record = counter("int8", (64, 64, 64), CPU, torch.device("cpu"))

    assert isinstance(record, Bits)
    assert record.status == "incorrect"


def test_a_sign_of_zero_is_a_difference() -> None:
    """Bits are compared, not numbers."""
    zero = torch.zeros(2, 2, dtype=torch.bfloat16)

    assert differing(zero, zero.clone()) is None
    assert differing(-zero, zero) == (4, (0, 0))


def test_the_finding_names_place_clock_and_temperature() -> None:
    """Of a device with a flipped bit: how often, which tile, both values, clock and temperature."""
    one = made("int8", (512, 512, 64))
    honest = one.product
    wrong = flipped(honest.expected, 300 * 512 + 140, 4)
    one.product = dataclasses.replace(honest, compute=lambda: wrong)
    one.repeat(lambda: WARM)
    (finding,) = judge_bits([one.record])["cpu:0"]

    assert finding.level == "failed"
    assert "wrong outputs: 1 in 1 of 1 repeats, first in tile (2, 1) at (300, 140)" in finding.text
    assert finding.text.endswith("1755 MHz, 61 C")


def test_a_device_whose_first_result_differs_from_the_others_fails() -> None:
    """Three digests against one; two against two name nobody."""

    def node(digests: str) -> list[Bits]:
        return [
            Bits(device=f"cuda:{i}", product="int8", status="ok", digest=d) for i, d in enumerate(digests)
        ]

    assert list(judge_bits(node("aaba"))) == ["cuda:2"]
    assert judge_bits(node("aabb")) == {}


def test_a_device_that_does_not_answer_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is not done in time, and one that cannot start: a record with the reason, never a
    hang."""
    monkeypatch.setattr(run, "_START_S", 0.0)
    (silent,) = run.bits_lines([gpu_device(0)], 0.05)
    monkeypatch.setattr(run, "_MODULE", "no_such_module")
    (gone,) = run.bits_lines([gpu_device(0)], 5.0)

    assert (silent.status, silent.reason) == ("failed", "no answer within 0 s: killed")
    assert (gone.status, "no_such_module" in (gone.reason or "")) == ("failed", True)


@pytest.mark.long
def test_the_process_of_a_cpu_repeats_both_products() -> None:
    """The real process, through the path of a GPU."""
    (cpu,) = [device for device in detect().devices if device.kind == "cpu"]
    lines = list(run.bits_lines([cpu], 0.2))

    assert [(line.product, line.status) for line in lines] == [("int8", "ok"), ("bf16", "ok")]
    assert all(line.digest for line in lines)


@pytest.mark.long
def test_our_kernel_is_exact_and_names_the_sm() -> None:
    """Under the interpreter it gives the proved products; compiled for three architectures it reads %smid."""
    code = (
        "import torch, sys; from quantroof.bench.bits import products\n"
        "products.TILE = 32\n"
        "for name in ('int8/tiles', 'bf16/tiles'):\n"
        "    one = products.product(name, (64, 96, 128), 3, torch.device('cpu'))\n"
        "    print(name, one.expected.dtype, tuple(one.sms.shape))\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert told.split("\n")[:2] == ["int8/tiles torch.int32 (2, 3)", "bf16/tiles torch.float32 (2, 3)"]


@pytest.mark.long
@pytest.mark.parametrize(("element", "arch"), [("int8", "sm_80"), ("bf16", "sm_90a"), ("int8", "sm_100a")])
def test_our_kernel_compiles_ahead(element: str, arch: str) -> None:
    """Without a GPU: PTX that reads the SM, and a shared memory that every such GPU has."""
    import triton
    from triton.backends.compiler import GPUTarget

    from quantroof.bench.bits.tiles import tile_program
    from quantroof.kernels.architectures import number_of
    from quantroof.kernels.sass.ahead import ast_source

    program = tile_program(element, (8192, 8192, 4096), products.TILE)
    target = GPUTarget("cuda", number_of(arch), 32)
    compiled = triton.compile(ast_source(program), target=target, options=program.compile_options)

    assert "%smid" in compiled.asm["ptx"]
    assert compiled.metadata.shared <= 160 << 10


def test_the_sm_of_the_tile_is_named() -> None:
    """A product that stores its SMs: the finding has that of the first wrong tile."""
    one = made("int8", (512, 512, 64))
    sms = torch.arange(16).reshape(4, 4)
    wrong = flipped(one.product.expected, 300 * 512 + 140, 4)
    one.product = dataclasses.replace(one.product, compute=lambda: wrong, sms=sms)
    one.repeat(lambda: None)

    assert "first in tile (2, 1) at (300, 140) on SM 9, " in judge_bits([one.record])["cpu:0"][0].text


def test_simulated_devices_say_so() -> None:
    """Only the device with the fault is wrong."""
    lines = list(run.bits_lines(select(detect(), ["sim:h100-sxm5-80gb*3+bits@1"]), 1.0))

    assert [line.status for line in lines] == [*["simulated"] * 5, "incorrect", *["simulated"] * 3]
    assert list(judge_bits(lines)) == ["sim:h100-sxm5-80gb#1"]
