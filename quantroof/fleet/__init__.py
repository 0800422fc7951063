"""Which GPU of many is slow or broken.

Node checks and burn-in, comparison with siblings, with a GPU's own past and with a reference fleet, and the
launch of all nodes.
"""

__all__ = [
    "again",
    "analysis",
    "beside",
    "burn_in",
    "collection",
    "compact",
    "comparisons",
    "conclusions",
    "contracts",
    "evidence",
    "fading",
    "findings",
    "gather",
    "grades",
    "groups",
    "kept",
    "launch",
    "live",
    "next_steps",
    "node",
    "part_check",
    "parts",
    "past",
    "policy",
    "preflight",
    "prolog",
    "quantities",
    "rows",
    "scores",
    "slow_side",
    "sniff",
    "sources",
    "sweeps",
    "telemetry",
    "within",
]
