"""Size and speed of reports, beside plotly's own write_html: `python -m tests.benchmarks.report_benchmark`.

Prints the Markdown table of docs/report.md. The points are made by the tests' model; what is measured is the
report, not a device. Time to first plot runs from navigation to two frames after the first marks exist.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from quantroof.analysis.answers import answers
from quantroof.analysis.device_results import device_results
from quantroof.records.directory import Run
from quantroof.records.lines import AnyRecord, Measurement
from quantroof.reports.html.page import html
from tests.builders import gpu_device, info, run
from tests.reports.conftest import ARGUMENTS, CHROMIUM
from tests.runs import gpu_lines

if TYPE_CHECKING:
    from playwright.sync_api import Browser

REPEATS = 7
MARKS = ".js-plotly-plot .points path"
# Two frames after the marks exist, in ms since navigation began.
PAINTED = """() => new Promise((done) =>
  requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now()))))"""
FORMATS = """() => {
  const start = performance.now();
  document.querySelector('#filters .chip').click();
  return new Promise((done) =>
    requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - start))));
}"""


@dataclass(frozen=True)
class Result:
    """One page: CPU seconds to build, bytes, ms to the first plot and to the plot without one format."""

    name: str
    points: int
    build_s: float
    size: int
    first_plot_ms: float
    filter_ms: float | None


def big_run(points: int) -> Run:
    """A simulated node whose GPUs give about that many points in ten formats."""
    devices, batches = {500: (1, 4), 5000: (4, 10), 50000: (8, 50), 120000: (8, 120)}[points]
    layers = [(4096, 4096), (14336, 4096), (4096, 14336), (8192, 8192), (28672, 8192), (8192, 28672)]
    found = [gpu_device(index) for index in range(devices)]
    sizes = sorted({round(1.18**i) + i for i in range(batches)})[:batches]
    lines = []
    for device in found:
        lines += gpu_lines(device, batches=sizes, layers=layers, simulated=True, seed=device.index)
    source = random.Random(points)
    return run(info(found, simulated=True), [_varied(line, source) for line in lines])


def _varied(line: AnyRecord, source: random.Random) -> AnyRecord:
    """Errors and states that differ from case to case, as real ones do: equal ones compress too well."""
    if not isinstance(line, Measurement) or line.accuracy is None or line.state is None:
        return line
    accuracy, state = line.accuracy, line.state
    return msgspec.structs.replace(
        line,
        accuracy=msgspec.structs.replace(accuracy, frobenius=accuracy.frobenius * source.uniform(0.9, 1.1)),
        state=msgspec.structs.replace(
            state,
            sm_clock_mhz=source.gauss(1755, 30),
            temperature_c=source.randint(40, 70),
            power_w=source.gauss(500, 80),
        ),
    )


def plotly_page(given: Run) -> str:
    """The same points by plotly.py alone: one scatter trace a format, its own page and library."""
    import plotly.graph_objects as go

    figure = go.Figure()
    traces: dict[str, tuple[list[float], list[float], list[str]]] = {}
    for results in device_results([given]):
        for point in results.timed:
            x, y, text = traces.setdefault(point.scheme, ([], [], []))
            assert point.flops_per_s is not None
            x.append(point.intensity)
            y.append(point.flops_per_s)
            text.append(f"{point.measurement.kernel} {point.measurement.case}")
    for name, (x, y, text) in traces.items():
        figure.add_trace(go.Scatter(x=x, y=y, text=text, mode="markers", name=name))
    figure.update_xaxes(type="log")
    figure.update_yaxes(type="log")
    return str(figure.to_html(include_plotlyjs=True))


def measure(browser: Browser, name: str, given: Run, build: Callable[[Run], str], folder: Path) -> Result:
    """Build once, open several times; the quickest counts, since whatever else runs here only adds."""
    start = time.process_time()
    page = build(given)
    build_s = time.process_time() - start
    file = folder / f"{len(given.measurements)}-{name}.html"
    file.write_text(page, encoding="utf-8")
    first, filtered = [], []
    for _ in range(REPEATS):
        context = browser.new_context(viewport={"width": 1440, "height": 900}, offline=True)
        tab = context.new_page()
        tab.goto(file.as_uri(), wait_until="commit")
        tab.wait_for_selector(MARKS, state="attached", timeout=60_000)
        first.append(tab.evaluate(PAINTED))
        if name == "quantroof":
            tab.wait_for_selector("html[data-ready]")
            tab.evaluate("location.hash = 'tab=roofline&show=all'")
            tab.wait_for_selector("#filters .chip")
            filtered.append(tab.evaluate(FORMATS))
        context.close()
    click = min(filtered) if filtered else None
    return Result(name, len(given.measurements), build_s, file.stat().st_size, min(first), click)


def table(results: list[Result]) -> str:
    """The results as Markdown, with our ratio to plotly's page."""
    lines = [
        "| points | page | built in (CPU) | file | first plot | one format off |",
        "| ---: | --- | ---: | ---: | ---: | ---: |",
    ]
    for r in results:
        click = f"{r.filter_ms:.0f} ms" if r.filter_ms is not None else ""
        first = f"{r.first_plot_ms:.0f} ms"
        lines.append(
            f"| {r.points} | {r.name} | {r.build_s:.2f} s | {r.size / 1e6:.2f} MB | {first} | {click} |"
        )
    for ours, theirs in zip(results[::2], results[1::2], strict=True):
        size, speed = ours.size / theirs.size, ours.first_plot_ms / theirs.first_plot_ms
        lines.append(
            f"| {ours.points} | ratio | {ours.build_s / theirs.build_s:.2f} | {size:.2f} | {speed:.2f} | |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure all sizes and print the table."""
    from playwright.sync_api import sync_playwright

    results = []
    html(answers([big_run(500)]))  # imports plotly, so that no page pays for it
    with sync_playwright() as driver, tempfile.TemporaryDirectory() as folder:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        for points in (500, 5000, 50000):
            given = big_run(points)
            results.append(measure(browser, "quantroof", given, lambda r: html(answers([r])), Path(folder)))
            results.append(measure(browser, "write_html", given, plotly_page, Path(folder)))
        browser.close()
    print(table(results))


if __name__ == "__main__":
    main()
