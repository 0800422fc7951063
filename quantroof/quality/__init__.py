"""What a format costs in accuracy.

Format errors, perplexity studies, decode throughput, and measurements of served models. Language models
need the extra `llm`.
"""

__all__ = [
    "calibration",
    "checkpoint",
    "decode",
    "environment",
    "lab",
    "lm",
    "lm_eval",
    "memory",
    "methods",
    "mixed",
    "quantizing",
    "refusals",
    "sensitivity",
    "served",
    "setup",
    "study",
    "windows",
    "writing",
]
