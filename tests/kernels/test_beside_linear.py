"""Decode attention and grouped products: counts by brute force, references, kernels, ids and bad input."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
import torch

from quantroof.bench.correctness import check
from quantroof.bench.suite import load, parse
from quantroof.errors import UsageError
from quantroof.hwprofiles.types import Device
from quantroof.kernels import registry
from quantroof.kernels.attention.case import Attention, AttentionCase
from quantroof.kernels.cases import Case
from quantroof.kernels.dequantize.torch_blocks import block_dequantizer, packed_blocks
from quantroof.kernels.experts.case import ExpertsCase
from quantroof.kernels.experts.routing import rows_per_expert
from quantroof.kernels.formats import e2m1_levels
from quantroof.kernels.kernel import Prepared, Skip
from quantroof.kernels.problem import Problem, tolerance
from quantroof.kernels.quantize import Quantized
from quantroof.kernels.reference import reference_of
from quantroof.kernels.schemes import CACHES, scheme

_CPU = Device(kind="cpu", index=0, name="cpu")
_BITS = {"bf16-kv": 16, "fp8-kv": 8, "int8-kv": 8, "nvfp4-kv": 4}
_WEIGHT_BITS = {"bf16": 16, "int8-w8a16": 8, "int4-w4a16": 4, "mxfp4-w4a16": 4, "fp8-w8a8": 8}


def _attention_cases() -> Iterator[tuple[str, AttentionCase]]:
    chance = random.Random(1)
    for _ in range(500):
        cache, groups, d = chance.choice(list(CACHES)), chance.randint(1, 4), chance.randint(1, 6)
        d *= 16 if cache == "nvfp4-kv" else 1  # whole groups
        latent = chance.random() < 0.3
        v_dim = chance.randint(1, d) if latent else d
        shape = Attention(groups * chance.randint(1, 4), groups, d, v_dim, latent)
        yield cache, AttentionCase.of(cache, shape, chance.randint(1, 3), chance.randint(1, 9))


def test_counts_of_attention_equal_a_count_of_every_element() -> None:
    """500 random cases: each multiply-add of both products, each stored value and each scale, once."""
    for cache, case in _attention_cases():
        flops = values = scales = 0
        for _sequence in range(case.m):
            for _head in range(case.shape.heads):
                for _token in range(case.context):
                    flops += 2 * case.shape.head_dim + 2 * case.shape.v_dim
            for _head in range(case.shape.kv_heads):
                for _token in range(case.context):
                    rows = 1 if case.shape.latent else 2
                    values += rows * case.shape.head_dim
                    scales += rows
        steps = {"bf16-kv": 0, "fp8-kv": 4, "int8-kv": 4 * scales, "nvfp4-kv": values // 16 + 4}[cache]
        stored = values * _BITS[cache] // 8 + steps
        ends = 2 * case.m * case.shape.heads * (case.shape.head_dim + case.shape.v_dim)
        assert (case.flops, case.bytes_moved) == (flops, stored + ends), case.id
        assert Case.parse(case.id) == case


def test_counts_of_experts_equal_a_count_of_every_element() -> None:
    """500 random cases: rows, products, padding, and the weights of experts that get a row, once."""
    chance = random.Random(2)
    for _ in range(500):
        name = chance.choice(list(_WEIGHT_BITS))
        experts, n = chance.randint(1, 12), chance.randint(1, 5)
        per_token, tokens, k = chance.randint(1, experts), chance.randint(1, 9), 128 * chance.randint(1, 2)
        routing = chance.choice(["uniform", "zipf0.5", "zipf1.5"])
        case = ExpertsCase.of(scheme(name), tokens, (experts, per_token, n, k), routing)
        flops = padded = stored = 0
        for rows in case.rows:
            assert 0 <= rows <= tokens
            flops += sum(2 * n * k for _ in range(rows))
            left = rows
            while padded % 8 or left > 0:
                padded, left = padded + 1, left - 1
        active = sum(1 for rows in case.rows if rows)
        for _expert in range(active):
            stored += n * k * _WEIGHT_BITS[name] // 8
            per_row = {"bf16": 0, "int8-w8a16": 4, "int4-w4a16": 2 * k // 128, "mxfp4-w4a16": k // 32}
            stored += n * per_row.get(name, 4)
        moved = stored + 2 * sum(case.rows) * (k + n)
        assert sum(case.rows) == tokens * per_token == case.m
        assert (case.flops, case.bytes_moved) == (flops, moved), case.id
        assert case.padded_rows(8) == padded
        assert Case.parse(case.id) == case


def test_routings_repeat_and_differ() -> None:
    """The same text gives the same rows; a power law gives its first experts most of them."""
    even, skewed = (rows_per_expert(name, 512, 4, 16) for name in ("uniform", "zipf2.0"))

    assert even == rows_per_expert("uniform", 512, 4, 16)
    assert sum(even) == sum(skewed) == 4 * 512
    assert 80 < min(even) < max(even) < 180
    assert skewed[0] > 450
    assert sum(skewed[:4]) > 4 * sum(skewed[8:])
    assert rows_per_expert("counts.0x3.2x5", 4, 2, 3) == (3, 0, 5)


@pytest.mark.parametrize(
    ("routing", "words"),
    [
        ("counts.0x12.9x4", "the routing names expert 9; there are 8, from 0 on"),
        ("counts.0x12", "the routing has 12 rows, its tokens have 16"),
        ("counts.0x12.seven", "'seven' is not EXPERTxROWS"),
        ("powerlaw", "'powerlaw' is not a routing"),
    ],
)
def test_a_routing_that_cannot_be_is_refused_in_one_line(routing: str, words: str) -> None:
    """Experts that are missing, rows that are missing, and text that is not a routing."""
    with pytest.raises(UsageError, match=words) as refused:
        ExpertsCase.of(scheme("bf16"), 8, (8, 2, 16, 64), routing)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("decode_attention/bf16-bf16-bf16/b1-h6-g4-d64-c8", "6 query heads cannot share 4 KV heads"),
        ("decode_attention/bf16-bf16-bf16/b1-h4-g4-d64-v128-c8", "128 latent values are not among 64"),
        ("decode_attention/nvfp4.g16-bf16-bf16/b1-h4-g4-d72-c8", "group size 16 does not divide K = 72"),
        ("decode_attention/bf16-bf16-bf16/b1-h4-g4-d64-c0", "a context of 0 tokens is empty"),
        ("decode_attention/bf16-bf16-bf16/m1-n2-k3", "is not a case id"),
        ("grouped_gemm/bf16-bf16-bf16/t4-p9-e8-n16-k16-uniform", "a token cannot choose 9 of 8 experts"),
        ("grouped_gemm/bf16-bf16-bf16/m1-n2-k3", "is not a case id"),
    ],
)
def test_impossible_shapes_are_refused(text: str, words: str) -> None:
    """One line names the numbers that do not fit."""
    with pytest.raises(UsageError, match=words):
        Case.parse(text)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ('[[experts]]\nlayers=["qwen3-30b-a3b/up"]\ntokens=[1]\nformats=["bf16"]', r"experts\[0\].layers"),
        (
            '[[experts]]\nlayers=["mixtral-8x7b/down"]\ntokens=[1]\nformats=["bf16"]\nroutings=["counts.8x2"]',
            r"experts\[0\]: the routing names expert 8",
        ),
        (
            '[[attention]]\nmodels=["llama-3.1-8b"]\nbatch=[1]\ncontext=[8]\ncaches=["fp4-kv"]',
            "KV-cache format",
        ),
        ('[[attention]]\nmodels=["llama-3.1-8b"]\nbatch=[]\ncontext=[8]', "attention"),
    ],
)
def test_suite_tables_name_the_key_of_an_error(table: str, words: str) -> None:
    """Unknown layers, formats and routings, and empty lists."""
    with pytest.raises(UsageError, match=words):
        parse(f'schema = "quantroof-suite/1"\nname = "x"\n{table}\n', "mine.toml")


def test_the_default_suite_measures_three_caches_and_three_routings_on_a_cpu() -> None:
    """Decode attention in bf16, fp8 and int8; uniform, power law and recorded counts."""
    cases = load("default").workload(_CPU).cases
    attention = {case.scheme for case in cases if isinstance(case, AttentionCase)}
    routings = {case.routing.split(".")[0] for case in cases if isinstance(case, ExpertsCase)}
    assert attention == {"bf16-kv", "fp8-kv", "int8-kv"} < set(CACHES)
    assert routings == {"uniform", "zipf1", "counts"}


def test_attention_is_what_torch_computes_head_by_head() -> None:
    """The reference of GQA and of MLA, against a loop over sequences and query heads in float64."""
    for text in ("b2-h6-g3-d16-c7", "b2-h4-g1-d24-v16-c5"):
        case = Case.parse(f"decode_attention/bf16-bf16-bf16/{text}")
        assert isinstance(case, AttentionCase)
        problem, shape = Problem(case, _CPU), case.shape
        cache = problem.weight.codes.double().view(-1, case.m, shape.kv_heads, case.context, shape.head_dim)
        queries = problem.arriving.double().view(case.m, shape.heads, shape.head_dim)
        expected = torch.empty(case.m, shape.heads, shape.v_dim, dtype=torch.float64)
        for b in range(case.m):
            for h in range(shape.heads):
                group = h * shape.kv_heads // shape.heads
                keys, values = cache[0, b, group], cache[-1, b, group, :, : shape.v_dim]
                scores = keys @ queries[b, h] / shape.head_dim**0.5
                expected[b, h] = torch.softmax(scores, 0) @ values
        torch.testing.assert_close(reference_of(problem).exact, expected.view(case.m, case.n))


_KERNEL_CASES = [
    *(
        f"decode_attention/{cache}-bf16-bf16/{shape}"
        for cache in ("bf16", "fp8_e4m3.tensor", "int8.token")
        for shape in ("b1-h8-g2-d64-c33", "b3-h4-g4-d32-c64", "b2-h16-g1-d72-v64-c50")
    ),
    *(
        f"decode_attention/nvfp4.g16-bf16-bf16/{shape}"
        for shape in ("b1-h8-g2-d64-c33", "b3-h4-g4-d32-c64", "b2-h16-g1-d80-v64-c50")
    ),
    *(
        f"grouped_gemm/{formats}/t9-p2-e6-n48-k128-{routing}"
        for formats in ("bf16-bf16-bf16", "int4.g128-bf16-bf16", "mxfp4.g32-bf16-bf16")
        for routing in ("uniform", "zipf1.0", "counts.1x10.5x8")
    ),
]


@pytest.mark.parametrize("text", _KERNEL_CASES)
def test_cpu_kernels_agree_with_float64(text: str) -> None:
    """Every torch kernel of the CPU, experts without rows included."""
    case = Case.parse(text)
    kernels = [k for k in registry.load().kernels.values() if k.made_for(case, _CPU)]
    assert kernels
    for kernel in kernels:
        assert kernel.check(case, _CPU) is None
        problem = Problem(case, _CPU, seed=3)
        prepared = kernel.build(problem)
        assert isinstance(prepared, Prepared)
        accuracy = check(prepared, problem)
        assert accuracy.frobenius < tolerance(case), kernel.name


def test_an_nvfp4_cache_is_written_out_exactly_for_every_code_and_scale() -> None:
    """All 16 codes by all 127 scales that are not negative: level x scale x tensor scale, no bit lost."""
    case = Case.parse("decode_attention/nvfp4.g16-bf16-bf16/b1-h1-g1-d16-c127")
    codes = torch.arange(16, dtype=torch.uint8).expand(254, 16).contiguous()
    steps = torch.arange(127, dtype=torch.uint8).view(torch.float8_e4m3fn).float().repeat(2)[:, None]
    whole = torch.tensor([2.0**-5])
    weight = Quantized(case.weight, codes, steps, tensor_scale=whole)
    problem = Problem(case, _CPU).with_operands(weight=weight, arriving=torch.ones(1, 16).bfloat16())
    written = block_dequantizer(problem)(*packed_blocks(problem))
    expected = torch.tensor(e2m1_levels(), dtype=torch.float64) * steps.double() / 32
    assert torch.equal(written.double(), expected)
    assert torch.equal(weight.dequantized(), expected)


def test_an_old_torch_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without grouped_mm the kernel is skipped with the version."""
    monkeypatch.delattr(torch.nn.functional, "grouped_mm", raising=False)
    monkeypatch.delattr(torch, "_grouped_mm", raising=False)
    case = Case.parse("grouped_gemm/bf16-bf16-bf16/t2-p1-e2-n16-k16-uniform")
    refused = registry.load().kernels["torch.grouped_mm"].build(Problem(case, _CPU))
    assert isinstance(refused, Skip)
    assert refused.reason == f"torch {torch.__version__} has no grouped_mm: 2.8 and later have"


