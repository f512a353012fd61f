"""The other explorers in a page: what JavaScript cannot compute there is computed here and stored as bytes."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any, get_args

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image

from dlseg.atrous import Window
from dlseg.common.checks import message, rgb_image
from dlseg.datasets import Sample
from dlseg.datasets.voc import palette
from dlseg.networks.architectures import GeometryName
from dlseg.networks.table2 import table2
from dlseg.training.ablation import PAPER, WORDS
from dlseg.widgets.atrous_model import FILTERS
from dlseg.widgets.field_model import NETS, full_net
from dlseg.widgets.pooling_model import classifier, first_centre, moved, scores_at
from dlseg.widgets.training_run import Trainer
from dlseg.widgets.webpage.page import base64_of, part

STRIDES = (32, 16, 8)
SCRIPTS = ("explorers.js",)


def atrous_parts(features: Float[np.ndarray, "..."], *, still: str = "", name: str = "atrous") -> str:
    """The atrous explorer (section 3.1) as a piece of HTML, on a map (h, w) of finite numbers.

    Args:
        features: the map, (h, w) finite numbers.
        still: HTML that is shown where scripts are switched off.
        name: the element's id, one of its own where a page has several.

    Returns:
        The HTML, with its style, scripts and data.

    Raises:
        ValueError: a map of another shape, or with a number that is not finite.
    """
    if features.ndim != 2 or min(features.shape) < 8 or not np.isfinite(features).all():
        raise ValueError(message("features", f"shape {features.shape}", "at least 8×8 finite numbers"))
    data = {
        "map": base64_of(features.astype("<f4")),
        "rows": features.shape[0],
        "columns": features.shape[1],
        "filters": list(FILTERS),
    }
    return part("dlsegExplorers.atrous", data, SCRIPTS, still=still, name=name)


def field_parts(image: UInt8[np.ndarray, "..."], *, still: str = "", name: str = "field") -> str:
    """The receptive-field explorer (section 3.2) as a piece of HTML.

    Args:
        image: RGB, (H, W, 3) uint8.
        still: HTML that is shown where scripts are switched off.
        name: the element's id, one of its own where a page has several.

    Returns:
        The HTML, with its style, scripts and data.
    """
    rgb_image("image", image)
    nets, fc6 = dict[str, Any](), dict[str, list[int]]()
    for net in NETS:
        nets[net] = {geometry: _windows(full_net(net, geometry)) for geometry in get_args(GeometryName)}
        layer = full_net(net, "paper").get_submodule("fc6")
        assert isinstance(layer, torch.nn.Conv2d)
        fc6[net] = [layer.in_channels, layer.out_channels]
    data = {
        "image": _png(Image.fromarray(image)),
        "height": image.shape[0],
        "width": image.shape[1],
        "nets": nets,
        "fc6": fc6,
    }
    return part("dlsegExplorers.field", data, SCRIPTS, still=still, name=name)


def _windows(net: torch.nn.Sequential) -> list[dict[str, Any]]:
    """Every layer's window along one axis; the networks' windows are square."""
    found = []
    for name, layer in net.named_children():
        w = Window.of(layer)
        if w is not None:
            found.append(
                {
                    "name": name,
                    "kernel": w.kernel[0],
                    "step": w.stride[0],
                    "padding": w.padding[0],
                    "rate": w.rate[0],
                    "ceil": w.ceil,
                }
            )
    return found


def pooling_parts(
    image: UInt8[np.ndarray, "..."],
    label: UInt8[np.ndarray, "..."],
    *,
    farthest: int = 16,
    still: str = "",
    name: str = "pooling",
) -> str:
    """The pooling explorer (section 3.1) as a piece of HTML.

    It carries the shapes classifier's scores of the moved image at stride 32, 16 and 8, a byte each.

    Args:
        image: RGB, (H, W, 3) uint8.
        label: (H, W), 255 = void.
        farthest: how far the image moves to the left and right, in pixels.
        still: HTML that is shown where scripts are switched off.
        name: the element's id, one of its own where a page has several.

    Returns:
        The HTML, with its style, scripts and data.
    """
    rgb_image("image", image)
    if label.shape != image.shape[:2]:
        raise ValueError(message("label", f"shape {label.shape}", f"{image.shape[:2]}"))
    classes = ["background", *classifier(32)[1]]
    maps = []
    for stride in STRIDES:
        scores = np.stack([scores_at(moved(image, 0, n), stride) for n in range(-farthest, farthest + 1)])
        low, high = float(scores.min()), float(scores.max())
        coarse = np.round(255 * (scores - low) / max(high - low, 1e-9)).astype(np.uint8)
        maps.append(
            {
                "stride": stride,
                "first": first_centre(stride),
                "rows": scores.shape[2],
                "columns": scores.shape[3],
                "low": low,
                "high": high,
                "scores": base64_of(coarse),
            }
        )
    counts = np.bincount(label[label < len(classes)], minlength=2)
    data = {
        "height": label.shape[0],
        "width": label.shape[1],
        "image": base64_of(image),
        "label": base64_of(label.astype(np.uint8)),
        "farthest": farthest,
        "classes": classes,
        "begin": 1 + int(counts[1:].argmax()),
        "colours": palette()[: len(classes)].tolist(),
        "strides": maps,
    }
    return part("dlsegExplorers.pooling", data, SCRIPTS, still=still, name=name)


def training_parts(
    trainer: Trainer,
    held_out: Sequence[Sample],
    classes: Sequence[str],
    *,
    still: str = "",
    name: str = "training",
) -> str:
    """A run that has ended (section 5), to be looked at from its first iteration to its last, as a piece of HTML.

    Args:
        trainer: the run.
        held_out: the first of the trainer's own held-out images, with labels: those that are shown.
        classes: the labels' names, `classes[0]` the background.
        still: HTML that is shown where scripts are switched off.
        name: the element's id, one of its own where a page has several.

    Returns:
        The HTML, with its style, scripts and data.
    """
    samples, colours = list(held_out), palette()
    truths = [sample.label for sample in samples if sample.label is not None]
    if not samples or len(truths) < len(samples):
        raise ValueError(message("held_out", f"{len(truths)} labels for {len(samples)} images", "one for each"))
    data = {
        "height": max(sample.image.shape[0] for sample in samples),
        "width": max(sample.image.shape[1] for sample in samples),
        "iterations": [snapshot.iteration for snapshot in trainer.snapshots],
        "losses": [round(float(step.loss), 4) for step in trainer.steps],
        "rates": [trainer.recipe.lr * step.rate for step in trainer.steps],
        "scores": [round(100 * snapshot.mean_iou, 2) for snapshot in trainer.snapshots],
        "images": [_png(Image.fromarray(sample.image)) for sample in samples],
        "truths": [_label_png(label) for label in truths],
        "labels": [
            [_label_png(labels) for labels in snapshot.labels[: len(samples)]] for snapshot in trainer.snapshots
        ],
        "classes": list(classes),
        "colours": colours[: len(classes)].tolist(),
    }
    return part("dlsegExplorers.training", data, SCRIPTS, still=still, name=name)


def table_1_parts(*, still: str = "", name: str = "table1") -> str:
    """Table 1 of the paper as a piece of HTML: sorted by any column, its rows found by the parts they have.

    Args:
        still: HTML that is shown where scripts are switched off.
        name: the element's id, one of its own where a page has several.

    Returns:
        The HTML, with its style, scripts and data.
    """
    rows = [
        (WORDS[key].format(ending), number)
        for key, numbers in PAPER.items()
        for ending, number in zip(("", "-CRF"), numbers, strict=True)
        if number is not None
    ]
    data = {
        "caption": "Table 1: mean IOU (%) on VOC 2012 val. Switch parts on and see which row has exactly these.",
        "head": ["method", "mean IOU, %"],
        "rows": rows,
        "parts": {
            word: [n for n, (method, _) in enumerate(rows) if word in method.split("-")]
            for word in ("MSc", "CRF", "LargeFOV", "4x4", "7x7")
        },
        "measure": 1,
    }
    return part("dlsegExplorers.results", data, SCRIPTS, still=still, name=name)


def table_2_parts(*, still: str = "", name: str = "table2") -> str:
    """Table 2 of the paper as a piece of HTML, with the parameters counted here beside the paper's.

    Args:
        still: HTML that is shown where scripts are switched off.
        name: the element's id, one of its own where a page has several.

    Returns:
        The HTML, with its style, scripts and data.
    """
    rows = [
        [
            row.name,
            f"{row.kernel}×{row.kernel}",
            row.input_stride,
            row.view,
            round(row.parameters / 1e6, 1),
            row.paper.mean_iou,
            row.paper.speed,
        ]
        for row in table2()
    ]
    head = ["network", "fc6's kernel", "rate", "view, px", "million parameters", "mean IOU after the CRF, %"]
    data = {
        "caption": "Table 2: what fc6 sees, what it costs, how good it is. Click a column's name to sort by it.",
        "head": [*head, "images a second, in training"],
        "rows": rows,
        "parts": {},
        "measure": 5,
    }
    return part("dlsegExplorers.results", data, SCRIPTS, still=still, name=name)


def _png(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _label_png(labels: UInt8[np.ndarray, "h w"]) -> str:
    image = Image.fromarray(labels.astype(np.uint8), "P")
    image.putpalette(palette().tobytes())
    return _png(image)
