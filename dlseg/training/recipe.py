"""The solver's settings: the paper's (section 5), the released files', and some scaled down to a laptop."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from numbers import Integral, Real
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from dlseg.common.checks import message, number, one_of
from dlseg.common.json_objects import from_json, to_json
from dlseg.crf import CRFParams
from dlseg.networks.architectures import VARIANTS, Geometry, GeometryName, Variant

POSITIVE = (
    "crop",
    "batch",
    "iterations",
    "lr",
    "classifier_lr_factor",
    "bias_lr_factor",
    "step_size",
    "gamma",
    "power",
)
SHARES = ("momentum", "dropout")  # 0 ≤ x < 1
NOT_NEGATIVE = ("weight_decay", "classifier_std", "seed")


@dataclass(frozen=True)
class Recipe:
    """The solver's settings (section 5). A default is the paper's where the paper gives one.

    Attributes:
        crop: side of the square training window in pixels, 8k + 1 or 8k + 2 (see `label_offset`).
        batch: images an iteration, over all processes.
        iterations: the paper gives none; 6000 is the released solver's.
        lr: learning rate of every layer but the classifier fc8, which learns `classifier_lr_factor` times faster.
        bias_lr_factor, decay_biases: the release lets biases learn twice as fast, without weight decay.
        schedule: "step" multiplies the rate by `gamma` every `step_size` iterations; "poly" is
            (1 − i/iterations)^`power` (DeepLab v2's).
        mirror: mirror every image half the time.
        channels: the order of the network's input while it trains, with the mean pixel in the same order. The
            network that comes back takes RGB all the same: only its first filters are turned round.
        label_offset: 0 to decimate labels as `[::8]` (321 → 41), 1 as `[1::8]` (306 → 39), None for whatever the
            network's score positions are. One that is not the network's is refused.
        loss: "sum" of cross-entropy over positions is the paper's wording, "mean" over those not void what the
            release computes, and what `lr` is meant for.
        dropout: share of fc6's and fc7's units left out.
        classifier_std: begin with fc8 drawn anew from N(0, this) and zero biases, also over a trained one. None, in
            every recipe here, keeps the network's: a new fc8 is drawn from the release's N(0, 0.01) when the
            network is made.
        precision: "bfloat16" computes the network in it (autocast); weights and loss stay float32. "float64" is for
            comparisons: training amplifies rounding, and in float64 hardly any is there to be amplified.
        class_weights: what a pixel of each class weighs in the loss, as torch.nn.CrossEntropyLoss has it;
            "balanced" gives every class that occurs the same weight in all, by how many pixels hold it. None is
            the paper's: all positions and labels alike.
        batch_norm: not the paper's: put in for the training and folded away at its end.
        seed: of crops, mirroring, order and dropout.

    Raises:
        TypeError, ValueError: a value of the wrong kind or out of range; the message has the nearest right one.

    >>> recipe = Recipe.paper("deeplab-largefov", iterations=4000)
    >>> recipe.crop, recipe.batch, [recipe.lr * recipe.rate(i) for i in (0, 2000)]
    (306, 20, [0.001, 0.0001])
    >>> Recipe.from_json(recipe.to_json()) == recipe
    True
    """

    crop: int = 321
    batch: int = 20
    iterations: int = 6000
    lr: float = 1e-3
    classifier_lr_factor: float = 10.0
    momentum: float = 0.9
    weight_decay: float = 5e-4
    schedule: Literal["step", "poly"] = "step"
    step_size: int = 2000
    gamma: float = 0.1
    power: float = 0.9
    mirror: bool = True
    dropout: float = 0.5
    batch_norm: bool = False
    seed: int = 0
    bias_lr_factor: float = 1.0
    decay_biases: bool = True
    channels: Literal["rgb", "bgr"] = "rgb"
    label_offset: Literal[0, 1] | None = None
    loss: Literal["mean", "sum"] = "mean"
    classifier_std: float | None = None
    precision: Literal["float32", "bfloat16", "float64"] = "float32"
    class_weights: tuple[float, ...] | list[float] | Literal["balanced"] | None = None

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for field in dataclasses.fields(self):
            if field.name == "class_weights":
                object.__setattr__(self, field.name, _checked_weights(self.class_weights))
                continue
            value = getattr(self, field.name)
            _check_kind(field.name, value, hints[field.name])
            if value is not None:
                _check_range(field.name, value, field.default)
        if self.label_offset is not None:
            check_crop(self.crop, 8, self.label_offset)

    @classmethod
    def paper(cls, variant: str = "deeplab-largefov", **changes: Any) -> Recipe:
        """What the paper's text says: batch 20, 306 px crops, 1e-3 (classifier 1e-2), a tenth every 2000.

        Not in the text, and taken from the released solver: 6000 iterations, the mean loss (and a new fc8 from
        N(0, 0.01), which `create` draws).

        Args:
            variant: a segmentation network of geometry "paper".
            changes: fields that are to be otherwise.

        Raises:
            ValueError: `variant` is none.
        """
        geometry = _segmentation(variant).paper
        recipe = cls(crop=geometry.crop, label_offset=_offset(geometry))
        return dataclasses.replace(recipe, **changes)

    @classmethod
    def release(cls, variant: str = "deeplab-largefov", stage: Literal[1, 2] = 1, **changes: Any) -> Recipe:
        """What the released solver and network files add: for networks of geometry "release".

        Crops of 321 px (labels `[::8]`), batch 30 for LargeFOV (20 else), biases at twice the rate and without
        decay.

        Args:
            variant: a segmentation network of geometry "release".
            stage: 2 is the second solver, for train and val together: 1e-2, a tenth every 3000 of 12000.
            changes: fields that are to be otherwise.

        Raises:
            ValueError: there is no such variant or stage.
        """
        one_of("stage", stage, (1, 2))
        geometry = _segmentation(variant).release
        recipe = cls(
            crop=geometry.crop,
            label_offset=_offset(geometry),
            batch=30 if variant.endswith("largefov") else 20,
            bias_lr_factor=2.0,
            decay_biases=False,
        )
        if stage == 2:
            recipe = dataclasses.replace(recipe, lr=1e-2, step_size=3000, iterations=12_000)
        return dataclasses.replace(recipe, **changes)

    @classmethod
    def shapes(cls, **changes: Any) -> Recipe:
        """For `data/shapes` (128 × 128 px): about two and a half minutes on two cores."""
        return dataclasses.replace(SHAPES, **changes)

    @classmethod
    def tools(cls, **changes: Any) -> Recipe:
        """For `data/tools` (321 × 321 px), whole scenes: under four minutes on two cores."""
        return dataclasses.replace(TOOLS, **changes)

    @classmethod
    def laptop(cls, size: tuple[int, int], geometry: GeometryName = "paper", **changes: Any) -> Recipe:
        """A narrow network on a laptop, in some minutes: the solver of the shapes, its crop chosen by the pictures.

        Crops are as large as the pictures, and of pictures over 256 px half as large, up to 258 px: 178 px for
        CamVid's 360 × 480.

        Args:
            size: (height, width) of the pictures.
            geometry: of the network, "paper" or "release".
            changes: fields that are to be otherwise.

        >>> Recipe.laptop((360, 480)).crop, Recipe.laptop((128, 128)) == Recipe.shapes()
        (178, True)
        """
        offset = VARIANTS["deeplab-largefov"].geometry(geometry).offset
        wanted = min(max(min(size) / 2, min(*size, 128)), 258)
        crop = 8 * max(1, round((wanted - offset - 1) / 8)) + offset + 1
        return dataclasses.replace(SHAPES, **({"crop": crop} | changes))

    def to_json(self) -> str:
        """One JSON object, one key a field; `from_json` reads it back."""
        return to_json(self, indent=2)

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """Read what `to_json` wrote; what is left out keeps its default.

        Raises:
            ValueError: no JSON object, an unknown key (the nearest known one is named), or a wrong value.
        """
        return from_json(cls, text, "recipe")

    def rate(self, iteration: int) -> float:
        """The learning rate factor (times `lr`) of an iteration, counted from 0."""
        if self.schedule == "poly":
            return float((1 - iteration / self.iterations) ** self.power)
        return float(self.gamma ** (iteration // self.step_size))


def _segmentation(name: str) -> Variant:
    known = [v.name for v in VARIANTS.values() if v.kind in ("segmentation", "multi-scale")]
    return VARIANTS[one_of("variant", name, known)]


def _offset(geometry: Geometry) -> Literal[0, 1]:
    return 1 if geometry.offset else 0


def _checked_weights(weights: Any) -> Any:
    """A tuple of numbers (JSON has lists), "balanced" or None."""
    if weights is None or isinstance(weights, str):
        return one_of("class_weights", weights, (None, "balanced"))
    if not isinstance(weights, list | tuple):
        raise TypeError(message("class_weights", repr(weights), "'balanced', or a number for each class"))
    found = tuple(number(f"class_weights[{i}]", weight, low=0) for i, weight in enumerate(weights))
    if not any(found):
        raise ValueError(message("class_weights", found, "a number over 0 for one class or more"))
    return found


def _check_kind(name: str, value: Any, hint: Any) -> None:
    parts = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    if value is None and type(None) in parts:
        return
    kind = next(part for part in parts if part is not type(None))
    if get_origin(kind) is Literal:
        one_of(name, value, get_args(kind))
        return
    wanted, words = {bool: (bool, "True or False"), int: (Integral, "a whole number")}.get(kind, (Real, "a number"))
    if not isinstance(value, wanted) or (kind is not bool and isinstance(value, bool)):
        raise TypeError(message(name, repr(value), words))
    if kind is not bool and isinstance(value, Integral):
        number(name, value)  # one of more than 308 digits is no float


def _check_range(name: str, value: Any, default: Any) -> None:
    if name in POSITIVE and not (value > 0 and math.isfinite(value)):
        expected = "more than 0"
    elif name in SHARES and not 0 <= value < 1:
        expected = f"0 ≤ {name} < 1"
    elif name in NOT_NEGATIVE and not (value >= 0 and math.isfinite(value)):
        expected = "0 or more"
    else:
        return
    turned = -value if value < 0 and (name not in SHARES or value > -1) and math.isfinite(value) else default
    raise ValueError(message(name, value, expected, f"nearest: {turned}"))


def check_crop(crop: int, stride: int, offset: int) -> None:
    """Check that the last pixel of a crop is a score position: crop = stride · k + offset + 1.

    Raises:
        ValueError: it is none.

    >>> check_crop(321, stride=8, offset=0)
    >>> check_crop(306, stride=8, offset=1)
    """
    too_much = (crop - offset - 1) % stride
    if too_much:
        below, above = crop - too_much, crop - too_much + stride
        near = below if below > 0 and too_much <= stride // 2 else above
        decimated = f"labels decimated as [{offset or ''}::{stride}] meet the score positions"
        raise ValueError(
            message("crop", crop, f"{stride}k + {offset + 1}, so that {decimated}", f"nearest: {near}")
        )


SHAPES = Recipe(
    crop=130,
    batch=16,
    iterations=800,
    lr=0.05,
    classifier_lr_factor=1.0,
    schedule="poly",
    dropout=0.1,
    batch_norm=True,
)
TOOLS = dataclasses.replace(SHAPES, crop=322, batch=8, iterations=700, lr=0.02, classifier_lr_factor=10.0)
SHAPES_CRF = CRFParams(w1=12.0, sigma_alpha=45.0, sigma_beta=13.0, w2=3.0, sigma_gamma=1.0)
"""What the search found for the shapes, behind the shipped network (on training images)."""