def test_fp8_experts_are_refused_where_no_gpu_has_them() -> None:
    """An A100 is told what is needed; a CPU has no such kernel."""
    kernel = registry.load().kernels["torch.quant+scaled_grouped_mm"]
    case = ExpertsCase.of(scheme("fp8-w8a8"), 4, (4, 2, 32, 64), "uniform")
    a100 = Device(kind="sim", index=0, name="A100", compute_capability="8.0")
    skip = kernel.check(case, a100)
    assert skip is not None
    assert "grouped fp8 products need compute capability 9.0" in skip.reason
    assert not kernel.made_for(case, _CPU)


def test_triton_attention_refuses_what_it_cannot_do() -> None:
    """MLA and heads of 72 columns by their width, fp8 by the capability; a Hopper takes the rest."""
    kernel = registry.load().kernels["triton.attention"]
    hopper, ampere = (
        Device(kind="sim", index=0, name=name, compute_capability=name) for name in ("9.0", "8.0")
    )

    def reason(text: str, device: Device = hopper) -> str | None:
        skip = kernel.check(Case.parse(f"decode_attention/{text}"), device)
        return None if skip is None else skip.reason

    widths = "triton's attention takes heads of 64, 128 or 256 columns, not"
    assert reason("bf16-bf16-bf16/b1-h8-g1-d576-v512-c64") == f"{widths} 576"
    assert reason("bf16-bf16-bf16/b1-h8-g1-d72-c64") == f"{widths} 72"
    assert reason("bf16-bf16-bf16/b1-h8-g1-d128-c64") is None
    fp8 = "fp8_e4m3.tensor-bf16-bf16/b1-h8-g1-d128-c64"
    assert reason(fp8) is None
    assert reason(fp8, ampere) == "conversions of e4m3 need compute capability 8.9, this one has 8.0"
