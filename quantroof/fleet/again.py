"""What a second measurement repeats: the mode and the kind of link that a finding is about, on all GPUs.

A single busy GPU would run cooler, and a link is judged beside the others: the siblings are measured again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from quantroof.bench.links.bus import COLLECTIVES, LinkPlan
from quantroof.bench.run import Job
from quantroof.fleet.analysis import Analysis
from quantroof.fleet.beside import units_beside
from quantroof.fleet.collection import Collection
from quantroof.fleet.gather import gather
from quantroof.records.directory import read_run

_LINK, _PAIRS, _COLLECTIVE = "link_", ("link_slow", "link_pair"), "link_collective"


def slow_codes(analyses: Iterable[Analysis], ids: set[str]) -> dict[str, set[str]]:
    """By mode, the codes of what is slow in the runs with these ids; what failed is not measured again."""
    codes: dict[str, set[str]] = defaultdict(set)
    for gpu in (gpu for analysis in analyses for gpu in analysis.gpus if gpu.unit.run_id in ids):
        slow = {finding.code for finding in gpu.findings if finding.level == "degraded"}
        if slow:
            codes[gpu.population.mode] |= slow
    return dict(codes)


def jobs_again(jobs: Iterable[Job], codes: dict[str, set[str]]) -> Iterator[Job]:
    """The jobs, one per mode, without what no finding is about: modes, cases, and kinds of links."""
    for job in jobs:
        slow = codes.get(job.info.options.mode, set())
        links = links_again(slow)
        if any(not code.startswith(_LINK) for code in slow):
            yield replace(job, links=links)
        elif links is not None:
            yield replace(job, info=msgspec.structs.replace(job.info, plan=()), plans=(), links=links)


def links_again(codes: Iterable[str]) -> LinkPlan | None:
    """The links that these codes are about, None if they are about none: host copies come with each plan."""
    slow = {code for code in codes if code.startswith(_LINK)}
    if not slow:
        return None
    return LinkPlan(pairs=not slow.isdisjoint(_PAIRS), collectives=COLLECTIVES if _COLLECTIVE in slow else ())


def second_measurement(jobs: Sequence[Job], directories: Sequence[str]) -> Collection:
    """The runs of these jobs as one collection; a run of links alone adds its GPUs without times."""
    timed = [name for job, name in zip(jobs, directories, strict=True) if job.plans]
    collection = gather(timed) if timed else Collection()
    for job, name in zip(jobs, directories, strict=True):
        if not job.plans:
            collection.units += units_beside(read_run(Path(name)))
    return collection
