"""Suite files: what ships, what a user's own may say, and what a typo gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from quantroof.bench import suite as suites
from quantroof.errors import UsageError
from quantroof.hwprofiles.types import Device

GPU = Device(kind="sim", index=0, name="any GPU", compute_capability="9.0")
GOOD = """
schema = "quantroof-suite/1"
name = "mine"
[limits]
precision = 0.01
[[sweep]]
layers = ["llama-3.1-8b/o"]
m = [1, 16]
formats = ["bf16", "int4-w4a16"]
"""


@pytest.mark.parametrize("name", suites.SHIPPED)
def test_shipped_suites_expand_on_both_kinds_of_device(name: str, cpu: Device) -> None:
    """Every shipped suite has GPU cases and a CPU table of its own."""
    suite = suites.load(name)

    assert suite.name == name
    assert suite.workloads["cpu"] is not suite.workloads["gpu"]
    assert len(suite.workload(GPU).cases) > len(suite.workload(cpu).cases) * 0.5
    assert {c.m for c in suite.workload(GPU).cases} >= {1, 2048}


def test_default_suite_covers_the_mission(cpu: Device) -> None:
    """M from 1 to 4096 on a GPU; at least 60 cases in 5 formats on a CPU."""
    suite = suites.load("default")
    on_cpu = suite.workload(cpu).cases

    assert {c.m for c in suite.workload(GPU).cases} >= {1, 16, 4096}
    assert len(on_cpu) >= 60
    assert len({c.scheme for c in on_cpu}) >= 5


def test_a_users_own_file_works(tmp_path: Path) -> None:
    """Any path is a suite."""
    file = tmp_path / "mine.toml"
    file.write_text(GOOD)
    suite = suites.load(str(file))

    assert suite.source == GOOD
    assert [c.id for c in suite.workload(GPU).cases] == [
        "gemv/bf16-bf16-bf16/m1-n4096-k4096",
        "gemm/bf16-bf16-bf16/m16-n4096-k4096",
        "gemv/int4.g128-bf16-bf16/m1-n4096-k4096",
        "gemm/int4.g128-bf16-bf16/m16-n4096-k4096",
    ]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("m = [1, 16]", "m = [0]", "sweep[0].m[0]: expected `int` >= 1"),
        ("m = [1, 16]", "m = [1, -4]", "sweep[0].m[1]: expected `int` >= 1"),
        ('layers = ["llama-3.1-8b/o"]', "shapes = [{n = -8, k = 8}]", "sweep[0].shapes[0].n"),
        ('"bf16"', '"bf61"', "did you mean bf16"),
        ("m = [1, 16]", "mm = [1]", "sweep[0]: unknown key 'mm' (did you mean m"),
        ("precision", "precison", "limits: unknown key 'precison' (did you mean precision?)"),
        ("8b/o", "8b/oo", "sweep[0].layers: unknown layer"),
        ("m = [1, 16]", "m = []", "m is empty"),
        ("m = [1, 16]", "m = [1", "not TOML"),
        ("suite/1", "suite/9", "this version reads 'quantroof-suite/1'"),
        ("precision = 0.01", "precision = 0", "limits.precision"),
        ('name = "mine"', "", "missing required field `name`"),
    ],
)
def test_a_mistake_gets_one_line_with_file_key_and_values(old: str, new: str, words: str) -> None:
    """The message starts with the file and names the key."""
    with pytest.raises(UsageError) as caught:
        suites.parse(GOOD.replace(old, new), "mine.toml")

    assert str(caught.value).startswith("mine.toml: ")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_group_that_does_not_divide_k(cpu: Device) -> None:
    """The sweep is named, with the group and K."""
    text = GOOD.replace('layers = ["llama-3.1-8b/o"]', "shapes = [{n = 8, k = 100}]")

    with pytest.raises(UsageError, match=r"mine: sweep\[0\]: group size 128 does not divide K = 100"):
        suites.parse(text, "mine")


@pytest.mark.parametrize("name", ["defalt", "no/such/file.toml"])
def test_an_unknown_suite(name: str) -> None:
    """A name that is neither shipped nor a file."""
    with pytest.raises(UsageError, match=r"unknown suite 'defalt' \(did you mean default\?\)|cannot be read"):
        suites.load(name)


def test_a_folder_for_a_suite_is_one_line(tmp_path: Path) -> None:
    """The system's words without its error number, and the name that was given."""
    folder = tmp_path / "mine.toml"
    folder.mkdir()
    with pytest.raises(UsageError, match=r"mine\.toml: cannot be read: Is a directory$"):
        suites.load(str(folder))
