"""`quantroof quality memory`: parameters, stored bytes, quantization state and used memory."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quantroof.cli.output import echo_json, echo_lines, echo_rich, json_option
from quantroof.cli.quality_options import missing_model
from quantroof.errors import UsageError

if TYPE_CHECKING:
    from quantroof.quality.memory.counted import Parameter
    from quantroof.quality.memory.stored import StoredFile


@click.command("memory", short_help="The bytes of a model, format by format.")
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "--load",
    "loaded",
    is_flag=True,
    help="Also load it, and report the memory that this takes.",
)
@click.option("--device", default="cpu", show_default=True, help="Where to load it: cpu or cuda:0.")
@json_option
def command(model: Path, *, loaded: bool, device: str, as_json: bool) -> None:
    """Account for the bytes of MODEL: a checkpoint's directory, or a config.json alone.

    Logical parameters are counted by the advisor's layers (by transformers for other families), stored bytes
    read from the files' headers; nothing is downloaded. With a config.json alone, the bytes in each format
    are what it would need.
    """
    if not model.exists():
        raise missing_model(model)
    from quantroof.quality.environment import load

    load("torch")
    from quantroof.quality.memory import counted
    from quantroof.quality.memory.stored import read_header

    parameters = _parameters(model)
    files: list[StoredFile] = []
    if model.is_dir() and any(model.glob("*.safetensors")):
        from quantroof.quality.checkpoint import weight_files

        files = [read_header(file) for file in weight_files(model)]
    data: dict[str, Any] = {
        "logical_parameters": sum(p.count for p in parameters),
        "in_linear_layers": sum(p.count for p in parameters if p.quantizable),
        "formats_bytes": _formats(parameters),
        "stored": _stored(files),
    }
    if loaded:
        data["loaded"] = counted.measure_loaded(model, device)
    if as_json:
        echo_json("quality-memory", data)
    else:
        from quantroof.reports.text.memory_lines import memory_tables, parameters_line

        echo_lines([parameters_line(model, data)])
        echo_rich(memory_tables(data))


def _parameters(path: Path) -> list[Parameter]:
    """The parameters by the advisor's layers, experts included; for other families by transformers.

    Biases and the norms of queries and keys are not among the advisor's, some thousandths of a percent.
    """
    from quantroof.advisor import layers
    from quantroof.advisor.model_lookup import model
    from quantroof.quality.memory import counted

    try:
        subject = model(str(path))
    except UsageError:
        return counted.count(path)
    found = [
        counted.Parameter(
            layer.name,
            (layer.count * (layer.moe.experts if layer.moe else 1), layer.n, layer.k),
            layer.quantized,
        )
        for layer in layers.linear_layers(subject)
    ]
    if not subject.tied_embeddings:
        found.append(counted.Parameter("embedding", (subject.vocab, subject.hidden), quantizable=False))
    norms = layers.norm_parameters(subject)
    return [*found, counted.Parameter("norms", (norms,), quantizable=False)]


def _formats(parameters: list[Parameter]) -> dict[str, int | None]:
    from quantroof.quality.memory import counted

    sizes: dict[str, int | None] = {}
    for name in counted.FORMATS:
        try:
            sizes[name] = counted.bytes_in(parameters, name)
        except UsageError:  # the group does not divide some layer
            sizes[name] = None
    return {**sizes, "nf4.g64 double-quantized": counted.bytes_double_quantized(parameters)}


def _stored(files: list[StoredFile]) -> dict[str, Any] | None:
    if not files:
        return None
    roles: Counter[str] = Counter()
    dtypes: Counter[str] = Counter()
    layers: Counter[str] = Counter()
    for tensor in (t for file in files for t in file.tensors):
        roles[tensor.role] += tensor.bytes
        dtypes[tensor.dtype] += tensor.bytes
        layers[tensor.layer] += tensor.bytes
    headers = sum(file.header_bytes for file in files)
    return {
        "files": len(files),
        "file_bytes": sum(file.bytes for file in files),
        "by_role": {**roles, "file headers": headers},
        "by_dtype": dict(dtypes),
        "by_layer": dict(layers),
    }
