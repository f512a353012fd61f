"""Table 1 again: variants with and without the multi-scale branches and the CRF, trained and measured alike.

A plan says what is compared; every network and every score is a file of its own in one folder, so that a run
that was interrupted goes on where it was.
"""

from __future__ import annotations

import dataclasses
import json
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from dlseg.crf import CRFParams
from dlseg.datasets import load
from dlseg.datasets.memory import InMemory, LabelledImages
from dlseg.datasets.whole import claim
from dlseg.networks import Network, create, load_trunk, save_weights
from dlseg.networks.saved import open_weights
from dlseg.networks.variants import VARIANTS, GeometryName
from dlseg.scoring import evaluate
from dlseg.training.loop import Callback, train
from dlseg.training.recipe import Recipe
from dlseg.training.rules import nearest, read_object

# variant -> the same with the multi-scale branches, which learn on the finished variant (section 4.2)
MULTISCALE = {"deeplab": "deeplab-msc", "deeplab-largefov": "deeplab-msc-largefov"}
SHAPES_CRF = CRFParams(w1=12.0, sigma_alpha=45.0, sigma_beta=13.0, w2=3.0, sigma_gamma=1.0)
Watch = Callable[[str, int], AbstractContextManager[Callback]]


@dataclass(frozen=True)
class Plan:
    """What is compared.

    Attributes:
        data: a data set's name or path; networks learn on `train_split` and are measured on `val_split`.
        variants: names of plain labellers; those of `MULTISCALE` are also trained with branches if `multiscale`.
        crf: the parameters of the "-CRF" rows; None leaves these rows out.
        seeds: every network is trained once for each.
        width, geometry: of every network.
        recipe: how the plain variants learn; `branch_recipe` is for the multi-scale branches.
        init: "shapes-classifier", "none" or a weights file.
        pour: "conv" copies the classifier's convolutions only, so that every variant begins with a new fc6, fc7 and
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
    pour: Literal["conv", "all"] = "conv"
    images: int | None = None

    def __post_init__(self) -> None:
        plain = [v.name for v in VARIANTS.values() if v.kind == "labeller"]
        for name in self.variants:
            if name not in plain:
                raise ValueError(f"variants: got {name!r}, expected {', '.join(plain)}{nearest(name, plain)}")
        if not self.variants or not self.seeds:
            raise ValueError("variants, seeds: expected at least one of each")
        if self.pour not in ("conv", "all"):
            raise ValueError(f"pour: got {self.pour!r}, expected 'conv' or 'all'")
        if self.images is not None and self.images < 1:
            raise ValueError(f"images: got {self.images}, expected 1 or more; nearest: 1")

    @classmethod
    def small(cls, **changes: Any) -> Plan:
        """Two variants, few iterations, sixty pictures: about ten minutes on two cores."""
        return dataclasses.replace(
            cls(variants=("deeplab", "deeplab-largefov"), images=60, recipe=Recipe.shapes(iterations=250),
                branch_recipe=Recipe.shapes(iterations=120)), **changes)

    def to_json(self) -> str:
        """One JSON object; `from_json` reads it back."""
        return json.dumps(dataclasses.asdict(self), indent=2)

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Read what `to_json` wrote; what is left out keeps its default. An unknown key is an error."""
        values = read_object(text, [f.name for f in dataclasses.fields(cls)], "plan")
        for name in {"recipe", "branch_recipe"} & set(values):
            values[name] = Recipe.from_json(json.dumps(values[name]))
        if values.get("crf") is not None:
            values["crf"] = CRFParams.from_json(json.dumps(values["crf"]))
        for name in {"variants", "seeds"} & set(values):
            values[name] = tuple(values[name])
        return cls(**values)


@dataclass(frozen=True)
class Result:
    """One trained network: `net` and `crf` are `dlseg.scoring.Score.summary()` without and with the CRF."""

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
    claim(folder, "plan.json", json.loads(plan.to_json()))
    data = InMemory(load(plan.data, plan.train_split))
    val = _First(load(plan.data, plan.val_split), plan.images)
    return [_result(plan, folder, name, seed, data, val, watch) for seed in plan.seeds for name in _names(plan)]


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
        document = {"variant": name, "seed": seed, "parameters": sum(p.numel() for p in net.parameters()),
                    "net": found["net"].summary(), "crf": found["crf"].summary() if "crf" in found else None}
        draft = scores.with_name(scores.name + ".tmp")
        draft.write_text(json.dumps(document, indent=1), encoding="utf-8")
        draft.replace(scores)
    return Result(**json.loads(scores.read_text(encoding="utf-8")))


def _train(
    plan: Plan, path: Path, name: str, seed: int, data: LabelledImages, watch: Watch | None
) -> Network:
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
    if plan.pour == "all":
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
