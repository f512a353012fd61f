"""The paper's tables again: variants, with and without the multi-scale branches and the CRF, trained alike.

A plan says what is compared; every network and every score is a file of its own in one folder, so that a run
that was interrupted, at any moment, goes on where it was. `report` shows the results beside the paper's.

`Plan.paper` is the paper's whole path in miniature: a classifier learns single things; its fully connected layers
become convolutions (section 3.1) and are decimated for each variant (3.2); all layers learn on scenes (5); the
branches learn on the finished network (4.2); the CRF's parameters are searched on held-out scenes, once for each
variant (4.1).
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from math import sqrt
from pathlib import Path
from statistics import mean, median, stdev
from time import perf_counter
from typing import Any, Literal

import torch

from dlseg.common.checks import message, number, one_of, whole_number
from dlseg.common.files import claim, write_whole
from dlseg.common.json_objects import from_json, read_object, to_json
from dlseg.common.tables import table
from dlseg.crf import CRFParams, Scored, Space, search
from dlseg.crf.tuning.search import draw
from dlseg.datasets import Dataset, load
from dlseg.datasets.protocols import InMemory, LabelledImages
from dlseg.networks import Network, create, load_trunk, open_weights, save_weights
from dlseg.networks.architectures import VARIANTS, GeometryName
from dlseg.networks.table2 import ROWS, table2
from dlseg.networks.transfer import decimated_for
from dlseg.predict import fitting_size
from dlseg.predict.evaluate import evaluate
from dlseg.predict.score_files import ScoredImages, save_score_maps
from dlseg.training.loop import Callback, TrainingStep, train
from dlseg.training.pretraining import Optimiser, Precision, accuracy, pretrain, single_things
from dlseg.training.recipe import SHAPES_CRF, Recipe
from dlseg.training.setup import resolve

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
    "deeplab-alexnet": "DeepLab{}-AlexNet",
}

Watch = Callable[[str, int], AbstractContextManager[Callback]]
SEARCH_SEED = 10  # the authors' script draws its images by rng(10)
KEPT_IN_MEMORY = 4 << 30  # bytes of pictures and labels; larger sets are read from disk again each time


@dataclass(frozen=True)
class Pretraining:
    """How the classifiers learn single things.

    Attributes:
        images: how many pictures they learn from.
        unseen: how many others their accuracy is measured on.
        epochs, batch, lr, optimiser, dropout, precision: see `dlseg.training.pretraining.pretrain`.
        lesson: a data set of easier single things, such as parts of the others, whose convolutions the classifiers
            begin from; "" for random ones. VGG-16 learns it fully convolutional, at half the size.
        lesson_epochs: for how long.
        each_seed: train one for every seed of the plan. False: one for all, by the first seed, as all of the
            paper's networks begin from the same ImageNet VGG-16.

    >>> Pretraining(images=8000).optimiser
    'adamw'
    """

    images: int = 6000
    unseen: int = 500
    epochs: int = 12
    batch: int = 32
    lr: float = 1e-3
    optimiser: Optimiser = "adamw"
    dropout: float = 0.2
    precision: Precision = "float32"
    lesson: str = ""
    lesson_epochs: int = 3
    each_seed: bool = False

    def __post_init__(self) -> None:
        for name in ("images", "unseen", "epochs", "batch", "lesson_epochs"):
            whole_number(name, getattr(self, name), low=1)
        number("lr", self.lr, low=1e-9)
        number("dropout", self.dropout, low=0, high=1)
        one_of("optimiser", self.optimiser, ("sgd", "adamw"))
        one_of("precision", self.precision, ("float32", "bfloat16"))


@dataclass(frozen=True)
class Plan:
    """What an ablation compares; JSON both ways.

    Attributes:
        data: a data set's name or path; networks learn on `train_split` and are measured on `val_split`.
        variants: names of plain segmentation networks; those of `MULTISCALE` are also trained with branches if
            `multiscale`.
        crf: the parameters of the "-CRF" rows; None leaves these rows out, unless `search` finds some.
        seeds: every network is trained once for each.
        width, geometry: of every network.
        recipe: how the plain variants learn; `branch_recipe` is for the multi-scale branches. Their crops are for
            VGG's networks of that geometry; AlexNet's, whose positions lie elsewhere, get the nearest that fits.
        init: "singles" trains classifiers first (VGG-16, AlexNet) by `pretraining`; else "shapes-classifier",
            "tools-classifier", "none" or a weights file.
        copy: "conv" copies the classifier's convolutions only, so that every variant begins with a new fc6, fc7 and
            fc8; "all" copies whatever fits, fc6 and fc7 decimated.
        images: how many pictures of `val_split` to measure on; None for all.
        singles: the data set whose single things the classifiers learn; "" for `data`.
        pretraining: how they learn.
        search: what to try as the CRF's parameters, for each variant once, with its network of the first seed.
            None: no search.
        search_images: on how many pictures of `val_split`; networks are then measured on the others.

    >>> plan = Plan.paper("shapes", side=128, seeds=(0,))
    >>> plan.recipe.crop, plan.init, len(plan.search.coarse())
    (130, 'singles', 96)
    >>> Plan.from_json(plan.to_json()) == plan
    True
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
    singles: str = ""
    pretraining: Pretraining = field(default_factory=Pretraining)
    search: Space | None = None
    search_images: int = 100

    def __post_init__(self) -> None:
        plain = [v.name for v in VARIANTS.values() if v.kind == "segmentation"]
        for name in self.variants:
            one_of("variants", name, plain)
        for name in ("variants", "seeds"):
            if not getattr(self, name):
                raise ValueError(message(name, "none", "at least one"))
        one_of("copy", self.copy, ("conv", "all"))
        whole_number("search_images", self.search_images, low=1)
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

    @classmethod
    def paper(cls, data: str = "tools", side: int = 321, **changes: Any) -> Plan:
        """The paper's path in miniature, all of tables 1 and 2 and AlexNet: some nights on two cores, or a GPU.

        Args:
            data: scenes; pictures of single things come from the data set of the same name.
            side: of the scenes, in pixels: the crop is the whole scene, 41 × 41 scores for 321.
            changes: fields that are to be otherwise.
        """
        offset = VARIANTS["deeplab"].paper.offset
        recipe = Recipe.tools(crop=fitting_size(side, 8, offset), iterations=2000)
        plan = cls(
            data=data,
            variants=("deeplab", "deeplab-7x7", "deeplab-4x4", "deeplab-largefov", "deeplab-alexnet"),
            crf=None,
            seeds=(0, 1, 2),
            recipe=recipe,
            branch_recipe=dataclasses.replace(recipe, iterations=500),
            init="singles",
            pretraining=Pretraining(lesson="tools.ends" if data == "tools" else "", lesson_epochs=4),
            copy="all",
            search=Space(),
        )
        return dataclasses.replace(plan, **changes)

    def in_precision(self, precision: Precision) -> Plan:
        """The same plan with every network trained in this precision.

        >>> Plan().in_precision("bfloat16").branch_recipe.precision
        'bfloat16'
        """
        parts = {name: getattr(self, name) for name in ("recipe", "branch_recipe", "pretraining")}
        return dataclasses.replace(
            self, **{name: dataclasses.replace(part, precision=precision) for name, part in parts.items()}
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
        parts: dict[str, Callable[[str], Any]] = {
            "recipe": Recipe.from_json,
            "branch_recipe": Recipe.from_json,
            "crf": CRFParams.from_json,
            "search": Space.from_json,
            "pretraining": lambda part: from_json(Pretraining, part, "pretraining"),
        }
        for name, read in parts.items():
            if values.get(name) is not None:
                values[name] = read(json.dumps(values[name]))
        for name in {"variants", "seeds"} & set(values):
            values[name] = tuple(values[name])
        return cls(**values)


@dataclass(frozen=True)
class Result:
    """One trained network.

    Attributes:
        variant, seed: which.
        parameters: how many it has.
        net, crf: the summaries (`Score.summary`) without and with the CRF.
        params: the CRF's parameters.
        speed: images a second while it was trained, batches and all; None where that was not seen.

    >>> Result("deeplab", 0, 65_140_565, {"mean_iou": 0.598}, {"mean_iou": 0.6374}).crf
    {'mean_iou': 0.6374}
    """

    variant: str
    seed: int
    parameters: int
    net: dict[str, Any]
    crf: dict[str, Any] | None
    params: dict[str, Any] | None = None
    speed: float | None = None


def ablate(
    plan: Plan,
    folder: str | Path,
    watch: Watch | None = None,
    *,
    device: str | torch.device = "auto",
    jobs: int = -1,
) -> list[Result]:
    """Train and measure everything in `plan` (section 5); what is in `folder` already is not done again.

    Args:
        plan: what is compared.
        folder: where networks, scores and `plan.json` go.
        watch: called with the name of each training and its number of iterations; gives a context whose value is
            the callback, such as `dlseg.training.callbacks.ProgressBar`.
        device: where networks are trained and run; "auto" is a GPU where there is one.
        jobs: processes that make pictures and search the CRF's parameters; -1 for one per core.

    Returns:
        A result a network, in the plan's order, seed by seed.

    Raises:
        ValueError: the folder belongs to another plan, or `search_images` leaves nothing to measure on.
    """
    folder, place = Path(folder), resolve(device)
    _claim(folder, plan)
    run = _Run(
        plan, folder, _kept(load(plan.data, plan.train_split)), load(plan.data, plan.val_split), watch, place, jobs
    )
    return [run.result(name, seed) for seed in plan.seeds for name in _names(plan)]


def export(plan: Plan, results: Sequence[Result], folder: str | Path, out: str | Path) -> list[Path]:
    """Copy an ablation's networks of the first seed, and their classifiers, to pass them on: in float16.

    Args:
        plan, results, folder: what `ablate` was given, and gave.
        out: where VARIANT-DATA.safetensors go, each with a JSON file of what was measured, and on which pictures.

    Returns:
        The files.
    """
    folder, name, first = Path(folder), Path(plan.data).name, plan.seeds[0]
    val = load(plan.data, plan.val_split)
    names = [val.names[i] for i in _divided(plan, val)[1]]
    by_variant: dict[str, dict[str, Any]] = {
        result.variant: {
            "mean_iou": result.net["mean_iou"],
            "mean_iou_with_crf": None if result.crf is None else result.crf["mean_iou"],
            "crf": result.params,
            "measured_on": names,
        }
        for result in results
        if result.seed == first
    }
    by_variant |= {v: {} for v in ("vgg16", "alexnet") if (folder / f"{v}-seed{first}.json").exists()}
    files = []
    for variant, measured in by_variant.items():
        net, info = open_weights(folder / f"{variant}-seed{first}.safetensors")
        path = Path(out) / f"{variant}-{name}.safetensors"
        files.append(save_weights(net, path, {"data": name} | info | measured, half=True))
    return files


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


def _divided(plan: Plan, val: Dataset) -> tuple[list[int], list[int]]:
    """Which pictures the CRF is searched on, and which others everything is measured on."""
    searched = [] if plan.search is None else draw(len(val), plan.search_images, SEARCH_SEED)
    return searched, [i for i in range(len(val)) if i not in set(searched)][: plan.images]


def _kept(data: Dataset) -> LabelledImages:
    """The data, in memory where they are not too large for it."""
    height, width = data[0].image.shape[:2] if len(data) else (0, 0)
    return InMemory(data) if len(data) * height * width * 4 <= KEPT_IN_MEMORY else data


class _Run:
    """What every step of an ablation needs; a step writes one file, whole, and is not done again where that is."""

    def __init__(
        self,
        plan: Plan,
        folder: Path,
        data: LabelledImages,
        val: Dataset,
        watch: Watch | None,
        device: torch.device,
        jobs: int,
    ) -> None:
        self.plan, self.folder, self.data, self.val = plan, folder, data, val
        self.watch, self.device, self.jobs = watch, device, jobs
        self.searched, measured = _divided(plan, val)
        if not measured:
            few = f"fewer than the {len(val)} pictures of {plan.val_split}, so that some are left to measure on"
            raise ValueError(message("search_images", plan.search_images, few))
        if not val.labelled:
            raise ValueError(f"split {plan.val_split!r}: got pictures without labels, expected labelled ones")
        self.measured = _Part(val, measured)

    def result(self, name: str, seed: int) -> Result:
        """One network, trained and measured."""
        scores = self._path(name, seed).with_suffix(".scores.json")
        if not scores.exists():
            net, info = self._trained(name, seed)
            crf = self._parameters(name)
            found = evaluate(net.to(self.device), self.measured, crf)
            result = Result(
                name,
                seed,
                sum(p.numel() for p in net.parameters()),
                found["net"].summary(),
                found["crf"].summary() if "crf" in found else None,
                None if crf is None else dataclasses.asdict(crf),
                info.get("images_per_second"),
            )
            write_whole(scores, to_json(result, indent=1))
        return from_json(Result, scores.read_text(encoding="utf-8"), str(scores))

    def _path(self, name: str, seed: int) -> Path:
        return self.folder / f"{name}-seed{seed}.safetensors"

    def _trained(self, name: str, seed: int) -> tuple[Network, dict[str, Any]]:
        """The network, trained now if it has not been."""
        path = self._path(name, seed)
        if not path.with_suffix(".json").exists():  # written last
            self._train(path, name, seed)
        path.with_suffix(".checkpoint").unlink(missing_ok=True)
        return open_weights(path)

    def _train(self, path: Path, name: str, seed: int) -> None:
        plan = self.plan
        recipe = plan.recipe
        torch.manual_seed(seed)
        net = create(name, self.data.num_classes, plan.width, plan.geometry)
        if name in MULTISCALE.values():
            plain = next(key for key, value in MULTISCALE.items() if value == name)
            load_trunk(net, self._trained(plain, seed)[0])
            recipe = plan.branch_recipe
        elif plan.init != "none":
            load_trunk(net, self._classifier(net, seed), same_classes=False)
        assert net.grid is not None
        moved = net.grid.offset - VARIANTS["deeplab"].geometry(plan.geometry).offset
        recipe = dataclasses.replace(recipe, seed=seed, crop=recipe.crop + moved)
        with self._watched(f"{name}, seed {seed}", recipe.iterations) as callbacks:
            speed = _Speed(recipe.batch)
            checkpoint = path.with_suffix(".checkpoint")
            train(net, self.data, recipe, [*callbacks, speed], checkpoint, device=self.device, keep_checkpoint=True)
        info = {"seed": seed, "classes": self.data.classes, "recipe": dataclasses.asdict(recipe)}
        save_weights(net, path, info | {"images_per_second": speed.rate()})

    def _classifier(self, net: Network, seed: int) -> Mapping[str, torch.Tensor]:
        """What the network begins from: the tensors of a classifier, fc6 and fc7 decimated to the network's."""
        plan = self.plan
        if plan.init == "singles":
            seed = seed if plan.pretraining.each_seed else plan.seeds[0]
            classifier = self._pretrained("alexnet" if "alexnet" in net.spec.variant else "vgg16", seed)
        else:
            classifier = open_weights(plan.init)[0]
        state = decimated_for(net, classifier.state_dict())
        return state if plan.copy == "all" else _convolutions(state)

    def _pretrained(self, variant: str, seed: int, lesson: bool = False) -> Network:
        """A classifier, trained now if it has not been: of the plan's single things, or of their first lesson."""
        plan, p = self.plan, self.plan.pretraining
        path = self._path(f"{variant}-lesson" if lesson else variant, seed)
        if not path.with_suffix(".json").exists():
            crop = VARIANTS[variant].geometry(plan.geometry).crop
            side = crop // 2 if variant == "vgg16-20m" else crop
            source, epochs = (p.lesson, p.lesson_epochs) if lesson else (plan.singles or plan.data, p.epochs)
            images, classes, names = single_things(source, 2 * seed, p.images, side, self.jobs)
            torch.manual_seed(seed)
            net = create(variant, len(names), plan.width, plan.geometry)
            if p.lesson and not lesson:
                easier = self._pretrained("vgg16-20m" if variant == "vgg16" else variant, seed, lesson=True)
                load_trunk(net, _convolutions(easier.state_dict()))
            with self._watched(path.stem, epochs * (p.images // p.batch)) as callbacks:
                pretrain(
                    net,
                    images,
                    classes,
                    epochs=epochs,
                    batch=p.batch,
                    lr=p.lr,
                    optimiser=p.optimiser,
                    dropout=p.dropout,
                    precision=p.precision,
                    seed=seed,
                    callbacks=callbacks,
                    checkpoint=path.with_suffix(".checkpoint"),
                    keep_checkpoint=True,
                    device=self.device,
                )
            unseen, true, _ = single_things(source, 2 * seed + 1, p.unseen, side, self.jobs)
            right = round(accuracy(net.to(self.device), unseen, true), 4)
            info = {"seed": seed, "classes": names, "pretraining": dataclasses.asdict(p), "accuracy": right}
            save_weights(net, path, info)
        path.with_suffix(".checkpoint").unlink(missing_ok=True)
        return open_weights(path)[0]

    def _parameters(self, name: str) -> CRFParams | None:
        """The CRF's parameters for a variant: the plan's, or what its network of the first seed does best with."""
        plan, path = self.plan, self.folder / f"{name}.crf.json"
        if plan.search is None:
            return plan.crf
        if not path.exists():
            maps, log = self.folder / "score-maps" / name, path.with_suffix(".log")
            net = self._trained(name, plan.seeds[0])[0].to(self.device)
            missing = [i for i in self.searched if not (maps / f"{self.val.names[i]}.npz").exists()]
            maps.mkdir(parents=True, exist_ok=True)
            save_score_maps(net, self.val, maps, missing, progress=self.watch is not None)
            found = search(
                _Chosen(ScoredImages(self.val, maps), self.searched),
                plan.search,
                subset=len(self.searched),
                jobs=self.jobs,
                log=log,
                progress=self.watch is not None,
            )
            write_whole(path, found.params.to_json() + "\n")
        return CRFParams.from_json(path.read_text(encoding="utf-8"))

    @contextmanager
    def _watched(self, name: str, iterations: int) -> Iterator[list[Callback]]:
        with self.watch(name, iterations) if self.watch else nullcontext(None) as callback:
            yield [callback] if callback else []


def _convolutions(state: Mapping[str, torch.Tensor]) -> Mapping[str, torch.Tensor]:
    return {key: value for key, value in state.items() if key.startswith("conv")}


class _Speed:
    """Images a second: the median over the iterations that this process saw."""

    def __init__(self, batch: int) -> None:
        self.batch = batch
        self.times: list[float] = []

    def __call__(self, step: TrainingStep) -> None:
        self.times.append(perf_counter())

    def rate(self) -> float | None:
        """None where there were too few iterations."""
        each = [b - a for a, b in pairwise(self.times)]
        return round(self.batch / median(each), 2) if each else None


class _Part:
    """Some samples of a data set."""

    def __init__(self, data: Dataset, indices: Sequence[int]) -> None:
        self.data, self.indices = data, indices
        self.classes, self.num_classes = data.classes, data.num_classes

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Any:
        return self.data[self.indices[index]]


class _Chosen:
    """Some of the images with score maps, for the search."""

    def __init__(self, images: ScoredImages, indices: Sequence[int]) -> None:
        self.images, self.indices = images, indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Scored:
        return self.images[self.indices[index]]


def report(plan: Plan, results: Sequence[Result]) -> str:
    """Tables 1 and 2 as Markdown, and the CRF's parameters where they were searched.

    Args:
        plan: what was compared.
        results: what `ablate` gave.

    >>> summary = {"mean_iou": 0.5, "trimap_mean_iou": {"1": 0.25}}
    >>> print(report(Plan(variants=("deeplab-alexnet",)), [Result("deeplab-alexnet", 0, 7_178_645, summary, None)]))
    ... # doctest: +ELLIPSIS
    # The paper's tables on shapes
    <BLANKLINE>
    Width 0.125, geometry paper, seeds 0; measured on all pictures of val; torch ....
    <BLANKLINE>
    Table 1: in per cent.
    <BLANKLINE>
    | method | mean IOU | within 1 px | parameters | paper, VOC 2012 |
    | --- | ---: | ---: | ---: | ---: |
    | DeepLab-AlexNet | 50.00 | 25.00 | 7,178,645 | – |
    """
    seeds = len(plan.seeds)
    spread_words = f"mean ± standard error of {seeds} seeds, " if seeds > 1 else ""
    measured = "all" if plan.images is None else str(plan.images)
    others = "" if plan.search is None else " that the CRF was not searched on"
    parts = [
        f"# The paper's tables on {Path(plan.data).name}",
        f"Width {plan.width:g}, geometry {plan.geometry}, seeds {', '.join(map(str, plan.seeds))}; measured on "
        f"{measured} pictures of {plan.val_split}{others}; torch {torch.__version__}.",
        f"Table 1: {spread_words}in per cent.",
        table1(results),
    ]
    if rows := [name for name in ROWS if name in plan.variants]:
        parts += [f"Table 2: {spread_words}after the CRF.", table2_measured(plan, results, rows)]
    if plan.search is not None:
        parts += [
            f"The CRF's parameters, searched on {plan.search_images} other pictures with the network of seed "
            f"{plan.seeds[0]}.",
            _parameters_table(results),
        ]
    return "\n\n".join(parts)


def table1(results: Sequence[Result]) -> str:
    """A Markdown table: a row a method, in per cent; mean ± standard error where there are several seeds."""
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


def table2_measured(plan: Plan, results: Sequence[Result], rows: Sequence[str]) -> str:
    """Table 2 with what was measured: fc6 and its field, parameters, mean IOU after the CRF, training speed."""
    lines = []
    for row in (row for row in table2(plan.geometry) if row.name in rows):
        of = [result for result in results if result.variant == row.name]
        speeds = [result.speed for result in of if result.speed is not None]
        crf = [result.crf["mean_iou"] for result in of if result.crf is not None]
        lines.append(
            [
                WORDS[row.name].format("-CRF" if crf else ""),
                f"{row.kernel}×{row.kernel}",
                row.input_stride,
                row.view,
                row.field,
                f"{of[0].parameters:,}",
                spread(crf) if len(crf) == len(of) else None,
                f"{mean(speeds):.2f}" if speeds else None,
                f"{row.paper.mean_iou:.2f}",
                f"{row.paper.speed:.2f}",
            ]
        )
    head = [
        "method",
        "fc6",
        "input stride",
        "field as the paper counts it",
        "field in full",
        "parameters",
        "mean IOU",
    ]
    return table([*head, "training images/s", "paper: mean IOU", "images/s"], lines)


def _parameters_table(results: Sequence[Result]) -> str:
    names = ("w1", "sigma_alpha", "sigma_beta", "w2", "sigma_gamma", "iterations")
    found = {result.variant: result.params for result in results if result.params is not None}
    return table(["network", *names], [[name, *(params[key] for key in names)] for name, params in found.items()])


def spread(shares: Sequence[float | None]) -> str:
    """Mean, in per cent, ± standard error where there are several; "–" without one, as in an empty band.

    >>> spread([0.5, 0.52, 0.54]), spread([0.5])
    ('52.00 ± 1.15', '50.00')
    """
    known = [100 * share for share in shares if share is not None]
    if not known:
        return "–"
    text = f"{mean(known):.2f}"
    return f"{text} ± {stdev(known) / sqrt(len(known)):.2f}" if len(known) > 1 else text
