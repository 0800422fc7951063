"""What got slower.

Baselines and their bands, screening, A/B confirmation of suspects, and the history of a case.
"""

__all__ = [
    "anchor_weights",
    "band",
    "baseline",
    "calibrate",
    "change_points",
    "changed",
    "check",
    "confirm",
    "contract",
    "criteria",
    "environment",
    "fingerprint_process",
    "fingerprints",
    "floors",
    "history",
    "judge",
    "learning",
    "own",
    "policy",
    "remeasure",
    "revisions",
    "second",
    "sides",
    "start",
    "starter",
    "steps",
    "suspect_suite",
    "times",
    "verdicts",
    "worktree",
]
