#!/usr/bin/env bash
# Tokens a second by format, with random weights: no download. The roof comes from a run made just before.
#
#   scripts/decode_formats.sh OUT           on the CPU: Llama-3.2-1B's shape in fp32, bf16, int8
#   scripts/decode_formats.sh OUT cuda:0    Llama-3.1-8B's shape in fp16, int8, nf4; 24 GB of device memory
#                                           (ready, not yet run on a GPU)
#
# OUT gets the run, decode.json, decode.md and the log. Needs a quiet machine and the extra llm; the variable
# PYTHON names another python than python3.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
. "$root/scripts/common.sh"
[ $# -ge 1 ] || fail 2 "scripts/decode_formats.sh OUT [DEVICE]: OUT is missing"
out=$1 device=${2:-cpu}
[ ! -e "$out/run" ] || fail 2 "OUT $out: holds a run already; name another"
mkdir -p "$out"
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}"
quantroof() { "${PYTHON:-python3}" -m quantroof "$@"; }

# Sizes as in quantroof/advisor/models.toml, which names their sources.
case $device in
  cpu)
    formats=fp32,bf16,int8 batches=1,8 tokens=8
    sizes='"hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16, "tie_word_embeddings": true' ;;
  cuda*)
    formats=fp16,int8,int8-off,nf4 batches=1,8,32 tokens=64
    sizes='"hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "tie_word_embeddings": false' ;;
  *) fail 2 "DEVICE $device: cpu or cuda:0" ;;
esac
shared='"model_type": "llama", "vocab_size": 128256, "num_attention_heads": 32, "num_key_value_heads": 8'
printf '{%s, "max_position_embeddings": 131072, %s}\n' "$shared" "$sizes" >"$out/config.json"

step "the roof of $device"
quantroof run --suite quick --device "$device" --out "$out/run" --quiet
step "decode: $formats at batches $batches"
quantroof quality decode "$out/config.json" --device "$device" --formats "$formats" --batches "$batches" \
  --tokens "$tokens" --seconds 30 --run "$out/run" --json >"$out/decode.json" 2> >(tee "$out/decode.log" >&2)
"${PYTHON:-python3}" - "$out/decode.json" <<'PY' | tee "$out/decode.md"
import json, sys

document = json.load(open(sys.argv[1]))
print("| format | batch | prefill tok/s | decode tok/s | ms a step (95 %) | GB/s | of roof | J/token | steps |")
print("|---" * 9 + "|")
for row in document["results"]:
    low, high = (ns / 1e6 for ns in row["step_interval_ns"])
    joules = "" if row["joules_a_token"] is None else f"{row['joules_a_token']:.3f}"
    print(
        f"| {row['format']} | {row['workload']['batch']} | {row['prefill_tokens_per_s']:.1f}"
        f" | {row['tokens_per_s']:.2f} | {row['step_median_ns'] / 1e6:.2f} ({low:.2f} to {high:.2f})"
        f" | {row['bytes_per_s'] / 1e9:.1f} | {row['share_of_read_roof']:.0%} | {joules} | {row['graph']} |"
    )
for row in document["too_large"]:
    print(f"| {row['format']} | {row['batch'] or 'all'} | {row['reason']} |||||||")
PY
