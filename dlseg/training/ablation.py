"""Table 1 again: variants with and without the multi-scale branches and the CRF, trained and measured alike.

A plan says what is compared; every network and every score is a file of its own in one folder, so that a run
that was interrupted goes on where it was. `table1` shows the results beside the paper's.
"""

from __future__ import annotations

import dataclasses
import json
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, stdev
from typing import Any, Literal

import torch
from torch import nn

from dlseg.common.checks import message, one_of, whole_number
from dlseg.common.files import claim, write_whole
from dlseg.common.json_objects import read_object, to_json
from dlseg.common.tables import table
from dlseg.crf import CRFParams
from dlseg.datasets import load
from dlseg.datasets.protocols import InMemory, LabelledImages
from dlseg.networks import Network, create, load_trunk, open_weights, save_weights
from dlseg.networks.architectures import VARIANTS, GeometryName
from dlseg.predict.evaluate import evaluate
from dlseg.training.loop import Callback, train
from dlseg.training.recipe import SHAPES_CRF, Recipe

# variant -> the same with the multi-scale branches, which learn on the finished variant (section 4.2)
MULTISCALE = {"deeplab": "deeplab-msc", "deeplab-largefov": "deeplab-msc-largefov"}
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

Watch = Callable[[str, int], AbstractContextManager[Callback]]


