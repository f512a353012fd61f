"""The results of an ablation in the shape of the paper's Table 1, the paper's own numbers beside."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean, stdev

from dlseg.training.ablation import Result

# Table 1 (a): mean IOU in per cent on VOC 2012's val set, trained on train_aug: without and with the CRF
PAPER: dict[str, tuple[float | None, float]] = {
    "deeplab": (59.80, 63.74),
    "deeplab-msc": (61.30, 65.21),
    "deeplab-4x4": (None, 67.14),  # from Table 2, which has it with the CRF only
    "deeplab-7x7": (64.38, 67.64),
    "deeplab-largefov": (62.25, 67.64),
    "deeplab-msc-largefov": (64.21, 68.70),
}
WORDS = {
    "deeplab": "DeepLab{}",
    "deeplab-msc": "DeepLab-MSc{}",
    "deeplab-4x4": "DeepLab{}-4x4",
    "deeplab-7x7": "DeepLab{}-7x7",
    "deeplab-largefov": "DeepLab{}-LargeFOV",
    "deeplab-msc-largefov": "DeepLab-MSc{}-LargeFOV",
}


def table1(results: Sequence[Result]) -> str:
    """A Markdown table: a row a method, in per cent; mean ± standard deviation where there are several seeds."""
    widths = list(results[0].net["trimap_mean_iou"])
    near = "".join(f" within {width} px |" for width in widths)
    lines = [f"| method | mean IOU |{near} parameters | paper, VOC 2012 |", "|---" * (len(widths) + 4) + "|"]
    for name in dict.fromkeys(result.variant for result in results):
        of = [result for result in results if result.variant == name]
        lines.append(_row(name, of, widths, crf=False))
        if all(result.crf is not None for result in of):
            lines.append(_row(name, of, widths, crf=True))
    return "\n".join(lines)


def _row(name: str, results: Sequence[Result], widths: Sequence[str], *, crf: bool) -> str:
    summaries = [(r.crf if crf else r.net) or {} for r in results]
    method = WORDS.get(name, f"{name}{{}}").format("-CRF" if crf else "")
    cells = [method, spread([s["mean_iou"] for s in summaries])]
    cells += [spread([s["trimap_mean_iou"][width] for s in summaries]) for width in widths]
    published = PAPER.get(name, (None, None))[crf]
    cells += [f"{results[0].parameters:,}", "–" if published is None else f"{published:.2f}"]
    return f"| {' | '.join(cells)} |"


def spread(shares: Sequence[float]) -> str:
    """Mean, in per cent, ± standard deviation where there are several."""
    text = f"{100 * mean(shares):.2f}"
    return f"{text} ± {100 * stdev(shares):.2f}" if len(shares) > 1 else text
