"""Examples in docstrings run; every public name of some parts has one; data and prediction have one form."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
from collections.abc import Callable

import pytest

import dlseg

MODULES = [
    name
    for _, name, _ in pkgutil.walk_packages(dlseg.__path__, "dlseg.")
    if not name.endswith("__main__") and ".assignments" not in name
]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    module = importlib.import_module(name)
    failed, _ = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert not failed


@pytest.mark.parametrize(
    "part", ["atrous", "crf", "receptive_field", "networks", "training", "datasets", "evaluation"]
)
def test_every_public_name_has_an_example(part: str) -> None:
    package = importlib.import_module(f"dlseg.{part}")
    public = {name: getattr(package, name) for name in package.__all__}
    documented = {name: it for name, it in public.items() if inspect.isclass(it) or inspect.isfunction(it)}
    assert len(documented) >= 5
    assert not [name for name, it in documented.items() if ">>>" not in (inspect.getdoc(it) or "")]


# module → its public names that a user meets
NAMES = {
    "dlseg.datasets": "load cache_folder Dataset Described Sample",
    "dlseg.datasets.check": "check",
    "dlseg.datasets.counts": "LabelCounts some",
    "dlseg.datasets.describe": "describe",
    "dlseg.datasets.labelme": "read_labelme",
    "dlseg.datasets.lists": "fixed_part",
    "dlseg.datasets.photos": "load_photo photos",
    "dlseg.datasets.transforms": "to_input pad_to crop_and_mirror",
    "dlseg.datasets.voc": "palette read_indices",
    "dlseg.evaluation": "ConfusionMatrix Trimap render trimap_band trimap_curve",
    "dlseg.images": "read_image image_size is_turned as_rgb",
    "dlseg.predict": "predict score_maps fitting_size Prediction",
    "dlseg.predict.evaluate": "evaluate Score",
    "dlseg.predict.folder": "images_in collect digest",
    "dlseg.predict.score_files": "read_scores",
}
PUBLIC = [(module, name) for module, names in NAMES.items() for name in names.split()]


@pytest.mark.parametrize(("module", "name"), PUBLIC)
def test_a_sentence_then_what_it_takes_and_an_example(module: str, name: str) -> None:
    thing: Callable[..., object] = getattr(importlib.import_module(module), name)
    text = inspect.getdoc(thing) or ""
    first = text.partition("\n\n")[0].replace("\n", " ")
    assert first.endswith(".") and ">>> " in text, text
    parameters = [p for p in inspect.signature(thing).parameters if p not in ("self", "args", "kwargs")]
    listed = text.partition("Attributes:")[2] or text.partition("Args:")[2]
    missing = [p for p in parameters if f"    {p}: " not in listed]
    assert not missing or (not listed and len(parameters) <= 2), missing
    for before, after in (
        ("Args:", "Returns:"),
        ("Args:", "Raises:"),
        ("Returns:", "Raises:"),
        ("Raises:", ">>> "),
    ):
        if before in text and after in text:
            assert text.index(before) < text.index(after), text
