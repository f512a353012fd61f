"""`dlseg course check` reads the cells: what gives an answer away, hides one, or leaves a number unexplained."""

from types import SimpleNamespace
from typing import Any

import pytest

from dlseg.course.text_checks import formulas, leaks_by_structure, measures, merge_marks, shadows

SOLUTION = """def mean_field_step(q, unary, kernel):
    ### BEGIN SOLUTION
    heard = q @ kernel.T
    costs = unary + heard.sum(axis=0) - heard
    beliefs = np.exp(costs.min(axis=0) - costs)
    return beliefs / beliefs.sum(axis=0)
    ### END SOLUTION
"""


def code(source: str) -> Any:
    return SimpleNamespace(cell_type="code", source=source)


def text(source: str) -> Any:
    return SimpleNamespace(cell_type="markdown", source=source)


@pytest.mark.parametrize(
    "leak",
    [
        "new = start + message.sum(axis=0) - message",
        "for _ in range(10):\n    new = start + message.sum(axis=0) - message\n",
        "%matplotlib inline\nprint(1)\nx = numpy.exp(price.min(axis=0) - price)",
        "def other(a):\n    return a / a.sum(axis=0)\n\ny = u + h.sum(axis=0) - h",
    ],
)
def test_a_solution_with_other_names_is_found(leak: str) -> None:
    found = list(leaks_by_structure([text("intro"), code(leak)], [code(SOLUTION)]))
    assert found and found[0].startswith("cell 2 has the structure of a solution: ")


@pytest.mark.parametrize(
    "harmless",
    ["x = y + 1", "new = start + message.sum(axis=1) - other", "q = np.exp(-unary) / np.exp(-unary).sum(0)", "x ="],
)
def test_other_code_is_not(harmless: str) -> None:
    assert not list(leaks_by_structure([code(harmless)], [code(SOLUTION)]))


@pytest.mark.parametrize(
    "source",
    ["from dlseg.atrous import insert_holes", "import x as insert_holes", "if 1:\n    import insert_holes.y"],
)
def test_an_import_of_what_is_asked_for(source: str) -> None:
    assert list(shadows([code(source)], ["insert_holes"])) == [
        "cell 1 imports insert_holes, which an exercise asks for: use it by its module"
    ]


def test_an_import_by_its_module_is_fine() -> None:
    assert not list(shadows([code("from dlseg import atrous\natrous.insert_holes(x, 2)")], ["insert_holes"]))


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ('print(f"mean IoU {x:.1f} %")', True),
        ('print("network", f"mean IoU {x}")\nprint("done")', True),
        ('print(f"mean IoU {x:.1f} % (classes in truth or labels)")', False),
        ('print(f"mean IoU {x:.1f} %")\nprint("absent ones count as 0")', False),
        ('# mean IoU\nprint(f"accuracy {x}")', False),
    ],
)
def test_mean_iou_has_its_convention(source: str, fault: bool) -> None:
    assert bool(list(measures([code(source)]))) == fault


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("> $a + k_{ij}\n> Q_j$ and more", True),
        ("words\n> so: $x,\n> y$", True),
        ("> $a + b$\n> then $c$", False),
        ("$$a\n> b$$", False),
        ("> costs \\$5\n> and $x$", False),
    ],
)
def test_a_quotation_s_mark_in_a_formula(source: str, fault: bool) -> None:
    assert bool(list(formulas([text(source)]))) == fault


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("<" * 7 + " HEAD\nwords", True),
        ("words\n" + "=" * 7 + "\nothers", True),
        ("others\n" + ">" * 7 + " branch", True),
        ("A title\n" + "=" * 8, False),
        ("> quoted\n>> twice", False),
    ],
)
def test_an_unfinished_merge_in_a_text(source: str, fault: bool) -> None:
    assert bool(list(merge_marks([text(source)]))) == fault
