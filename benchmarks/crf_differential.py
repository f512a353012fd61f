"""Whether shortcuts cost accuracy: random CRF problems of every kind, `infer` against `steps`, and pydensecrf.

    python benchmarks/crf_differential.py [--cases 4000] [--first 0] [--jobs 2] [--out FILE.md]

`steps` lets every pixel and every label take part in every iteration; `infer` leaves out what it has a bound for.
Counted are the cases with a mean total variation distance (mean |ΔQ| · C / 2) above 2e-4, or with more than
0.2 % of surely decided pixels (margin above 1e-3) labelled otherwise. Every seventh case is also solved by
pydensecrf, which `steps` may be 5e-4 away from. The cases: tests/shared/random_cases.py.
"""

import argparse
import sys
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import median
from typing import NamedTuple

import timing
import torch

from dlseg.crf import DenseCRF

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests" / "shared"))
from random_cases import UNARIES, Difference, difference, draw_case

OURS, PEER, LABELS = 2e-4, 5e-4, 2e-3


class Found(NamedTuple):
    """One case: its kind, what `infer` differs from `steps` by, and `steps` from pydensecrf if asked."""

    kind: str
    name: str
    ours: Difference
    peer: Difference | None


def solve(seed: int) -> Found:
    """One case, on one thread."""
    torch.set_num_threads(1)
    case = draw_case(seed)
    crf = DenseCRF(case.image, probs=case.probs, threads=1)
    *_, step = crf.steps(case.params, relax=case.relax)
    ours = difference(crf.infer(case.params, relax=case.relax), step.q)
    peer = None
    if seed % 7 == 0 and case.params.normalization != "none":  # which pydensecrf does not have
        other = DenseCRF(case.image, probs=case.probs, kernel="pydensecrf").infer(case.params, relax=case.relax)
        peer = difference(step.q, other)
    return Found(UNARIES[seed % len(UNARIES)], case.name, ours, peer)


def row(kind: str, found: list[Found]) -> list[str]:
    """A line of the table."""
    peers = [case.peer for case in found if case.peer is not None]
    ours = [case.ours for case in found]
    return [
        kind,
        str(len(found)),
        str(sum(wrong(d, OURS) for d in ours)),
        f"{median(d.between for d in ours):.1e}",
        f"{max(d.between for d in ours):.1e}",
        f"{100 * max(d.labels for d in ours):.3f}",
        str(len(peers)),
        str(sum(wrong(d, PEER) for d in peers)),
        f"{max((d.between for d in peers), default=0):.1e}",
    ]


def wrong(found: Difference, most: float) -> bool:
    """Whether a case counts as wrong."""
    return found.between > most or found.labels > LABELS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=4000)
    parser.add_argument("--first", type=int, default=0, help="the first case's seed")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    seeds = range(chosen.first, chosen.first + chosen.cases)
    kinds: dict[str, list[Found]] = defaultdict(list)
    with ProcessPoolExecutor(chosen.jobs) as pool:
        for found in pool.map(solve, seeds, chunksize=20):
            kinds[found.kind].append(found)
            if wrong(found.ours, OURS) or (found.peer is not None and wrong(found.peer, PEER)):
                print(found, file=sys.stderr)
    head = [
        "unary",
        "cases",
        "wrong",
        "distance to steps, median",
        "largest",
        "% of labels, most",
        "steps against pydensecrf",
        "wrong",
        "distance, largest",
    ]
    every = [case for cases in kinds.values() for case in cases]
    rows = [row(kind, kinds[kind]) for kind in UNARIES if kinds[kind]] + [row("**all**", every)]
    timing.save(
        chosen.out,
        "# The CRF's shortcuts on random problems of every kind\n\n"
        f"{timing.machine(f'seeds {seeds.start} to {seeds.stop - 1}')}.\n\n{timing.table(head, rows)}\n",
    )


if __name__ == "__main__":
    main()