@dataclass(frozen=True)
class Plan:
    """What an ablation compares; JSON both ways.

    Attributes:
        data: a data set's name or path; networks learn on `train_split` and are measured on `val_split`.
        variants: names of plain segmentation networks; those of `MULTISCALE` are also trained with branches if
            `multiscale`.
        crf: the parameters of the "-CRF" rows; None leaves these rows out.
        seeds: every network is trained once for each.
        width, geometry: of every network.
        recipe: how the plain variants learn; `branch_recipe` is for the multi-scale branches.
        init: "shapes-classifier", "none" or a weights file.
        copy: "conv" copies the classifier's convolutions only, so that every variant begins with a new fc6, fc7 and
            fc8; "all" copies whatever fits.
        images: how many pictures of `val_split` to measure on; None for all.
    """

    data: str = "shapes"
    train_split: str = "train"
    val_split: str = "val"
    variants: tuple[str, ...] = ("deeplab", "deeplab-4x4", "deeplab-7x7", "deeplab-largefov")
    multiscale: bool = True
    crf: CRFParams | None = SHAPES_CRF
    seeds: tuple[int, ...] = (0,)
    width: float = 0.125
    geometry: GeometryName = "paper"
    recipe: Recipe = field(default_factory=Recipe.shapes)
    branch_recipe: Recipe = field(default_factory=lambda: Recipe.shapes(iterations=400))
    init: str = "shapes-classifier"
    copy: Literal["conv", "all"] = "conv"
    images: int | None = None

    def __post_init__(self) -> None:
        plain = [v.name for v in VARIANTS.values() if v.kind == "segmentation"]
        for name in self.variants:
            one_of("variants", name, plain)
        for name in ("variants", "seeds"):
            if not getattr(self, name):
                raise ValueError(message(name, "none", "at least one"))
        one_of("copy", self.copy, ("conv", "all"))
        if self.images is not None:
            whole_number("images", self.images, low=1)

    @classmethod
    def small(cls, **changes: Any) -> Plan:
        """Two variants, half the iterations, half of the pictures: five to ten minutes on two cores."""
        return dataclasses.replace(
            cls(
                variants=("deeplab", "deeplab-largefov"),
                images=120,
                recipe=Recipe.shapes(iterations=400),
                branch_recipe=Recipe.shapes(iterations=200),
            ),
            **changes,
        )

    def to_json(self) -> str:
        """One JSON object; `from_json` reads it back."""
        return to_json(self, indent=2)

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Read what `to_json` wrote; what is left out keeps its default.

        Raises:
            ValueError: no JSON object, an unknown key (the nearest known one is named), or a wrong value.
        """
        values = read_object(text, [*(f.name for f in dataclasses.fields(cls)), "pour"], "plan")
        if "pour" in values:  # its name until version 0.1
            values.setdefault("copy", values.pop("pour"))
        for name in {"recipe", "branch_recipe"} & set(values):
            values[name] = Recipe.from_json(json.dumps(values[name]))
        if values.get("crf") is not None:
            values["crf"] = CRFParams.from_json(json.dumps(values["crf"]))
        for name in {"variants", "seeds"} & set(values):
            values[name] = tuple(values[name])
        return cls(**values)


@dataclass(frozen=True)
class Result:
    """One trained network: `net` and `crf` are the summaries (`Score.summary`) without and with the CRF."""

    variant: str
    seed: int
    parameters: int
    net: dict[str, Any]
    crf: dict[str, Any] | None


def ablate(plan: Plan, folder: str | Path, watch: Watch | None = None) -> list[Result]:
    """Train and measure everything in `plan`; what is in `folder` already is not done again.

    Args:
        plan: what is compared.
        folder: where networks, scores and `plan.json` go.
        watch: called with the name of each training and its number of iterations; gives a context whose value is
            the callback, such as `dlseg.training.callbacks.ProgressBar`.

    Raises:
        ValueError: the folder belongs to another plan.
    """
    folder = Path(folder)
    _claim(folder, plan)
    data = InMemory(load(plan.data, plan.train_split))
    val = _First(load(plan.data, plan.val_split), plan.images)
    return [_result(plan, folder, name, seed, data, val, watch) for seed in plan.seeds for name in _names(plan)]


def _claim(folder: Path, plan: Plan) -> None:
    """Note in the folder what is compared there. A plan from a version with fewer settings is the same plan."""
    path = folder / "plan.json"
    with suppress(OSError, ValueError):
        if Plan.from_json(path.read_text(encoding="utf-8")) == plan:
            write_whole(path, plan.to_json() + "\n")
    claim(folder, path.name, json.loads(plan.to_json()))


def _names(plan: Plan) -> Iterator[str]:
    for name in plan.variants:
        yield name
        if plan.multiscale and name in MULTISCALE:
            yield MULTISCALE[name]


def _result(
    plan: Plan, folder: Path, name: str, seed: int, data: LabelledImages, val: LabelledImages, watch: Watch | None
) -> Result:
    path = folder / f"{name}-seed{seed}.safetensors"
    scores = path.with_suffix(".scores.json")
    if not scores.exists():
        trained = path.with_suffix(".json").exists()
        net = open_weights(path)[0] if trained else _train(plan, path, name, seed, data, watch)
        found = evaluate(net, val, plan.crf)
        document = {
            "variant": name,
            "seed": seed,
            "parameters": sum(p.numel() for p in net.parameters()),
            "net": found["net"].summary(),
            "crf": found["crf"].summary() if "crf" in found else None,
        }
        write_whole(scores, json.dumps(document, indent=1))
    return Result(**json.loads(scores.read_text(encoding="utf-8")))


def _train(plan: Plan, path: Path, name: str, seed: int, data: LabelledImages, watch: Watch | None) -> Network:
    torch.manual_seed(seed)
    net = create(name, data.num_classes, plan.width, plan.geometry)
    recipe = dataclasses.replace(plan.recipe, seed=seed)
    if name in MULTISCALE.values():
        plain = next(key for key, value in MULTISCALE.items() if value == name)
        load_trunk(net, open_weights(path.with_name(f"{plain}-seed{seed}.safetensors"))[0])
        recipe = dataclasses.replace(plan.branch_recipe, seed=seed)
    elif plan.init != "none":
        load_trunk(net, _classifier(plan))
    checkpoint = path.with_suffix(".checkpoint")
    bar = watch(f"{name}, seed {seed}", recipe.iterations) if watch else nullcontext(None)
    with bar as callback:
        train(net, data, recipe, [callback] if callback else [], checkpoint, keep_checkpoint=True)
    save_weights(net, path, {"seed": seed, "classes": data.classes, "recipe": dataclasses.asdict(recipe)})
    checkpoint.unlink(missing_ok=True)
    return net


def _classifier(plan: Plan) -> nn.Module:
    known = ("shapes", "vgg16-20m") if plan.init == "shapes-classifier" else (plan.init,)
    classifier = open_weights(*known)[0]
    if plan.copy == "all":
        return classifier
    return nn.Sequential(OrderedDict((n, m) for n, m in classifier.main.named_children() if n.startswith("conv")))


class _First:
    """The first pictures of a data set, all for None."""

    def __init__(self, data: LabelledImages, count: int | None) -> None:
        self.data, self.count = data, len(data) if count is None else min(count, len(data))
        self.classes, self.num_classes = data.classes, data.num_classes

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Any:
        return self.data[index]


def table1(results: Sequence[Result]) -> str:
    """A Markdown table: a row a method, in per cent; mean ± standard deviation where there are several seeds."""
    widths, rows = list(results[0].net["trimap_mean_iou"]), []
    for name in dict.fromkeys(result.variant for result in results):
        of = [result for result in results if result.variant == name]
        rows.append(_row(name, of, widths, crf=False))
        if all(result.crf is not None for result in of):
            rows.append(_row(name, of, widths, crf=True))
    near = [f"within {width} px" for width in widths]
    return table(["method", "mean IOU", *near, "parameters", "paper, VOC 2012"], rows)


def _row(name: str, results: Sequence[Result], widths: Sequence[str], *, crf: bool) -> list[str | None]:
    summaries = [(r.crf if crf else r.net) or {} for r in results]
    method = WORDS.get(name, f"{name}{{}}").format("-CRF" if crf else "")
    near = [spread([s["trimap_mean_iou"][width] for s in summaries]) for width in widths]
    published = PAPER.get(name, (None, None))[crf]
    paper = None if published is None else f"{published:.2f}"
    return [method, spread([s["mean_iou"] for s in summaries]), *near, f"{results[0].parameters:,}", paper]


def spread(shares: Sequence[float | None]) -> str:
    """Mean, in per cent, ± standard deviation where there are several; "–" without one, as in an empty band."""
    known = [share for share in shares if share is not None]
    if not known:
        return "–"
    text = f"{100 * mean(known):.2f}"
    return f"{text} ± {100 * stdev(known):.2f}" if len(known) > 1 else text
