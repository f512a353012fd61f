"""The CRF as a layer: a step, forward and backward, next to an inference of the same settings.

    python benchmarks/crf_layer.py [--threads 2] [--rounds 7] [--out FILE.md]

All in one run, in turn, on 321×321 pixels, 21 labels, 5 iterations: DenseCRF.infer; CRFLayer forward, and forward
and
backward, with everything learned and with the weights alone; and the torch path that a traced unary used to take,
sparse matrices unrolled by autograd. Twice: with lattices kept, and on an image not seen before. Two scenes: a real
image's own scores (labels that cannot win anywhere are left out by infer, not by the layer, whose gradient is
                    exact),
and coarse scores in which every label is likely somewhere.
"""

import argparse
import statistics
from collections.abc import Callable
from pathlib import Path

import numpy as np
import timing
import torch
from crf_cases import blobs
from real_images import real_images

from dlseg.crf import CRFLayer, CRFParams, DenseCRF
from dlseg.crf.lattice.unrolled import unrolled
from dlseg.crf.torch_lattice import SparseKernel

SIDE, CLASSES = 321, 21
P = CRFParams(4, 67, 3, 3, 3, 5)
Work = Callable[[], object]


def scenes() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Images (321, 321, 3) and logits (21, 321, 321)."""
    _, image, probs, _ = real_images()[0]
    rows, columns = (np.linspace(0, n - 1, SIDE).round().astype(int) for n in image.shape[:2])
    crop = np.ascontiguousarray(image[rows][:, columns])
    real = np.log(np.maximum(probs[:, rows][:, :, columns], 1e-5)).astype(np.float32)
    _, alive = blobs(crop, CLASSES)
    return {
        "real image, its own scores": (crop, real),
        "real image, every label alive": (crop, np.log(alive).astype(np.float32)),
    }


def fresh(image: np.ndarray) -> np.ndarray:
    """The image with one pixel changed: nothing kept is of use."""
    other = image.copy()
    other[0, 0] = np.random.default_rng().integers(0, 256, 3)
    return other


def works(image: np.ndarray, logits: np.ndarray, threads: int, kept: bool) -> dict[str, Work]:
    """What is timed, by name."""
    unary = torch.from_numpy(logits)
    towards = torch.randn(unary.shape, generator=torch.Generator().manual_seed(0))
    crf = DenseCRF(image, logits=logits, threads=threads)
    everything, weights = CRFLayer(CLASSES, P, threads=threads), CRFLayer(CLASSES, P, threads=threads)
    weights.compatibility.requires_grad_(False)
    sparse = SparseKernel(torch.from_numpy(image.astype(np.float32)))

    def seen() -> np.ndarray:
        return image if kept else fresh(image)

    def inference() -> object:
        return crf.infer(P) if kept else DenseCRF(fresh(image), logits=logits, threads=threads).infer(P)

    def forward() -> object:
        with torch.no_grad():
            return weights(seen()[None], unary[None])

    def step(layer: CRFLayer) -> Work:
        def both() -> None:
            x = unary.clone().requires_grad_()
            (layer(seen()[None], x[None])[0] * towards).sum().backward()

        return both

    def torch_path() -> None:
        x = unary.clone().requires_grad_()
        kernel = sparse if kept else SparseKernel(torch.from_numpy(fresh(image).astype(np.float32)))
        scores = x.flatten(1).log_softmax(0).clamp(min=np.log(1e-5))
        q = unrolled(scores.T, kernel.filters(P), (1, 1), None, P.iterations)
        (q.T * towards.flatten(1)).sum().backward()

    return {
        "infer": inference,
        "layer, forward": forward,
        "layer, forward and backward, weights learned": step(weights),
        "layer, forward and backward, compatibility too": step(everything),
        "torch's sparse matrices, forward and backward": torch_path,
    }


def measured(name: str, image: np.ndarray, logits: np.ndarray, threads: int, rounds: int) -> str:
    """One scene's table."""
    rows = []
    for kept in (True, False):
        candidates = works(image, logits, threads, kept)
        times: dict[str, list[float]] = {work: [] for work in candidates}
        for number in range(rounds + 1):
            for work, do in candidates.items():
                took = timing.clocked(do)
                if number:
                    times[work].append(took)
        for work, took in times.items():
            ratio = statistics.median(a / b for a, b in zip(took, times["infer"], strict=True))
            rows.append(["kept" if kept else "built", work, timing.milliseconds(took), f"{ratio:.1f}"])
    return f"## {name}\n\n" + timing.table(["lattices", "", "ms: median (best)", "times an infer"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    tables = [measured(name, *scene, chosen.threads, chosen.rounds) for name, scene in scenes().items()]
    machine = timing.machine(f"{chosen.threads} threads, wall-clock time")
    head = (
        f"# The CRF as a layer, measured\n\n{machine}.\n\n{SIDE}×{SIDE} pixels, {CLASSES} labels, 5 "
        f"iterations, w1 4, σα 67, σβ 3, w2 3, σγ 3; {chosen.rounds} rounds, everything in turn. The ratio is "
        "the median over rounds. `infer` leaves out labels that cannot win and pixels that stay as they are; "
        "the layer leaves out nothing.\n\n"
    )
    timing.save(chosen.out, head + "\n\n".join(tables))


if __name__ == "__main__":
    main()
