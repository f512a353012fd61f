"""Do the paper's relations hold on the shapes? Three seeds, everything trained alike; means and spreads.

    python benchmarks/relations.py --folder runs/relations --out benchmarks/results/relations.md

Half an hour on two quiet cores. It may be stopped at any time: the same command goes on.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from operator import itemgetter
from pathlib import Path
from statistics import mean, stdev

import torch
from timing import machine, save

from dlseg.networks.architectures import VARIANTS
from dlseg.training import Recipe
from dlseg.training.ablation import Plan, Result, ablate, table1
from dlseg.training.callbacks import ProgressBar

PLAN = Plan(
    variants=("deeplab", "deeplab-largefov"),
    seeds=(0, 1, 2),
    recipe=Recipe.shapes(iterations=500),
    branch_recipe=Recipe.shapes(iterations=250),
)
# fc6 and fc7 from the classifier too, as the paper has them; there is no classifier here with DeepLab's 4×4 fc6
ALL_LAYERS = replace(PLAN, variants=("deeplab-largefov",), multiscale=False, seeds=(0,), copy="all")
Measure = Callable[[dict], float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("runs/relations"), help="networks and scores")
    parser.add_argument("--out", type=Path, default=None, help="where the Markdown goes")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    results = ablate(PLAN, args.folder, lambda name, iterations: ProgressBar(iterations, name))
    save(
        args.out,
        "\n\n".join(
            [
                "# The paper's relations on the shapes",
                introduction(),
                table1(results),
                relations(results),
                taps(),
                all_layers(args.folder),
            ]
        ),
    )


def introduction() -> str:
    return (
        f"{machine()}. Seeds {', '.join(map(str, PLAN.seeds))}; width {PLAN.width:g}; 2,000 training pictures, "
        f"{PLAN.recipe.iterations} iterations of {PLAN.recipe.batch} (the multi-scale branches "
        f"{PLAN.branch_recipe.iterations}, on the finished network); measured on the 240 pictures of val. "
        "Every network begins with the shapes classifier's convolutions and new fc6, fc7, fc8. The CRF's "
        f"parameters are the same for all ({PLAN.crf}). In per cent; ± is the standard deviation over seeds."
    )


def relations(results: list[Result]) -> str:
    lines = ["| relation | differences, seed by seed | mean ± deviation | holds |", "|---|---|---|---|"]
    iou: Measure = itemgetter("mean_iou")
    for name in dict.fromkeys(r.variant for r in results):
        of = [r for r in results if r.variant == name]
        lines.append(row(f"the CRF's gain on {name} is 3 points or more", gains(of, iou), 3.0))
        widths = list(of[0].net["trimap_mean_iou"])
        bands = [gains(of, lambda s, w=w: s["trimap_mean_iou"][w]) for w in widths]
        for width, wider in zip(widths[1:], bands[1:], strict=True):
            more = [a - b for a, b in zip(bands[0], wider, strict=True)]
            lines.append(row(f"it is larger within {widths[0]} px of a boundary than within {width} px", more))
    for better, worse in (
        ("deeplab-largefov", "deeplab"),
        ("deeplab-msc", "deeplab"),
        ("deeplab-msc-largefov", "deeplab-largefov"),
    ):
        for crf in (False, True):
            more = [
                100 * (iou(part(a, crf)) - iou(part(b, crf)))
                for a in results
                for b in results
                if (a.variant, b.variant, a.seed) == (better, worse, b.seed)
            ]
            lines.append(row(f"{better} is as good as {worse} or better, {'with' if crf else 'without'} CRF", more))
    return "\n".join(lines)


def all_layers(folder: Path) -> str:
    results = ablate(ALL_LAYERS, folder / "all-layers", lambda name, iterations: ProgressBar(iterations, name))
    return f"LargeFOV whose fc6 and fc7 come from the classifier, one seed:\n\n{table1(results)}"


def taps() -> str:
    """How much of the image fc6 can see at all: its taps that fall on the map, on average over the positions."""
    cells, lines = PLAN.recipe.crop // 8 + 1, []
    for name in PLAN.variants:
        fc6 = VARIANTS[name].fc6
        offsets = [fc6.rate * i - (fc6.padding or 0) for i in range(fc6.kernel)]
        inside = sum(max(0, cells - abs(o)) for o in offsets) / cells
        lines.append(
            f"{name}: {inside**2:.1f} of {fc6.kernel**2} taps of fc6 lie on the {cells} × {cells} map "
            f"of a {PLAN.recipe.crop} px picture, the others on padding."
        )
    return "\n".join(lines)


def part(result: Result, crf: bool) -> dict:
    return (result.crf or {}) if crf else result.net


def gains(results: list[Result], measure: Measure) -> list[float]:
    """What the CRF adds, in points."""
    return [100 * (measure(part(r, True)) - measure(part(r, False))) for r in results]


def row(claim: str, differences: list[float], least: float = 0.0) -> str:
    deviation = stdev(differences) if len(differences) > 1 else 0.0
    verdict = "yes" if mean(differences) >= least else "no"
    if verdict == "yes" and min(differences) < least:
        verdict = "on average"
    each = ", ".join(f"{d:+.2f}" for d in differences)
    return f"| {claim} | {each} | {mean(differences):+.2f} ± {deviation:.2f} | {verdict} |"


if __name__ == "__main__":
    main()
