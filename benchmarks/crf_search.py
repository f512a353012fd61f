"""The search for the CRF's parameters: what it finds on twenty real images, and how long a plain loop would take.

    python benchmarks/crf_search.py [--jobs 2] [--peer-settings 2] [--log FILE] [--out FILE.md] [--figure FILE.png]

Ours: the paper's coarse box, 96 settings, then its refinement, by `dlseg.crf.search`. The peer: for every setting
and image pydensecrf builds both kernels anew, iterates, and the labels are counted, as scripts commonly do; a few
of the 96 settings are measured, all images each, and the rest is extrapolated. Both read the same files.
"""

import argparse
import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import timing
import torch
from joblib import Parallel, delayed
from real_images import real_images
from tqdm import tqdm

from dlseg.crf import CRFParams, SearchResult, Space, search
from dlseg.evaluation import VOID, ConfusionMatrix, trimap_band
from dlseg.figures.search_heat import search_heat
from dlseg.predict.score_files import ScoredImages

SHOWN = 15


def plain(images: ScoredImages, index: int, params: CRFParams) -> float:
    """One image and setting by pydensecrf's own interface, counted; seconds."""
    import pydensecrf.densecrf as peer

    start = time.perf_counter()
    _, image, probs, truth = images[index]
    classes, height, width = probs.shape
    model = peer.DenseCRF2D(width, height, classes)
    model.setUnaryEnergy(-np.log(np.clip(probs, 1e-5, 1)).reshape(classes, -1))
    kind = {"normalization": peer.NORMALIZE_AFTER, "kernel": peer.DIAG_KERNEL}
    model.addPairwiseGaussian(sxy=params.sigma_gamma, compat=params.w2, **kind)
    model.addPairwiseBilateral(
        sxy=params.sigma_alpha, srgb=params.sigma_beta, rgbim=image, compat=params.w1, **kind
    )
    labels = np.array(model.inference(params.iterations)).reshape(classes, height, width).argmax(0)
    for kept in (truth, np.where(trimap_band(truth, 8), truth, VOID)):
        ConfusionMatrix(classes).update(labels, kept)
    return time.perf_counter() - start


def peer_seconds(images: ScoredImages, settings: list[CRFParams], jobs: int) -> float:
    """Wall-clock seconds of the plain loop over some settings and all images, in so many processes."""
    tasks = [(index, params) for params in settings for index in range(len(images))]
    start = time.perf_counter()
    if jobs == 1:
        for index, params in tqdm(tasks, desc="pydensecrf"):
            plain(images, index, params)
    else:
        Parallel(n_jobs=jobs)(delayed(plain)(images, index, params) for index, params in tasks)
    return time.perf_counter() - start


def speed(images: ScoredImages, jobs: int, count: int) -> str:
    """The coarse round of ours against the plain loop, extrapolated from `count` settings."""
    space = Space(moves=0)
    settings = space.coarse()
    some = [settings[i] for i in np.linspace(0, len(settings) - 1, count + 2).round().astype(int)[1:-1]]
    search(images, replace(space, w1=(5,), sigma_alpha=(50,), sigma_beta=(3,)), jobs=jobs)  # starts the workers
    Parallel(n_jobs=jobs)(delayed(plain)(images, 0, some[0]) for _ in range(jobs))
    start = time.perf_counter()
    search(images, space, jobs=jobs, progress=True)
    ours = time.perf_counter() - start
    rows = [[f"dlseg.crf.search, {jobs} processes of one thread", "96", f"{ours:.0f}", "1"]]
    for processes in sorted({1, jobs}):
        measured = peer_seconds(images, some, processes)
        whole = measured / count * len(settings)
        rows.append(
            [
                f"plain pydensecrf loop, {processes} process{'es' * (processes > 1)}",
                f"{count}: {measured:.0f} s",
                f"{whole:.0f} (extrapolated)",
                f"{whole / ours:.1f}",
            ]
        )
    return (
        f"## Speed: {len(settings)} settings × {len(images)} images\n\n"
        "Wall-clock time; reading, inference and counting included.\n\n"
        + timing.table(["", "settings measured", "seconds for all", "times ours"], rows)
    )


def found(images: ScoredImages, jobs: int, log: Path | None, figure: Path | None) -> str:
    """The whole search: its best trials, and the heat maps."""
    start = time.perf_counter()
    result: SearchResult = search(images, jobs=jobs, log=log, progress=True)
    seconds = time.perf_counter() - start
    if figure is not None:
        search_heat(result).savefig(figure, dpi=120)
    before, after = result.baseline, result.best
    took = f" in {seconds:.0f} s" if result.done == len(result.trials) else ""
    pairs = {
        "mean IoU": (before.mean_iou, after.mean_iou),
        "within 8 px of boundaries": (before.trimap_mean_iou or 0.0, after.trimap_mean_iou or 0.0),
    }
    rises = ", ".join(f"{name} {100 * a:.2f} → {100 * b:.2f} %" for name, (a, b) in pairs.items())
    picture = f"\n\n![heat maps]({figure.name})" if figure is not None else ""
    return (
        f"## Found\n\n{len(result.trials) - 1} settings on {result.images} images{took}: {rises}, with "
        f"`{result.params.to_json()}`. The {SHOWN} best:\n\n{result.table('markdown', SHOWN)}{picture}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--peer-settings", type=int, default=2, help="of the 96, measured with pydensecrf")
    parser.add_argument("--part", choices=["found", "speed", "both"], default="both")
    parser.add_argument("--log", type=Path, help="the search's log: given again, it goes on from there")
    parser.add_argument("--figure", type=Path)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    images = real_images()
    parts = [f"# The search for the CRF's parameters, measured\n\n{timing.machine(clock=f'{chosen.jobs} jobs')}."]
    if chosen.part != "speed":
        parts.append(found(images, chosen.jobs, chosen.log, chosen.figure))
    if chosen.part != "found":
        parts.append(speed(images, chosen.jobs, chosen.peer_settings))
    timing.save(chosen.out, "\n\n".join(parts))


if __name__ == "__main__":
    main()
