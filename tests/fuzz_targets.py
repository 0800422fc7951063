"""Every kind of file that a command reads: a valid one, and a command that reads it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from tests.commands import call

DATA = Path(__file__).parent / "data"
FIRST = DATA / "first_format"
RUN, CPU = FIRST / "sim-5" / "run.jsonl", FIRST / "cpu" / "run.jsonl"
PART, BASELINE, SUITE = FIRST / "part.parquet", FIRST / "baseline.json", FIRST / "tiny.toml"
ROOT = Path(__file__).parent.parent
PROFILE = ROOT / "hwprofiles" / "quadro_rtx_6000.toml"
KERNEL = ROOT / "kernels" / "example_matmul.py"
PRICES = ROOT / "quantroof" / "advisor" / "prices.toml"
POLICY = b"""schema = "quantroof-gate/1"
relative = 0.05
absolute_ns = 20.0
[[threshold]]
case = "*"
relative = 0.02
absolute_ns = 100
[[waiver]]
case = "*"
allow = 0.05
reason = "known"
expires = 2999-01-01
[min_roof]
bf16 = 0.1
[environment]
foreign_load_share = 0.2
[run]
suite = "quick"
processes = 5
"""
CONFIG = json.dumps(
    {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 4096,
        "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128,
        "intermediate_size": 14336, "vocab_size": 128256, "max_position_embeddings": 131072,
        "sliding_window": 4096, "tie_word_embeddings": False, "torch_dtype": "bfloat16",
        "num_local_experts": 8, "num_experts_per_tok": 2,
        "quantization_config": {"quant_method": "fp8", "bits": 8, "group_size": 128},
    },
    indent=1,
).encode()  # fmt: skip
LABELS = b"node,rack,cooling\nvm,r1,water\nother,r2,air\n"
CASES = b"# case kernel\ngemv/bf16-bf16-bf16/m1-n256-k256 torch.linear\n"

POINTS = b"""model,gpu,n_gpus,tp,format,framework,isl,osl,concurrency,metric,value,unit,source,note
llama-2-70b,h100-sxm5-80gb,4,4,fp8-w8a8,TensorRT-LLM,128,128,64,static_tok_s_gpu,829.25,tokens/s/GPU,x,y
llama-2-7b,h100-sxm5-80gb,1,1,fp8-w8a8,TensorRT-LLM,128,128,64,static_tok_s_gpu,9193.0,output tokens/s/GPU,x,y
"""


@dataclass(frozen=True)
class Target:
    """A kind of file, a valid one of it, and a command that reads it; `{}` is the broken file."""

    name: str
    source: Path | bytes
    file: str
    command: tuple[str, ...]
    gates: bool = False
    """It judges `slow_run`, so that exit code 0 is a gate that passes on garbage."""

    def content(self) -> bytes:
        """The valid file."""
        return self.source if isinstance(self.source, bytes) else self.source.read_bytes()


def slow_run(folder: Path) -> Path:
    """The run of `first_format` three times as slow in every case: no gate may pass it."""
    lines = [json.loads(line) for line in RUN.read_text().splitlines()]
    for line in lines:
        if line["kind"] == "measurement" and line["timing"]:
            line["timing"]["samples_ns"] = [3 * ns for ns in line["timing"]["samples_ns"]]
    folder.mkdir(parents=True)
    (folder / "run.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def history(folder: Path) -> bytes:
    """A store of `quantroof history`; needs DuckDB."""
    assert call("history", RUN.parent, "--store", folder / "h.parquet") == 0
    return (folder / "h.parquet").read_bytes()


_GPU = "h100-sxm5-80gb"
_CHECK = ("gate", "check", "{slow}", "--no-measure", "--json", "--baseline")
_ADVISE = ("advise", "--gpu", _GPU, "--json")
_SERVED = ("quality", "endpoint", "--json", "--import", "{}")

TARGETS = (
    Target("run, shown", CPU, "run.jsonl", ("show", "{}", "--json")),
    Target("run, as a page", CPU, "run.jsonl", ("report", "{}", "--out", "{out}/page.html")),
    Target("run, as Markdown", CPU, "run.jsonl", ("report", "{}", "--format", "md", "--out", "-")),
    Target("run, compared", CPU, "run.jsonl", ("compare", "{}", str(CPU), "--json")),
    Target("run, advised", RUN, "run.jsonl", ("advise", "--model", "llama-3.1-8b", "--run", "{}", "--json")),
    Target("run, exported", CPU, "run.jsonl", ("export", "{}", "--to", "json", "--out", "{out}/x.json")),
    Target("run, in openmetrics", RUN, "run.jsonl", ("export", "{}", "--to", "openmetrics", "--out", "-")),
    Target("run, in a fleet", RUN, "run.jsonl", ("fleet", "{}", str(RUN), "--json")),
    Target("run, in a history", RUN, "run.jsonl", ("history", "{folder}", "--json")),
    Target("run, compacted", RUN, "run.jsonl", ("compact", "{}", "--out", "{out}/x.parquet")),
    Target("run, for claims", CPU, "run.jsonl", ("claims", "--run", "{}", "--json")),
    Target("run, audited", RUN, "run.jsonl", ("hardware", "audit", "--run", "{}")),
    Target(
        "run, gated",
        RUN,
        "run.jsonl",
        ("gate", "check", "{}", "--no-measure", "--json", "--baseline", str(BASELINE)),
    ),
    Target("suite", SUITE, "suite.toml", ("run", "--suite", "{}", "--device", f"sim:{_GPU}", "--dry-run")),
    Target("profile", PROFILE, "profile.toml", ("--profiles", "{}", "hardware", "show", "quadro-rtx-6000")),
    Target("baseline", BASELINE, "baseline.json", (*_CHECK, "{}"), gates=True),
    Target("policy", POLICY, "gate.toml", (*_CHECK, str(BASELINE), "--policy", "{}"), gates=True),
    Target("prices", PRICES, "prices.toml", (*_ADVISE, "--model", "llama-3.1-8b", "--prices", "{}")),
    Target("config.json", CONFIG, "config.json", (*_ADVISE, "--model", "{}")),
    Target("points", POINTS, "points.csv", ("advise", "--check", "{}", "--json")),
    Target("labels", LABELS, "labels.csv", ("fleet", str(PART), "--labels", "{}", "--json")),
    Target("part, in a fleet", PART, "part.parquet", ("fleet", "{}", "--json")),
    Target("part, compacted", PART, "part.parquet", ("compact", "{}", "--out", "{out}/x.parquet")),
    Target("guidellm", DATA / "served_guidellm_tiny_llama.json", "g.json", _SERVED),
    Target("vllm bench", DATA / "served_vllm_detailed.json", "v.json", _SERVED),
    Target(
        "mamf-finder",
        DATA / "h200_mamf_fp8.txt",
        "m.txt",
        ("import", "mamf-finder", "{}", "--gpu", "h200-sxm", "--out", "{out}/r"),
    ),
    Target("cases", CASES, "cases.txt", ("run", "--cases", "{}", "--device", f"sim:{_GPU}", "--dry-run")),
    Target(
        "kernel file",
        KERNEL,
        "kernel.py",
        ("run", "--kernel", "{}:KERNEL", "--dry-run", "--device", "cpu"),
    ),
)
STORE = ("history", str(RUN.parent), "--store", "{}", "--json")
"""Reads what `history` wrote."""
