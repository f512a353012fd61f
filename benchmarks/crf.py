"""The fully connected CRF against pydensecrf: time, memory, agreement, on real images and in the worst case.

    python benchmarks/crf.py PART [--threads 2] [--rounds 3] [--out FILE.md]

PART is one of
    images     build, iterate and total of every real image, both engines in turn
    paths      after a change of the weights alone, of one sigma; the preview
    noise      21 labels all likely somewhere, on noise: nothing can be left out
    agreement  labels and marginals, three settings, two normalisations
    pixels     time and peak memory from 0.1 to 12 megapixels, 21 labels, each case in a process of its own
    labels     the same from 2 to 151 labels

Both start from the same float32 probabilities and end with marginals. pydensecrf has one thread.
"""

import argparse
import statistics
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import timing
import torch
from crf_cases import PARAMS, Times, alone, noise, ours, peer
from real_images import real_images

from dlseg.crf import CRFParams, DenseCRF

SETTINGS = (PARAMS, CRFParams(10, 80, 13, 3, 3), CRFParams(4, 121, 5, 3, 3))
MEGA = (0.1, 0.3, 1.0, 3.0, 12.0)
LABELS = (2, 5, 11, 21, 60, 151)
Runs = dict[str, list[Times]]


def in_turn(count: int, engines: dict[str, Callable[[], Times]]) -> Runs:
    """Every engine, round after round: what disturbs the machine disturbs all alike."""
    runs: Runs = {name: [] for name in engines}
    for _ in range(count):
        for name, work in engines.items():
            runs[name].append(work())
    return runs


def middle(values: list[float]) -> float:
    return statistics.median(values)


def ms(seconds: float) -> str:
    return f"{1e3 * seconds:.0f}"


def engines(image: np.ndarray, probs: np.ndarray, threads: int) -> dict[str, Callable[[], Times]]:
    """pydensecrf, and ours with 1 thread and with `threads`."""
    found: dict[str, Callable[[], Times]] = {"pydensecrf": lambda: peer(image, probs)[0]}
    for count in sorted({1, threads}):
        found[f"ours, {count} thread{'s' * (count > 1)}"] = lambda count=count: ours(image, probs, count)[0]
    return found


def medians(runs: Runs) -> list[str]:
    """build + iterate = total of each engine, and how many times faster each of ours is in total."""
    cells = []
    for times in runs.values():
        parts = [middle([getattr(t, part) for t in times]) for part in ("build", "iterate", "total")]
        cells.append(f"{ms(parts[0])} + {ms(parts[1])} = {ms(parts[2])}")
    return cells + [f"{ratio(runs, name):.1f}" for name in list(runs)[1:]]


def ratio(runs: Runs, name: str) -> float:
    return middle([a.total / b.total for a, b in zip(runs["pydensecrf"], runs[name], strict=True)])


def head(first: str, runs: Runs) -> list[str]:
    return [first, *(f"{name}, ms" for name in runs), *(f"times faster, {name}" for name in list(runs)[1:])]


def images(rounds: int, threads: int) -> str:
    """Every real image."""
    rows, ratios, runs = [], [], {}
    for name, image, probs, _ in real_images():
        runs = in_turn(rounds, engines(image, probs, threads))
        rows.append([f"{name}, {image.shape[1]}×{image.shape[0]}", *medians(runs)])
        ratios.append([ratio(runs, engine) for engine in list(runs)[1:]])
    middles = (f"**{middle(list(column)):.1f}**" for column in zip(*ratios, strict=True))
    last = ["**median of the ratios**", *[""] * len(runs), *middles]
    return (
        "## Real images: build + ten iterations = total\n\n21 labels, w1 4, σα 67, σβ 3, w2 3, σγ 3; "
        f"median of {rounds} rounds.\n\n" + timing.table(head("image", runs), [*rows, last])
    )


def worst(rounds: int, threads: int) -> str:
    """Noise: every pixel its own lattice points, every label alive."""
    image, probs = noise(21)
    runs = in_turn(rounds, engines(image, probs, threads))
    return (
        f"## The worst case: noise, 500×375, 21 labels all likely somewhere\n\nMedian of {rounds} rounds.\n\n"
        + timing.table(head("", runs), [["noise", *medians(runs)]])
    )


