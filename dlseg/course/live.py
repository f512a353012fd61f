"""The notebooks' explorers as parts of a page: in the book they move without Python."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from dlseg.common.files import write_whole
from dlseg.course.text_checks import parsed
from dlseg.crf.labels import label_probabilities
from dlseg.datasets import Sample, load
from dlseg.datasets.photos import load_photo
from dlseg.networks import create
from dlseg.predict import predict
from dlseg.training.recipe import SHAPES_CRF
from dlseg.widgets import atrous_explorer, training_explorer, webpage
from dlseg.widgets.training_explorer import RECIPE

# stand in what is kept of the training run for what differs from page to page
STILL, NAME = "@the still@", "@the name@"
SCENE = 32  # of the validation split: the notebooks' image


class LiveExplorers:
    """The explorers of the course in HTML. `kept` is a folder for what takes long; `iterations` of the run that the
    training explorer shows (default: its own recipe's).
    """

    def __init__(self, kept: Path, iterations: int = RECIPE.iterations) -> None:
        self.kept, self.iterations = kept, iterations
        self._number = 0

    def of_cell(self, notebook: str, source: str, still: str) -> str | None:
        """The explorer that a cell of a notebook (its stem) shows; None where it shows none.

        Args:
            source: the cell's code. still: what a page without scripts shows in its place.
        """
        makers: dict[str, Callable[..., str]] = {
            "pooling_explorer": self.pooling,
            "atrous_explorer": self.atrous,
            "field_explorer": self.field,
            "training_explorer": self.training,
            "crf_studio": self.scribbles if notebook.startswith("06") else self.studio,
        }
        called = [name for name in calls(source) if name in makers]
        return self._made(makers[called[0]], still) if called else None

    def of_comment(self, text: str) -> str:
        """A page with a table that can be sorted where it has `<!-- explorer: table_1 -->` or `table_2`."""
        for word, make in (("table_1", webpage.table_1_parts), ("table_2", webpage.table_2_parts)):
            comment = f"<!-- explorer: {word} -->"
            if comment in text:
                parts = self._made(make, "")
                text = text.replace(comment, f"```{{raw}} html\n{parts}\n```")
        return text

    def _made(self, make: Callable[..., str], still: str) -> str:
        self._number += 1
        return make(still=still, name=f"explorer-{self._number}")

    def pooling(self, still: str, name: str) -> str:
        """Notebook 1's, on the notebooks' image."""
        sample = _scene()
        assert sample.label is not None
        return webpage.pooling_parts(sample.image, sample.label, still=still, name=name)

    def atrous(self, still: str, name: str) -> str:
        """Notebook 2's."""
        explorer = atrous_explorer(_scene().image)
        try:
            return webpage.atrous_parts(explorer.answer.map, still=still, name=name)
        finally:
            explorer.close()

    def field(self, still: str, name: str) -> str:
        """Notebook 3's, on the middle of the cat."""
        return webpage.field_parts(
            np.ascontiguousarray(load_photo("cat").image[:306, :306]), still=still, name=name
        )

    def training(self, still: str, name: str) -> str:
        """Notebook 4's, after its last iteration. The run takes a minute or two, once."""
        files = ("page.js", "explorers.js", "explorers.py", "page.css")
        code = "".join((Path(webpage.__file__).parent / file).read_text(encoding="utf-8") for file in files)
        key = hashlib.sha256(f"{code}{RECIPE}{self.iterations}".encode()).hexdigest()[:16]
        path = self.kept / f"training-{key}.html"
        if not path.is_file():
            val = load("shapes", "val")
            explorer = training_explorer(first=self.iterations)
            try:
                trainer = explorer.trainer
                held_out = [
                    val[n] for n in range(0, len(val), max(1, len(val) // len(trainer.snapshots[0].labels)))
                ]
                parts = webpage.training_parts(trainer, held_out[:4], val.classes, still=STILL, name=NAME)
            finally:
                explorer.close()
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, parts.encode())
        return path.read_text(encoding="utf-8").replace(STILL, still).replace(NAME, name)

    def studio(self, still: str, name: str) -> str:
        """The CRF studio on the notebooks' image."""
        sample, probs, classes = problem()
        return webpage.studio_parts(sample.image, probs, classes, sample.label, SHAPES_CRF, still=still, name=name)

    def scribbles(self, still: str, name: str) -> str:
        """Notebook 6's studio: a photo with scribbles, as its cell turns them into probabilities."""
        photo = load_photo("cat")
        count, size = len(photo.names), (photo.scribbles.shape[0], photo.scribbles.shape[1])
        probs = label_probabilities(photo.scribbles, size, count, 0.9).reshape(count, *size)
        return webpage.studio_parts(photo.image, probs, list(photo.names), still=still, name=name)


def calls(source: str) -> list[str]:
    """The names that a cell's code calls; a line of a magic or of the shell is no code."""
    tree = parsed(source)
    nodes = ast.walk(tree) if tree else ()
    return [node.func.id for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]


def studio_of_the_course() -> str:
    """The CRF studio of notebook 5, on its image, as an HTML page that runs by itself."""
    sample, probs, classes = problem()
    return webpage.studio_page(sample.image, probs, classes, sample.label, SHAPES_CRF)


@cache
def _scene() -> Sample:
    return load("shapes", "val")[SCENE]


@cache
def problem() -> tuple[Sample, Any, list[str]]:
    """The notebooks' image, what the network makes of it (C, H, W), and the classes' names."""
    val = load("shapes", "val")
    net = create("deeplab-largefov", num_classes=val.num_classes, width=1 / 8, weights="shapes")
    sample = _scene()
    return sample, predict(net, sample.image).probs, list(val.classes)
