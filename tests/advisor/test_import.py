"""Imported kernel times: what is kept, what is set aside, and who may read them."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from quantroof.advisor.imports.aic_tables import pick, tables
from quantroof.advisor.sources import machine_and_times
from quantroof.cli.commands.import_ import command
from quantroof.errors import UsageError
from quantroof.files import require
from quantroof.records.directory import Run, read_run

# H100 at 3350 GB/s: 33.6 MB of bf16 take 10 us, of fp8 5 us; 2 M N K at 989.4 T/s take 139 us at M = 4096.
ROWS = (
    ("bfloat16", "torch_flow", 1, 4096, 4096, 0.0130),
    ("bfloat16", "torch_flow", 16, 4096, 4096, 0.0135),
    ("bfloat16", "torch_flow", 1, 8192, 8192, 0.0450),
    ("bfloat16", "torch_flow", 1, 16384, 4096, 0.0098),  # 40 us of bytes: the weights were in the cache
    ("bfloat16", "torch_flow", 4096, 4096, 4096, 0.1000),  # faster than the matrix units
    ("bfloat16", "torch_flow", 3, 4096, 4096, 0.0132),  # not one of the batches
    ("bfloat16", "torch_flow", 1, 256, 4096, 0.0030),  # smaller than a layer
    ("fp8", "torch_flow", 1, 4096, 4096, 0.0140),
    ("fp6", "torch_flow", 1, 4096, 4096, 0.0140),
    ("bfloat16", "torch_flow", 0, 4096, 4096, 0.0140),
)
OTHERS = (
    ("vllm", "0.24.0", ("fp8_block", "DeepGemm", 512, 4096, 4096, 0.0600)),
    ("vllm", "0.24.0", ("fp8_block", "DeepGemm", 2048, 4096, 4096, 0.0900)),
    ("sglang", "0.5.9", ("int8_wo", "sglang", 1, 4096, 4096, 0.0090)),
    ("sglang", "0.5.14", ("bfloat16", "sglang", 1, 4096, 4096, 0.0131)),
)


def _write(folder: Path, rows: list[tuple[object, ...]]) -> None:
    duckdb = require("duckdb", "the test", "store")
    folder.mkdir(parents=True)
    values = ", ".join(f"('{d}', '{s}', {m}, {n}, {k}, {t})" for d, s, m, n, k, t in rows)
    names = "gemm_dtype, kernel_source, m, n, k, latency"
    file = folder / "gemm_perf.parquet"
    duckdb.sql(f"copy (select * from (values {values}) t({names})) to '{file}' (format parquet)")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with small tables of an H100."""
    root = tmp_path_factory.mktemp("checkout")
    data = root / "core" / "systems" / "data" / "h100_sxm" / "gemm"
    _write(data / "trtllm" / "1.3.0rc20", list(ROWS))
    for framework, version in {(framework, version) for framework, version, _ in OTHERS}:
        _write(data / framework / version, [row for *key, row in OTHERS if key == [framework, version]])
    return root


@pytest.fixture(scope="module")
def imported(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, str]:
    """The run that TensorRT-LLM's table becomes, and what the command printed."""
    out = tmp_path_factory.mktemp("run") / "imported"
    ran = CliRunner().invoke(
        command,
        ["aiconfigurator", "--from", str(checkout), "--system", "h100_sxm", "--framework", "trtllm",
         "--out", str(out)],
    )  # fmt: skip
    assert ran.exit_code == 0, ran.output
    return read_run(out, imported=True), ran.output


def test_what_no_gpu_can_do_is_set_aside_and_counted(imported: tuple[Run, str]) -> None:
    """Two rows are above a roof, one format is unknown, one size is zero; small and odd ones are left out."""
    run, printed = imported

    assert len(run.measurements) == 4
    assert "4 kernel times of h100-sxm5-80gb, imported" in printed
    assert "set aside, 2: above the roof" in printed
    assert "set aside, 1: format fp6" in printed


def test_a_row_says_that_it_was_imported(imported: tuple[Run, str]) -> None:
    """Status, kernel, fill and source; TensorRT-LLM fills one L2 of 50 MiB, which is not cold."""
    run, _ = imported
    assert run.info.imported is not None
    line = next(m for m in run.measurements if m.case == "gemv/bf16-bf16-bf16/m1-n4096-k4096")
    narrow = next(m for m in run.measurements if "fp8" in m.case)

    assert line.status == "imported"
    assert line.kernel == "trtllm/torch_flow"
    assert line.config == {"fill": "normal"}
    assert line.timing is not None
    assert (line.timing.copies, line.timing.cache) == (2, "hot")  # enough for one L2: two sets
    assert narrow.timing is not None
    assert narrow.timing.hot[0].startswith("weights")
    assert run.info.imported.license == "Apache-2.0"
    assert run.info.devices[0].name.startswith("IMPORTED NVIDIA H100")


def test_only_the_advisor_and_reports_read_it(imported: tuple[Run, str]) -> None:
    """Every other reader refuses the run in one line."""
    run, _ = imported

    with pytest.raises(UsageError, match="others measured"):
        read_run(run.path)


def test_advice_from_it_is_labeled(checkout: Path, tmp_path: Path) -> None:
    """The advisor's table names the source, and a time from it is `imported`, never `measured`."""
    out = tmp_path / "sglang"
    arguments = ["aiconfigurator", "--from", str(checkout), "--system", "h100_sxm", "--out", str(out)]
    assert CliRunner().invoke(command, [*arguments, "--framework", "sglang"]).exit_code == 0

    machine, table = machine_and_times(None, out)

    assert machine.name.startswith("IMPORTED")
    assert table.imported is not None
    assert "sglang 0.5.14" in table.imported
    assert (4096, 4096) in table.points["bf16"]  # six sets of 33.6 MB are four caches: cold


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--system", "h100_sxm", "--framework", "vllm"], "set aside, 1: vLLM's fp8 blocks below M = 1024"),
        (["--system", "h100_sxm", "--framework", "sglang", "--version", "0.5.9"], "it is W8A8"),
        (["--list"], "h100_sxm  trtllm  1.3.0rc20"),
    ],
)
def test_the_rest_is_said(checkout: Path, tmp_path: Path, arguments: list[str], word: str) -> None:
    """Eager rows and a mislabeled format are set aside by name, and the tables can be listed."""
    whole = ["aiconfigurator", "--from", str(checkout), "--out", str(tmp_path / "run"), *arguments]
    ran = CliRunner().invoke(command, whole)

    assert word in ran.output


def test_the_newest_version_of_each_framework_is_taken(checkout: Path) -> None:
    """0.5.14 is newer than 0.5.9, and 1.3.0rc20 than nothing."""
    found = tables(checkout / "core" / "systems" / "data")

    picked = {table.framework: table.version for table in pick(found, "h100_sxm", None, None)}

    assert picked == {"trtllm": "1.3.0rc20", "vllm": "0.24.0", "sglang": "0.5.14"}
    with pytest.raises(UsageError, match="h100_sxm"):
        pick(found, "h200_sxm", None, None)
