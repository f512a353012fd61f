"""`yours`: later cells use what a student wrote; where it is not right the library stands in."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from dlseg.course import check, yours
from dlseg.course.catalogue import find
from dlseg.course.parts import FILE
from dlseg.course.selfcheck import DONE

NAME = "training.mean_iou"
RIGHT = """
def mean_iou(confusion):
    hits = confusion.diagonal()
    union = confusion.sum(0) + confusion.sum(1) - hits
    return float(np.mean(hits / np.maximum(union, 1)))
"""
WRONG = RIGHT.replace("- hits", "")


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    DONE.clear()
    return tmp_path


def written(text: str, folder: Path) -> object:
    """A function with a source, as a cell gives one."""
    path = folder / "cell.py"
    path.write_text("import numpy as np\n" + text, encoding="utf-8")
    names: dict[str, object] = {}
    exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), names)
    return names["mean_iou"]


def test_ones_own_function_of_this_notebook(
    own_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = written(RIGHT, own_folder)
    monkeypatch.setattr(sys.modules["__main__"], "mean_iou", mine, raising=False)
    assert yours(NAME) is mine
    assert capsys.readouterr().out == "mean_iou: yours\n"


@pytest.mark.parametrize(
    "text", [WRONG, "def mean_iou(confusion):\n    raise NotImplementedError\n", "mean_iou = 3\n"]
)
def test_what_is_not_right_is_replaced_with_a_word(
    own_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    monkeypatch.setattr(sys.modules["__main__"], "mean_iou", written(text, own_folder), raising=False)
    assert yours(NAME) is find(NAME).reference
    assert capsys.readouterr().out == "mean_iou: the library's, until yours is right\n"


def test_a_later_notebook_uses_what_check_found_right(own_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check(NAME, written(RIGHT, own_folder))  # type: ignore[arg-type]
    assert set(json.loads(FILE.read_text(encoding="utf-8"))) == {NAME}
    later = yours(NAME)
    assert capsys.readouterr().out.endswith("mean_iou: yours, from an earlier notebook\n")
    assert later(np.array([[2, 0], [1, 1]])) == pytest.approx((2 / 3 + 1 / 2) / 2)
    check(NAME, written(WRONG, own_folder))  # type: ignore[arg-type]
    assert "- hits" in json.loads(FILE.read_text(encoding="utf-8"))[NAME], "a wrong answer takes the place of none"


@pytest.mark.parametrize(
    "text", ["", "[]", '{"training.mean_iou": 3}', '{"training.mean_iou": "def mean_iou("}', "\x00"]
)
def test_a_damaged_file_counts_as_none(own_folder: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    FILE.write_text(text, encoding="utf-8")
    assert yours(NAME) is find(NAME).reference


def test_an_exercise_that_does_not_exist() -> None:
    with pytest.raises(ValueError, match=r"no exercise is called .crf\.step."):
        yours("crf.step")
