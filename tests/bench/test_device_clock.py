"""The clock from the device's own counters: its arithmetic, and that its kernel compiles for every target."""

from __future__ import annotations

import pytest

from quantroof.bench.state.device_clock import batch_mhz

MS = 1_000_000


def test_clock_is_cycles_over_globaltimer() -> None:
    """1,425,000 cycles in a millisecond are 1425 MHz; the median over SMs counts."""
    first = [[5, 100], [5, 7000], [5, 0]]
    last = [[5 + MS, 1_425_100], [5 + MS, 1_432_000], [5 + MS, 1_980_000]]

    assert batch_mhz([first, last]) == pytest.approx(1425.0)


def test_an_sm_that_was_not_stamped_is_left_out() -> None:
    """Zero means that no block ran there."""
    assert batch_mhz([[[0, 0], [5, 100]], [[5 + MS, 9], [5 + MS, 1_980_100]]]) == pytest.approx(1980.0)


def test_a_batch_shorter_than_the_timers_grain_says_nothing() -> None:
    """globaltimer may tick once a microsecond."""
    assert batch_mhz([[[5, 100]], [[5_000, 9_000]]]) is None


@pytest.mark.parametrize("arch", ["sm_80", "sm_90a", "sm_120a"])
def test_the_stamp_reads_the_devices_own_registers(arch: str) -> None:
    """Triton compiles it without a GPU; SM number, clock and global timer survive, and a mask guards."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from quantroof.bench.state.device_clock import stamp_programs
    from quantroof.kernels.architectures import number_of

    program = stamp_programs(132)[1]
    signature = {"stamps": "*i64", "slot": "constexpr", "sms": "constexpr"}
    source = ASTSource(fn=program.function, signature=signature, constexprs={(1,): 1, (2,): 132})
    target = GPUTarget("cuda", number_of(arch), 32)
    ptx = triton.compile(source, target=target, options=program.compile_options).asm["ptx"]

    assert all(register in ptx for register in ("%smid", "%clock64", "%globaltimer"))
    assert "setp" in ptx
