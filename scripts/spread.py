"""How far repeated runs of one suite differ on a machine, by format and in all. Reads run directories."""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import median

from quantroof.analysis.case_time import case_time, grouped
from quantroof.records.directory import read_run
from quantroof.records.lines import Measurement, parsed_case

Groups = dict[tuple[str, str, str], list[Measurement]]
_MIN_RUNS = 3


def main() -> None:
    """Print the spread over the runs named on the command line, with the worst cases."""
    runs = [read_run(Path(name)) for name in sys.argv[1:]]
    if len(runs) < _MIN_RUNS:
        sys.exit(f"error: {_MIN_RUNS} runs at least, not {len(runs)}")
    spreads = _spreads([grouped(run.measurements) for run in runs])
    device = runs[0].info.devices[0]
    print(f"{device.name}, suite {runs[0].info.suite}, {len(runs)} runs, {len(spreads)} cases and kernels\n")
    print("Spread is (largest - smallest median) / median of the runs' medians.\n")
    print("| format | cases | median spread | largest |\n|---|---|---|---|")
    schemes = dict.fromkeys(parsed_case(case).scheme for case, _ in spreads)
    for scheme in schemes:
        own = [share for (case, _), share in spreads.items() if parsed_case(case).scheme == scheme]
        print(f"| {scheme} | {len(own)} | {median(own):.1%} | {max(own):.1%} |")
    every = sorted(spreads.values())
    ninety = every[int(0.9 * (len(every) - 1))]
    print(f"| all | {len(every)} | {median(every):.1%} | {max(every):.1%} |\n")
    print(f"Nine cases in ten spread by at most {ninety:.1%}. The widest:\n")
    for (case, kernel), share in sorted(spreads.items(), key=lambda item: -item[1])[:5]:
        print(f"- {share:.1%} {case} {kernel}")


def _spreads(groups: list[Groups]) -> dict[tuple[str, str], float]:
    found = {}
    for key in groups[0]:
        times = [case_time(group.get(key, [])) for group in groups]
        medians = [e.interval.median for e in times if e is not None]
        if len(medians) == len(groups):
            found[key[1:]] = (max(medians) - min(medians)) / median(medians)
    return found


if __name__ == "__main__":
    main()
