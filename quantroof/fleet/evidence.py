"""What the measurements say about the GPUs of one population, as arrays: siblings, past, reference, re-test.

Each step is a function of arrays. `weigh` puts them together; nothing is changed afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from quantroof.analysis.distributions import Array
from quantroof.fleet.collection import Collection, Times, Unit, Work, matrix
from quantroof.fleet.comparisons import ReferenceFleet, on_works
from quantroof.fleet.past import change_from_past, slower_on_retest
from quantroof.fleet.policy import MIN_SIBLINGS, Policy
from quantroof.fleet.rows import AT_END
from quantroof.fleet.scores import (
    CLASSES,
    Mask,
    Scores,
    Siblings,
    below_floor,
    class_weights,
    confirmed_by_retest,
    defective,
    learn_siblings,
    nanmedian,
    score,
)


@dataclass(frozen=True, slots=True)
class GpuTimes:
    """The GPUs of one population: log times [gpus, works], NaN where absent, and what bounds each work.

    `columns` are the indices of `works` in the collection. `group_offset` [gpus, works] is what the group of
    a GPU differs from all others: no part of the spread. `offset` is the part that a GPU is not judged by.
    """

    units: list[Unit]
    works: list[Work]
    columns: NDArray[np.intp]
    log_ns: Array
    class_weights: Array
    group_offset: Array | float = 0.0
    offset: Array | float = 0.0


@dataclass(frozen=True, slots=True)
class Retest:
    """Second measurements: log times [gpus, works], and which GPUs [gpus] were measured again."""

    log_ns: Array
    measured: Mask


@dataclass(frozen=True, slots=True)
class Slow:
    """Where GPUs are slow: `defective` [gpus, TESTS]; `below_floor` and `since_past` [gpus, classes]."""

    defective: Mask
    below_floor: Mask
    since_past: Mask

    @property
    def any(self) -> Mask:
        """[gpus]: slow by any of the three."""
        return np.asarray(np.column_stack([self.defective, self.below_floor, self.since_past]).any(axis=1))


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything measured about the GPUs of one population; arrays are [gpus, ...] in the order of
    `times.units`.

    `compared` tells whether there are enough siblings. `past_change` and `reference_level` are [gpus,
    classes] in log time, NaN where there is nothing to compare with. `slow` holds what the re-test confirmed,
    `cleared` the GPUs that were slow at first only. `best_log_ns` [gpus, works] is the better of both
    measurements; `past` and `retest` are what they were compared with.
    """

    times: GpuTimes
    siblings: Siblings
    scores: Scores
    compared: bool
    past_change: Array
    reference: ReferenceFleet | None
    reference_level: Array
    retested: Mask
    slow: Slow
    cleared: Mask
    best_log_ns: Array
    past: Array
    retest: Retest | None


def gpu_times(collection: Collection, times: Times, indices: list[int]) -> GpuTimes:
    """The log times of some units of a collection."""
    columns, log_ns = matrix(times, indices)
    first = [not collection.works[column].name.endswith(AT_END) for column in columns]
    columns, log_ns = columns[first], log_ns[:, first]
    works = [collection.works[column] for column in columns]
    return GpuTimes(
        units=[collection.units[i] for i in indices],
        works=works,
        columns=columns,
        log_ns=log_ns,
        class_weights=class_weights(works, nanmedian(log_ns, 0)),
    )


def within_groups(gpus: GpuTimes, groups: list[str | None], excused: set[str]) -> GpuTimes:
    """The same GPUs with the difference of their groups; those of an excused group are judged within it."""
    offset = np.zeros_like(gpus.log_ns)
    center = nanmedian(gpus.log_ns, 0)
    for group in dict.fromkeys(groups):
        members = np.array([own == group for own in groups])
        if group is not None and members.sum() >= MIN_SIBLINGS:
            offset[members] = np.nan_to_num(nanmedian(gpus.log_ns[members], 0) - center)
    kept = np.array([group in excused for group in groups])
    return replace(gpus, group_offset=offset, offset=np.where(kept[:, None], offset, 0.0))