def paths(rounds: int, threads: int) -> str:
    """After a change, with an engine kept; pydensecrf has nothing to keep."""
    p = PARAMS
    changes: dict[str, Callable[[DenseCRF, int], object]] = {
        "weights changed": lambda crf, i: crf.infer(replace(p, w1=p.w1 + 0.1 * i)),
        "σγ changed": lambda crf, i: crf.infer(replace(p, sigma_gamma=3 + 0.01 * i)),
        "σα, σβ changed": lambda crf, i: crf.infer(replace(p, sigma_alpha=67 + i, sigma_beta=3 + 0.01 * i)),
        "preview, weights changed": lambda crf, i: crf.preview(replace(p, w1=p.w1 + 0.1 * i)),
        "preview, σα, σβ changed": lambda crf, i: crf.preview(
            replace(p, sigma_alpha=67 + i, sigma_beta=3 + 0.01 * i)
        ),
    }
    times: dict[str, list[float]] = {name: [] for name in changes}
    ratios: dict[str, list[float]] = {name: [] for name in changes}
    for _, image, probs, _ in real_images():
        crf = DenseCRF(image, probs=probs, threads=threads)
        crf.infer(p), crf.preview(p)
        whole = peer(image, probs)[0].total
        for name, change in changes.items():
            crf.infer(p), crf.preview(p)
            took = middle([timing.clocked(partial(change, crf, i)) for i in range(1, rounds + 1)])
            times[name].append(took)
            ratios[name].append(whole / took)
    rows = [
        [name, ms(middle(times[name])), ms(max(times[name])), f"{middle(ratios[name]):.1f}"] for name in changes
    ]
    columns = ["", "ms, median of images", "ms, slowest image", "times faster than pydensecrf anew"]
    return (
        f"## After a change, {threads} threads\n\nThe same 20 images, about 500×375, 21 labels; {rounds} "
        "changes each. A preview works on half the resolution.\n\n" + timing.table(columns, rows)
    )


def agreement() -> str:
    """Labels equal, and the mean difference of marginals: the worst and the median image."""
    rows = []
    for p in SETTINGS:
        for normalization in ("after", "symmetric"):
            q = replace(p, normalization=normalization)
            same, apart = [], []
            for _, image, probs, _ in real_images():
                theirs, mine = peer(image, probs, q)[1], DenseCRF(image, probs=probs).infer(q)
                same.append(float(np.mean(theirs.argmax(0) == mine.argmax(0))))
                apart.append(float(np.mean(np.abs(theirs - mine))))
            rows.append(
                [
                    f"w1 {p.w1:g}, σα {p.sigma_alpha:g}, σβ {p.sigma_beta:g}, {normalization}",
                    f"{min(same):.5f}",
                    f"{middle(same):.5f}",
                    f"{max(apart):.1e}",
                    f"{middle(apart):.1e}",
                ]
            )
    columns = ["20 real images", "same labels, least", "median", "mean |ΔQ|, largest", "median"]
    return "## Agreement with pydensecrf\n\n" + timing.table(columns, rows)


def growth(scene: str, threads: int, amounts: tuple[float, ...]) -> str:
    """Time and memory by the number of pixels, in millions, or of labels."""
    _, image, probs, _ = real_images()[0]
    rows = []
    for amount in amounts:
        size = amount * 1e6 if scene == "pixels" else amount
        theirs, mine = (alone(engine, scene, image, probs, size) for engine in ("pydensecrf", str(threads)))
        rows.append(
            [
                f"{amount:g}",
                f"{theirs.seconds:.2f}",
                f"{mine.seconds:.2f}",
                f"{theirs.seconds / mine.seconds:.1f}",
                f"{theirs.peak / 2**20:,.0f}",
                f"{mine.peak / 2**20:,.0f}",
                f"{theirs.peak / mine.peak:.1f}",
            ]
        )
    what = (
        "megapixels, 21 labels (a real image and its scores, enlarged)"
        if scene == "pixels"
        else f"labels, all likely somewhere, {image.shape[1]}×{image.shape[0]}"
    )
    columns = [
        what,
        "pydensecrf, s",
        f"ours, {threads} threads, s",
        "times faster",
        "pydensecrf: peak, MiB",
        "ours: peak, MiB",
        "times less",
    ]
    return (
        f"## Growth with {scene}\n\nEach case in a process of its own, once; peak memory is what the engine "
        "holds beyond the image and the probabilities given to it.\n\n" + timing.table(columns, rows)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["images", "paths", "noise", "agreement", "pixels", "labels"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--amounts",
        type=lambda text: tuple(map(float, text.split(","))),
        help="megapixels or labels, instead of the usual ones",
    )
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    image, probs = noise(3, 60, 80)
    for threads in (1, chosen.threads):
        ours(image, probs, threads)  # compiles
    works: dict[str, Callable[[], str]] = {
        "images": lambda: images(chosen.rounds, chosen.threads),
        "paths": lambda: paths(chosen.rounds, chosen.threads),
        "noise": lambda: worst(chosen.rounds, chosen.threads),
        "agreement": agreement,
        "pixels": lambda: growth("pixels", chosen.threads, chosen.amounts or MEGA),
        "labels": lambda: growth("labels", chosen.threads, chosen.amounts or LABELS),
    }
    machine = timing.machine(f"{chosen.threads} threads at most, wall-clock time")
    timing.save(chosen.out, f"# The CRF, measured: {chosen.part}\n\n{machine}.\n\n{works[chosen.part]()}")


if __name__ == "__main__":
    main()
