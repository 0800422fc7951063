// The advisor's curves: latency of a decode step against batch, one line per format.

function drawAdvice() {
  if (!figures.advice || !byId("advice-curves")) return;
  const traces = figures.advice.data.map((trace) => {
    const color = trace.meta.color[isDark() ? 1 : 0];
    return { ...trace, line: { ...trace.line, color }, marker: { ...trace.marker, color } };
  });
  const below = isNarrow() ? { legend: { orientation: "h", y: -0.28 } } : {};
  Plotly.react("advice-curves", traces, sized({ ...figures.advice.layout, ...below }, isNarrow() ? 460 : 360), PLAIN);
}
