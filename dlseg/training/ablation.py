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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dlseg.common.files import claim
from dlseg.datasets import load
from dlseg.datasets.protocols import InMemory, LabelledImages
from dlseg.networks import Network, create, load_trunk, save_weights
from dlseg.networks.saved import open_weights
from dlseg.predict.evaluate import evaluate
from dlseg.training.loop import Callback, train
from dlseg.training.plan import MULTISCALE, Plan

__all__ = ["Plan", "Result", "ablate"]

Watch = Callable[[str, int], AbstractContextManager[Callback]]


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
        document = {
            "variant": name,
            "seed": seed,
            "parameters": sum(p.numel() for p in net.parameters()),
            "net": found["net"].summary(),
            "crf": found["crf"].summary() if "crf" in found else None,
        }
        draft = scores.with_name(scores.name + ".tmp")
        draft.write_text(json.dumps(document, indent=1), encoding="utf-8")
        draft.replace(scores)
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
