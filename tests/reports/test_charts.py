"""Documents for the tools that chart benchmarks: their shape, and that nothing is lost on the way."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import pytest

from tests.builders import write
from tests.reports.test_commands import _call, _exported
from tests.runs import cpu_run, gpu_run


def test_google_benchmark_has_one_entry_a_repetition(tmp_path: Path) -> None:
    """compare.py needs repetitions with real_time, cpu_time and a unit; four aggregates follow."""
    run = cpu_run()
    document = _exported("google-benchmark", write(run, tmp_path / "run"))
    samples = [s for m in run.measurements if m.timing for s in m.timing.samples_ns]
    repetitions = [entry for entry in document["benchmarks"] if entry["run_type"] == "iteration"]
    first = [entry for entry in document["benchmarks"] if entry["family_index"] == 0][20:]

    assert [entry["real_time"] for entry in repetitions] == samples
    assert [entry["aggregate_name"] for entry in first] == ["mean", "median", "stddev", "cv"]
    assert [entry["name"] for entry in first] == [
        f"{entry['run_name']}_{entry['aggregate_name']}" for entry in first
    ]
    assert first[1]["real_time"] == statistics.median(samples[:20])
    assert first[3]["real_time"] == pytest.approx(first[2]["real_time"] / first[0]["real_time"])
    assert [entry["aggregate_unit"] for entry in first] == ["time", "time", "time", "percentage"]
    assert {entry["time_unit"] for entry in document["benchmarks"]} == {"ns"}
    assert document["context"]["host_name"] == run.info.host.name == "node-17"
    assert all(entry["repetitions"] == 20 for entry in document["benchmarks"])
    timed, one = next(m for m in run.measurements if m.timing), repetitions[0]
    assert one["bytes_per_second"] == pytest.approx(timed.bytes_moved / (one["real_time"] * 1e-9))
    assert one["items_per_second"] == pytest.approx(timed.flops / (one["real_time"] * 1e-9))


def test_pytest_benchmark_has_seconds(tmp_path: Path) -> None:
    """Its figures carry no unit: a median of so many nanoseconds must stand there as seconds."""
    run = cpu_run()
    document = _exported("pytest-benchmark", write(run, tmp_path / "run"))
    timed = next(m for m in run.measurements if m.timing)
    assert timed.timing is not None
    stats = document["benchmarks"][0]["stats"]

    assert stats["median"] == pytest.approx(statistics.median(timed.timing.samples_ns) * 1e-9)
    assert stats["total"] == pytest.approx(sum(timed.timing.samples_ns) * 1e-9)
    assert stats["ops"] == pytest.approx(1 / stats["mean"])


def test_a_chart_has_one_entry_per_time(tmp_path: Path) -> None:
    """github-action-benchmark takes an array of name, unit and value, Bencher measures by name."""
    folder = write(cpu_run(), tmp_path / "run")
    entries = _exported("github-action-benchmark", folder)
    measures = _exported("bencher", folder)
    timed = [m for m in cpu_run().measurements if m.timing]

    assert len(timed) == len({entry["name"] for entry in entries}) == len(entries)
    assert list(measures) == [entry["name"] for entry in entries]
    assert all(set(entry) == {"name", "unit", "value", "range", "extra"} for entry in entries)
    for entry, measure in zip(entries, measures.values(), strict=True):
        (latency,) = measure.values()
        assert entry["unit"] == "ns"
        assert set(latency) == {"value", "lower_value", "upper_value"}
        assert latency["lower_value"] < latency["value"] == entry["value"] < latency["upper_value"]


def test_records_of_the_pytorch_database_hold_text_and_numbers(tmp_path: Path) -> None:
    """A latency and, where a roof is known, its share per time; maps hold text, benchmark_values numbers."""
    records = _exported("pytorch-benchmark", write(gpu_run(), tmp_path / "run"))
    latencies = [record for record in records if record["metric"]["name"] == "latency_ns"]
    shares = [record for record in records if record["metric"]["name"] == "roof_fraction"]

    assert len(records) == len(latencies) + len(shares)
    assert len(latencies) == 300 >= len(shares) > 0
    for record in records:
        assert set(record) == {"benchmark", "model", "metric"}
        assert record["benchmark"]["name"] == "quantroof"
        assert all(isinstance(text, str) for text in record["model"].values())
        assert all(isinstance(text, str) for text in record["benchmark"]["extra_info"].values())
        low, high = (float(record["metric"]["extra_info"][end]) for end in ("low", "high"))
        assert low < record["metric"]["benchmark_values"][0] < high


@pytest.mark.parametrize(
    "form",
    ["csv", "json", "pytest-benchmark", "google-benchmark", "github-action-benchmark", "bencher",
     "pytorch-benchmark"],
)  # fmt: skip
def test_a_dash_is_standard_output_in_every_format(form: str, tmp_path: Path, capsysbinary: Any) -> None:
    """Every format goes to standard output whole, and nothing else does."""
    folder = write(cpu_run(), tmp_path / "run")
    assert _call("export", folder, "--to", form, "--out", tmp_path / "file") == 0
    capsysbinary.readouterr()
    assert _call("export", folder, "--to", form, "--out", "-") == 0

    assert capsysbinary.readouterr().out == (tmp_path / "file").read_bytes()
