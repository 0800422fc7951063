"""`qr.sniff`: the rule on times, and real groups of processes over gloo that find the rank planted slow."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import quantroof as qr
from quantroof.bench.sniff.times import Place, ProbeTimes
from quantroof.errors import UsageError
from quantroof.fleet.sniff import Sniff, judge_ranks

WORKER = Path(__file__).parent / "sniffing.py"
ROOT = str(Path(__file__).parent.parent.parent)


def places(ranks: int, name: str = "H100") -> list[Place]:
    """Eight GPUs per node."""
    return [
        Place(node=f"n{rank // 8}", kind="cuda", index=rank % 8, name=name, pci=f"0000:{rank:02x}:00.0")
        for rank in range(ranks)
    ]


def times(ranks: int, slow: dict[int, tuple[float, float]] | None = None) -> list[ProbeTimes]:
    """1 ms and 2 ms, alike to a thousandth, times the factors of the slow ranks."""
    rows = []
    for rank in range(ranks):
        memory, compute = (slow or {}).get(rank, (1.0, 1.0))
        jitter = 1 + 0.001 * (rank % 3)
        rows.append(ProbeTimes(memory_ns=1e6 * memory * jitter, compute_ns=2e6 * compute * jitter))
    return rows


def judged(ranks: int, slow: dict[int, tuple[float, float]], past: Sniff | None = None) -> Sniff:
    """One measurement and the same again."""
    both = times(ranks, slow)
    return judge_ranks(places(ranks), both, both, past, 1.0)


@pytest.mark.parametrize("slow", [(1.0, 1.12), (1.06, 1.0)])
def test_the_slow_rank_is_named_with_its_gpu(slow: tuple[float, float]) -> None:
    """One of eight, 12 % slower in the product or 6 % in the copy: rank, node, GPU and address."""
    result = judged(8, {5: slow})

    assert [rank.rank for rank in result.bad] == [5]
    assert "rank 5, n0 cuda:5 (0000:05:00.0) degraded: " in str(result)
    assert result.verdict.state == "degraded"


def test_ranks_alike_are_ok() -> None:
    """Nobody is called slow for the natural spread."""
    result = judged(8, {3: (1.01, 1.03)})

    assert (result.verdict.state, result.bad, str(result)) == ("ok", (), "8 ranks: ok")


def test_two_ranks_cannot_show_which_is_slow_but_their_past_can() -> None:
    """Without an earlier sniff the state is unknown, with the distance; with one, the slow rank is named."""
    healthy, now = judged(2, {}), judged(2, {1: (1.0, 1.12)})
    beside = judged(2, {1: (1.0, 1.12)}, healthy)

    assert (healthy.verdict.state, now.verdict.state, now.bad) == ("unknown", "unknown", ())
    assert "behind the fastest by memory 0.1 %, compute 10.8 %" in now.ranks[1].reasons[0].text
    assert [rank.rank for rank in beside.bad] == [1]


def test_what_a_second_measurement_clears_is_no_longer_bad() -> None:
    """A neighbor that left: slow once, not twice."""
    result = judge_ranks(places(8), times(8, {2: (1.2, 1.2)}), times(8), None, 1.0)

    assert result.verdict.state == "ok"


def test_models_are_compared_with_their_own_kind() -> None:
    """Four A100 beside four H100 are not slow."""
    mixed = [*places(4), *places(4, "A100")]
    both = [*times(4), *times(4, dict.fromkeys(range(4), (2.0, 2.5)))]

    assert judge_ranks(mixed, both, both, None, 1.0).verdict.state == "ok"


def test_a_rank_whose_probe_fails_has_failed() -> None:
    """The error is its reason, and the others are judged."""
    rows = times(8)
    rows[6] = ProbeTimes(error="CUDA error: out of memory")
    result = judge_ranks(places(8), rows, None, None, 1.0)

    assert (result.verdict.state, [rank.rank for rank in result.bad]) == ("failed", [6])
    assert "out of memory" in str(result)


def test_without_a_group_it_is_one_line() -> None:
    """A UsageError with what to do, before anything is measured."""
    pytest.importorskip("torch")
    with pytest.raises(UsageError, match="has no group"):
        qr.sniff()


@pytest.mark.parametrize(
    "ranks",
    [
        pytest.param(2, marks=pytest.mark.long),
        pytest.param(4, marks=pytest.mark.slow),
        pytest.param(8, marks=pytest.mark.slow),
    ],
)
def test_real_groups_find_the_rank_planted_slow(ranks: int, tmp_path: Path) -> None:
    """The last rank is 10 % slower: each group finds it with its past, eight without one. Nobody else is
    named, and no tensor is left."""
    told = _group(ranks, ranks - 1, 1.1, tmp_path)
    healthy, alone, beside = told["results"]

    assert (healthy["verdict"], healthy["bad"]) == ("unknown" if ranks < 4 else "ok", [])
    assert alone["bad"] in ([ranks - 1], []) if ranks < 8 else alone["bad"] == [ranks - 1]
    assert (beside["verdict"], beside["bad"]) == ("degraded", [ranks - 1])
    assert f"rank {ranks - 1}, " in beside["text"]
    assert told["left"] == 0


@pytest.mark.long
def test_a_probe_that_fails_on_one_rank_holds_up_no_other(tmp_path: Path) -> None:
    """It fails between two barriers of a real group: every rank still gets the result, with the reason."""
    *_, beside = _group(2, 1, -1.0, tmp_path)["results"]

    assert (beside["verdict"], beside["bad"]) == ("failed", [1])
    assert "illegal memory access" in beside["text"]


def _group(ranks: int, slow: int, factor: float, folder: Path) -> dict[str, Any]:
    """What rank 0 of a real group prints."""
    settings = {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1", "PYTHONPATH": ROOT}
    started = [
        subprocess.Popen(
            [
                sys.executable,
                str(WORKER),
                str(rank),
                str(ranks),
                str(folder / "store"),
                str(slow),
                str(factor),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | settings,
        )
        for rank in range(ranks)
    ]
    outputs = [process.communicate(timeout=120) for process in started]
    assert [process.returncode for process in started] == [0] * ranks, outputs
    told: dict[str, Any] = json.loads(outputs[0][0].splitlines()[-1])
    return told
