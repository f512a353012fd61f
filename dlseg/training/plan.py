"""What an ablation compares: variants, seeds, recipes, the CRF; JSON both ways."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any, Literal

from dlseg.crf import CRFParams
from dlseg.networks.variants import VARIANTS, GeometryName
from dlseg.training.recipe import Recipe
from dlseg.training.rules import nearest, read_object

# variant -> the same with the multi-scale branches, which learn on the finished variant (section 4.2)
MULTISCALE = {"deeplab": "deeplab-msc", "deeplab-largefov": "deeplab-msc-largefov"}
SHAPES_CRF = CRFParams(w1=12.0, sigma_alpha=45.0, sigma_beta=13.0, w2=3.0, sigma_gamma=1.0)


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
