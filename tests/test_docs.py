"""What the documents say about files is so; and a file is found by its name."""

import ast
import re
import runpy
from pathlib import Path

import pytest

# a term of the paper: a word by which one looks for it in the tree, the file, and what is defined there
TERMS = {
    "hole algorithm": ("atrous", "dlseg/atrous/conv.py", "atrous_conv2d"),
    "dense pooling, stride 32 → 8": ("densify", "dlseg/atrous/densify.py", "densify"),
    "fc6 decimation": ("decimation", "dlseg/networks/decimation.py", "decimate"),
    "receptive field": ("receptive_field", "dlseg/receptive_field/field.py", "receptive_field"),
    "mean-field update": ("mean_field", "dlseg/crf/mean_field.py", "ParallelRun"),
    "splat": ("splat", "dlseg/crf/lattice/jit/splat_blur_slice.py", "splat"),
    "multi-scale prediction": ("multiscale", "dlseg/networks/multiscale.py", "MultiScale"),
    "poly schedule": ("recipe", "dlseg/training/recipe.py", "Recipe"),
    "cross-validation of the CRF's parameters": ("tuning", "dlseg/crf/tuning/search.py", "search"),
    "mean IOU": ("confusion_matrix", "dlseg/evaluation/confusion_matrix.py", "ConfusionMatrix"),
    "trimap": ("trimap", "dlseg/evaluation/trimap.py", "trimap_curve"),
}
NAMED = re.compile(r"`((?:dlseg|docs|benchmarks|notebooks|tests|data)/[\w./-]+)`")


@pytest.mark.parametrize(
    "name", ["README.md", "docs/architecture.md", "docs/teacher-guide.md", "docs/student-guide.md"]
)
def test_every_file_that_is_named_is_there(repo: Path, name: str) -> None:
    words = NAMED.findall((repo / name).read_text(encoding="utf-8"))
    named = {path for path in words if "_build" not in path and not re.search("[A-Z]{3}", path)}
    # what a command makes, or what a reader is told to add, is no file of the checkout
    missing = sorted(path for path in named if not (repo / path).exists() and path.startswith(("dlseg", "docs")))
    assert not missing, f"{name} names files that are not there: {missing}"


def test_the_picture_of_the_floors_is_up_to_date(repo: Path) -> None:
    draw = runpy.run_path(str(repo / "docs" / "floors.py"))["draw"]
    arrows = re.compile(r'<path d="[^"]+" class="arrow"/>|class="name">\w+<')
    kept = (repo / "docs" / "floors.svg").read_text(encoding="utf-8")
    assert arrows.findall(draw()) == arrows.findall(kept), "run: python docs/floors.py"


def test_examples_of_the_reference_are_shown_as_they_are_run(repo: Path) -> None:
    plain = runpy.run_path(str(repo / "docs" / "conf.py"))["plain"]
    lines = ["|x| is 2 * 3.", "", ">>> (lambda n: 2 * n)(3) | 1", "7", "", "a * b"]
    plain(None, "function", "f", None, None, lines)
    assert lines == [r"\|x\| is 2 \* 3.", "", ">>> (lambda n: 2 * n)(3) | 1", "7", "", r"a \* b"]


@pytest.mark.parametrize("term", TERMS)
def test_a_term_of_the_paper_is_found_by_the_names_of_files(repo: Path, term: str) -> None:
    word, path, name = TERMS[term]
    names = [str(file.relative_to(repo)) for file in (repo / "dlseg").rglob("*.py")]
    # it is a folder's name, or that of one file alone
    found = [file for file in names if word in Path(file).stem]
    assert word in Path(path).parent.parts or found == [path], found
    tree = ast.parse((repo / path).read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    rows = [
        line
        for line in (repo / "docs" / "architecture.md").read_text(encoding="utf-8").splitlines()
        if term in line
    ]
    assert any(f"`{path}`" in row for row in rows), f"docs/architecture.md has no row for {term}"
