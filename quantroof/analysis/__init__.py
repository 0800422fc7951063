"""What follows from the records.

The time of a case with its interval, roofs and the guard against impossible results, the choice of a
format, health, changes and their causes. Torch-free; decides and never prints.
"""

__all__ = [
    "answers",
    "balance",
    "bandwidth_change",
    "bits",
    "case_time",
    "cause",
    "choice",
    "comparison",
    "compiler",
    "conclusions",
    "device_results",
    "distributions",
    "floors",
    "guard",
    "health",
    "health_matrix",
    "layer_sums",
    "links",
    "paired",
    "points",
    "preflight",
    "processes",
    "race",
    "ratio",
    "roofs",
    "run_verdict",
    "speed",
    "spread",
    "stack",
    "statistics",
    "studies",
    "tradeoff",
    "trust",
    "unmeasured",
    "verdicts",
    "winner",
]
