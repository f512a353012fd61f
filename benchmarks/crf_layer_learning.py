"""Weights and compatibilities of the CRF learned by gradient, from (1, 1, Potts), next to those a search found.

    python benchmarks/crf_layer_learning.py [--scenes 240] [--steps 60] [--val 240] [--out FILE.md]

The shipped network's scores on the embedded shapes; sigmas, iterations and normalisation as found by the search
(SHAPES_CRF). CRFLayer learns on training scenes by Adam; the loss is one minus the mean over classes of the IoU
with marginals in place of labels, what is measured in the end. (Cross-entropy punishes the few pixels of which the
CRF is surely and wrongly convinced, and so keeps the weights small.) Then the labels of DenseCRF with what was
learned are counted on the validation scenes.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import timing
import torch
from torch.nn import functional as F

from dlseg.crf import CRFLayer, CRFParams, DenseCRF
from dlseg.datasets import load
from dlseg.evaluation import ConfusionMatrix
from dlseg.networks import create
from dlseg.predict import predict
from dlseg.training import SHAPES_CRF

VOID = 255


class Scored(NamedTuple):
    """Of many scenes: images (B, H, W, 3), logits (B, C, H, W), labels (B, H, W)."""

    images: torch.Tensor
    logits: torch.Tensor
    labels: torch.Tensor


def scored(split: str, count: int) -> Scored:
    """The first scenes of a split, with the network's scores."""
    data = load("shapes", split)
    net = create("deeplab-largefov", data.num_classes, width=1 / 8, weights="shapes").eval()
    samples = [data[i] for i in range(min(count, len(data)))]
    scores = [predict(net, sample.image).scores for sample in samples]
    return Scored(
        *(
            torch.from_numpy(np.stack(arrays))
            for arrays in (
                [sample.image for sample in samples],
                scores,
                [sample.label.astype(np.int64) for sample in samples],
            )
        )
    )


def soft_iou(q: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean IoU of marginals (B, C, H, W), over the classes there are."""
    known = (labels != VOID)[:, None]
    truth = F.one_hot(labels.clamp(max=q.shape[1] - 1), q.shape[1]).movedim(3, 1) * known
    q, pixels = q * known, (0, 2, 3)
    both, either = (q * truth).sum(pixels), (q + truth - q * truth).sum(pixels)
    there = truth.sum(pixels) > 0
    return (both[there] / either[there]).mean()


def learned(scenes: Scored, steps: int, batch: int, compatibility: bool) -> tuple[CRFLayer, list[str]]:
    """A layer from (1, 1, Potts), and a few lines about how it went."""
    torch.manual_seed(0)
    layer, said = CRFLayer(scenes.logits.shape[1], replace(SHAPES_CRF, w1=1.0, w2=1.0)), []
    layer.compatibility.requires_grad_(compatibility)
    weights = {"params": [layer.log_w1, layer.log_w2], "lr": 0.1}
    optimiser = torch.optim.Adam([weights, *[{"params": [layer.compatibility], "lr": 0.03}] * int(compatibility)])
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    losses: list[float] = []
    for step in range(1, steps + 1):
        some = torch.randperm(len(scenes.images))[:batch]
        q = layer(scenes.images[some], scenes.logits[some])
        loss = 1 - soft_iou(q, scenes.labels[some])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        losses.append(loss.item())
        if step % max(1, steps // 4) == 0:
            recent = np.mean(losses[-steps // 4 :])
            said.append(
                f"{'all' if compatibility else 'weights alone'}, step {step}: loss {recent:.3f}, "
                f"w1 {layer.params.w1:.2f}, w2 {layer.params.w2:.2f}"
            )
            print(said[-1], flush=True)
    return layer, said


def mean_iou(scenes: Scored, labels: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> float:
    """Per cent, of labels(image, logits)."""
    matrix = ConfusionMatrix(scenes.logits.shape[1], ignore_index=VOID)
    for image, logits, truth in zip(*(field.numpy() for field in scenes), strict=True):
        matrix.update(labels(image, logits), truth)
    return 100 * matrix.mean_iou()


def with_crf(params: CRFParams, compatibility: np.ndarray | None = None) -> Callable:
    """Labels by a CRF."""
    return lambda image, logits: DenseCRF(image, logits=logits, compatibility=compatibility).label(params)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=240)
    parser.add_argument("--val", type=int, default=240)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    torch.set_num_threads(2)
    val = scored("val", chosen.val)
    train = scored("train", chosen.scenes)
    alone, first = learned(train, chosen.steps, chosen.batch, compatibility=False)
    layer, said = learned(train, chosen.steps, chosen.batch, compatibility=True)
    p, mu = layer.params, layer.costs
    rows = [
        ["no CRF", mean_iou(val, lambda image, logits: logits.argmax(axis=0))],
        ["the start: w1 1, w2 1, Potts", mean_iou(val, with_crf(replace(SHAPES_CRF, w1=1.0, w2=1.0)))],
        [f"searched: w1 {SHAPES_CRF.w1:g}, w2 {SHAPES_CRF.w2:g}, Potts", mean_iou(val, with_crf(SHAPES_CRF))],
        [
            f"learned: w1 {alone.params.w1:.1f}, w2 {alone.params.w2:.1f}, Potts",
            mean_iou(val, with_crf(alone.params)),
        ],
        [f"learned: w1 {p.w1:.1f}, w2 {p.w2:.1f}, compatibilities", mean_iou(val, with_crf(p, mu))],
    ]
    other = mu[~np.eye(len(mu), dtype=bool)]
    text = (
        f"# The CRF's weights learned by gradient, measured\n\n{timing.machine('2 threads')}.\n\n"
        f"Shapes, {len(val.images)} validation scenes; learned on {min(chosen.scenes, 2000)} training scenes, "
        f"{chosen.batch} a step, σα {p.sigma_alpha:g}, σβ {p.sigma_beta:g}, σγ {p.sigma_gamma:g}, "
        f"{p.iterations} iterations, as the search found them.\n\n"
        + timing.table(["", "mean IoU, %"], [[name, f"{value:.2f}"] for name, value in rows])
        + "\n\n"
        + "\n".join(f"- {line}" for line in (*first, *said))
        + f"\n- compatibilities learned: unlike labels {other.min():.2f} to {other.max():.2f}, mean "
        f"{other.mean():.2f}; like labels {np.diag(mu).min():.2f} to {np.diag(mu).max():.2f}"
    )
    timing.save(chosen.out, text)


if __name__ == "__main__":
    main()
