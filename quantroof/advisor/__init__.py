"""What to choose.

Models and machines, memory, the time of a step, cost, and the decision between formats with its
explanation.
"""

__all__ = [
    "advice",
    "caveats",
    "choices",
    "config_fields",
    "cost",
    "crossover",
    "decision",
    "derived_gpu",
    "estimate",
    "explain",
    "families",
    "flow",
    "formats_on_gpu",
    "huggingface",
    "launch",
    "layers",
    "linear_time",
    "links",
    "machine",
    "memory",
    "model_lookup",
    "models",
    "native_format",
    "options",
    "quantities",
    "run_times",
    "served",
    "sources",
    "step",
    "timings",
    "usual",
]
