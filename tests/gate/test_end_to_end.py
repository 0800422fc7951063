"""`gate check` with a real git worktree and fresh processes of two source trees, on the simulated device."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.gate.lab import ROOT, CpuLab, SimulatedLab


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> SimulatedLab:
    """A repository with a learned baseline, committed with it."""
    made = SimulatedLab(tmp_path_factory.mktemp("lab"))
    done = made.calibrate(6)
    assert done.code == 0, done.err
    kept = made.repository / "baseline.json"
    made.baseline.rename(kept)
    made.baseline = kept
    made.commit()
    return made


def test_a_slowdown_is_confirmed_against_the_commit(lab: SimulatedLab) -> None:
    """5 % slower in the working tree: exit 1, both sides' hashes recorded, and no worktree left behind."""
    lab.slow_down(0.05)
    run = lab.measure("slow", 100)
    done = lab.check(run, "--confirm-against", "HEAD", "--base-ref", "HEAD", "--pairs", "6")

    assert done.code == 1, done.err
    found = done.document
    assert found["simulated"] is True
    assert [(j["verdict"], j["stage"]) for j in found["judgements"]] == [("slower", "A/B")]
    assert found["judgements"][0]["low"] < 0.05 < found["judgements"][0]["high"]
    base, ours = (found["sources"][name]["torch.linear"] for name in ("base HEAD", "candidate"))
    assert base != ours
    trees = subprocess.run(
        ["git", "worktree", "list"], cwd=lab.repository, capture_output=True, text=True, check=True
    )
    assert len(trees.stdout.splitlines()) == 1


def test_equal_sources_are_not_compared(lab: SimulatedLab) -> None:
    """The machine is slower, the kernel is the base's own: no A/B, undecided, and the reason says so."""
    lab.slow_down(0.05)
    kernel = "quantroof/kernels/linear/torch_dense.py"
    subprocess.run(["git", "checkout", "-q", "HEAD", "--", kernel], cwd=lab.repository, check=True)
    done = lab.check(lab.measure("same", 200), "--confirm-against", "HEAD", "--pairs", "6")

    assert done.code == 4, done.err
    assert "no A/B" in done.document["remarks"][-1]
    assert "its source is the base's own" in done.document["judgements"][0]["reason"]


def test_another_environment_can_be_the_base(lab: SimulatedLab, tmp_path: Path) -> None:
    """--confirm-python: an interpreter that finds the unchanged package by itself is the other side."""
    other = tmp_path / "python"
    other.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} "$@"\n')
    other.chmod(0o755)
    lab.slow_down(0.05)
    done = lab.check(lab.measure("python", 400), "--confirm-python", other, "--pairs", "6")

    assert done.code == 1, done.err
    assert [(j["verdict"], j["stage"]) for j in done.document["judgements"]] == [("slower", "A/B")]


def test_an_environment_without_quantroof_is_said_so(lab: SimulatedLab, tmp_path: Path) -> None:
    """Exit 3 with the interpreter's own last line."""
    other = tmp_path / "python"
    other.write_text(f'#!/bin/sh\ncd / && exec {sys.executable} -I -S "$@"\n')
    other.chmod(0o755)
    lab.slow_down(0.05)
    done = lab.check(lab.measure("bare", 500), "--confirm-python", other, "--pairs", "6")

    assert done.code == 3
    assert "it cannot import quantroof: ModuleNotFoundError" in done.err


@pytest.mark.slow
def test_a_real_kernel_of_ones_own_goes_through_both_sides(tmp_path: Path) -> None:
    """On the real CPU: a kernel that computes four times is confirmed against the committed one."""
    lab = CpuLab(tmp_path, ((512, 512),), (32,))
    runs = [lab.measure(f"run-{seed}", seed, processes=3) for seed in range(5)]
    learned = lab.quantroof("gate", "baseline", "update", *runs, "--out", lab.baseline, *lab.judging)
    if learned.code == 3:
        pytest.skip(f"this machine is too restless: {learned.err}")
    lab.slow_down(3.0)
    run = lab.measure("slow", 50, processes=3)
    done = lab.check(run, "--confirm-against", "HEAD", "--pairs", "6")
    if done.code == 3:
        pytest.skip(f"this machine is too restless: {done.out}")

    assert done.code in (1, 4), done.err
    assert done.document["judgements"][0]["verdict"] in ("slower", "undecided")
    assert done.document["sources"]["base HEAD"] != done.document["sources"]["candidate"]
