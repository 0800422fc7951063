"""All kinds of cases: `Case.parse` reads the ids of those that are imported here."""

from __future__ import annotations

from quantroof.kernels.attention.case import AttentionCase
from quantroof.kernels.case import CallCase, Case, Operation
from quantroof.kernels.experts.case import ExpertsCase

__all__ = ["AttentionCase", "CallCase", "Case", "ExpertsCase", "Operation"]
