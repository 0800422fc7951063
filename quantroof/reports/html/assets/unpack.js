// Reads the page's compressed data blocks, and starts plotly.js from one of them or from the file beside.

const byId = (id) => document.getElementById(id);

function decoded(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text); // since 2025, three times as quick
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

async function unpack(id) {
  const stream = new Blob([decoded(byId(id).textContent.trim())]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

// The content policy admits this one text by its hash, so nothing else can be started this way.
async function startPlotly() {
  if (window.Plotly || !byId("plotly")) return;
  const script = document.createElement("script");
  script.textContent = await unpack("plotly");
  document.head.append(script);
}