def past_times(gpus: GpuTimes, times: Times, past: list[list[int]]) -> Array:
    """The median log time [gpus, works] of each GPU's earlier runs, named by unit index; NaN without a
    past."""
    log_ns = np.full_like(gpus.log_ns, np.nan)
    for row, earlier in enumerate(past):
        if earlier:
            columns, table = matrix(times, earlier)
            shared, here, there = np.intersect1d(gpus.columns, columns, return_indices=True)
            log_ns[row, here] = nanmedian(table[:, there], 0) if len(shared) else np.nan
    return log_ns


def retest_times(gpus: GpuTimes, retest: Collection, times: Times) -> Retest:
    """The second measurements of these GPUs, matched by identity within their population."""
    population = gpus.units[0].population
    second = {u.identity: i for i, u in enumerate(retest.units) if u.population == population}
    measured = np.array([unit.identity in second for unit in gpus.units])
    log_ns = np.full_like(gpus.log_ns, np.nan)
    if measured.any():
        indices = [second[unit.identity] for unit in gpus.units if unit.identity in second]
        log_ns[measured] = on_works(retest, times, indices, gpus.works)
    return Retest(log_ns, measured)


def weigh(
    gpus: GpuTimes, past: Array, reference: ReferenceFleet | None, retest: Retest | None, policy: Policy
) -> Evidence:
    """Compare GPUs with their siblings, their past [gpus, works] and the reference; drop what a re-test
    clears."""
    own = gpus.log_ns - gpus.offset
    siblings = learn_siblings(gpus.log_ns - gpus.group_offset, gpus.class_weights)
    scores = score(own, gpus.class_weights, siblings, policy)
    compared = len(gpus.units) >= MIN_SIBLINGS and bool(gpus.works)
    past_change, slower = change_from_past(gpus.log_ns, past, gpus.class_weights, policy)
    low = below_floor(scores, siblings, policy)
    slow = Slow(defective(scores, policy) & compared, low & compared, slower)
    first = slow
    if retest is not None:
        again = score(retest.log_ns - gpus.offset, gpus.class_weights, siblings, policy)
        confirmed = Slow(
            confirmed_by_retest(scores, again, policy),
            below_floor(again, siblings, policy),
            slower_on_retest(retest.log_ns, past, gpus.class_weights, policy),
        )
        slow = _confirmed(first, confirmed, retest.measured)
    return Evidence(
        times=gpus,
        siblings=siblings,
        scores=scores,
        compared=compared,
        past_change=past_change,
        reference=reference,
        reference_level=_reference_level(gpus, reference, retest),
        retested=np.zeros(len(gpus.units), dtype=bool) if retest is None else retest.measured,
        slow=slow,
        cleared=np.asarray(first.any & ~slow.any),
        best_log_ns=gpus.log_ns if retest is None else np.fmin(gpus.log_ns, retest.log_ns),
        past=past,
        retest=retest,
    )


def _confirmed(first: Slow, again: Slow, measured: Mask) -> Slow:
    """What the second measurement shows as well; a GPU that was not measured again keeps its first result."""
    kept = ~measured[:, None]
    return Slow(
        first.defective & (kept | again.defective),
        first.below_floor & (kept | again.below_floor),
        first.since_past & (kept | again.since_past),
    )


def _reference_level(gpus: GpuTimes, reference: ReferenceFleet | None, retest: Retest | None) -> Array:
    """[gpus, classes]: the faster of both measurements, since one that is fast enough clears a GPU."""
    if reference is None:
        return np.full((len(gpus.units), len(CLASSES)), np.nan)
    level = reference.level(gpus.log_ns, gpus.class_weights)
    if retest is None:
        return level
    return np.asarray(np.fmin(level, reference.level(retest.log_ns, gpus.class_weights)))
