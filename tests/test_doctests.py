"""Examples in docstrings run; every public name of some parts has one; data and prediction have one form."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
import re
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


REFERENCE = [
    "dlseg.figures",
    "dlseg.widgets",
    "dlseg.widgets.webpage",
    "dlseg.course",
    "dlseg.grading",
    "dlseg.grading.exercise",
    "dlseg.grading.tolerance",
    "dlseg.grading.result",
]


def own(module: str) -> list[tuple[str, object]]:
    """What the book's page of a module shows: its public names, and the public methods of its classes."""
    package = importlib.import_module(module)
    here = [name for name, it in vars(package).items() if getattr(it, "__module__", "") == module]
    names = getattr(package, "__all__", [name for name in here if not name.startswith("_")])
    found: list[tuple[str, object]] = []
    for name in names:
        thing = getattr(package, name)
        if not (inspect.isclass(thing) or inspect.isroutine(thing)):
            continue
        found.append((name, thing))
        for key, member in vars(thing).items() if inspect.isclass(thing) else ():
            bare = inspect.unwrap(getattr(member, "__func__", member))
            if inspect.isfunction(bare) and not key.startswith("_") and bare.__module__.startswith("dlseg"):
                found.append((f"{name}.{key}", bare))
    return found


SHOWN = [pytest.param(thing, id=f"{module}-{name}") for module in REFERENCE for name, thing in own(module)]


@pytest.mark.parametrize("thing", SHOWN)
def test_parameters_results_and_errors_are_lists(thing: type | Callable[..., object]) -> None:
    text = inspect.getdoc(thing) or ""
    assert text.partition("\n\n")[0].endswith((".", ":")), text
    inline = [line for line in text.splitlines() if re.match(r"\s*((Args|Returns|Raises): \S|Raises \w)", line)]
    assert not inline, f"a section's head stands alone on its line: {inline}"
    if inspect.isclass(thing) and issubclass(thing, Exception):
        return
    signature = inspect.signature(thing)
    parameters = [name for name in signature.parameters if name not in ("self", "cls")]
    listed = text.partition("Attributes:")[2] or text.partition("Args:")[2]
    assert not [
        name for name in parameters if not re.search(rf"^    ([\w, ]+, )?{name}(, [\w, ]+)?: ", listed, re.M)
    ]
    if not inspect.isclass(thing) and signature.return_annotation not in ("None", None):
        assert "\nReturns:\n    " in text, text
