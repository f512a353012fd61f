"""The course's exercises: solutions earn all points, blanks none, typical wrong answers what they deserve."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dlseg.grading import exercise
from dlseg.grading.harness import Harness
from dlseg.grading.intake import Item
from dlseg.grading.result import Result
from dlseg.grading.sandbox.client import Sandbox

BLANK = 'def {name}(*arguments):\n    """Write this."""\n    raise NotImplementedError\n'
IDS = ["atrous.conv1d", "atrous.insert_holes", "crf.mean_field_step", "pooling.output_size",
       "training.mean_iou", "training.poly_rate"]
Grade = Callable[..., Result]


@pytest.fixture
def grade(exercises: list[exercise.Exercise], sandbox: Sandbox, tmp_path: Path) -> Grade:
    def run(text: str, *, seed: int = 20, only: str = "", suffix: str = ".ipynb") -> Result:
        path = tmp_path / f"submission{suffix}"
        path.write_text(text)
        chosen = [e for e in exercises if only in ("", e.id)]
        return Harness(chosen, sandbox, seed).grade(Item("submission", path))

    return run


def solved(answers: dict[str, Any]) -> list[tuple[str, str]]:
    return [("", answers["IMPORTS"]), *answers["SOLUTIONS"].items()]


def test_every_exercise_has_answers(exercises: list[exercise.Exercise], answers: dict[str, Any]) -> None:
    assert sorted(e.id for e in exercises) == IDS == sorted(answers["SOLUTIONS"]) == sorted(answers["WRONG"])
    assert all(len(wrong) >= 10 for wrong in answers["WRONG"].values())


@pytest.mark.parametrize("seed", range(20))
def test_solutions_earn_everything(
    grade: Grade, notebook: Callable[..., str], answers: dict[str, Any], seed: int
) -> None:
    result = grade(notebook(solved(answers)), seed=seed)
    assert result.score == result.max_score == 30, result
    assert {e.status for e in result.exercises} == {"passed"}


@pytest.mark.parametrize(("major", "minor"), [(3, 0), (4, 0), (4, 4)])
def test_old_formats(
    grade: Grade, notebook: Callable[..., str], answers: dict[str, Any], major: int, minor: int
) -> None:
    result = grade(notebook(solved(answers), major=major, minor=minor))
    assert result.score == 30, result


def test_plain_and_percent_scripts(grade: Grade, answers: dict[str, Any]) -> None:
    plain = answers["IMPORTS"] + "".join(answers["SOLUTIONS"].values())
    percent = "# %%\n" + answers["IMPORTS"] + "".join(f"# %%\n{s}" for s in answers["SOLUTIONS"].values())
    assert grade(plain, suffix=".py").score == 30
    assert grade("# %% [markdown]\n# not = code (\n" + percent, suffix=".py").score == 30


def test_blank_notebooks_are_missing(
    grade: Grade, notebook: Callable[..., str], exercises: list[exercise.Exercise]
) -> None:
    result = grade(notebook([(e.id, BLANK.format(name=e.function)) for e in exercises]))
    assert result.score == 0
    assert {e.status for e in result.exercises} == {"missing"}
    assert all("not attempted" in e.reason for e in result.exercises)


@pytest.mark.parametrize("name", IDS)
def test_typical_wrong_answers(
    grade: Grade, notebook: Callable[..., str], answers: dict[str, Any], name: str
) -> None:
    for what, (source, points) in answers["WRONG"][name].items():
        result = grade(notebook([("", answers["IMPORTS"]), (name, source)]), only=name)
        found = result.exercises[0]
        assert found.points == points, f"{what}: {found}"
        assert found.status == ("partial" if points else found.status)
        assert found.status in ("failed", "raised", "partial"), f"{what}: {found}"
        assert found.reason, what
