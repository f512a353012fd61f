"""The course's exercises: solutions earn all points, blanks none, typical wrong answers what they deserve."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typical import IMPORTS

from dlseg.course import build, selfcheck
from dlseg.course.catalogue import catalogue
from dlseg.course.wrong_answers import wrong_answers
from dlseg.grading import exercise
from dlseg.grading.harness import Harness
from dlseg.grading.intake import Item
from dlseg.grading.result import Result
from dlseg.grading.sandbox.client import Sandbox

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
IDS = list(catalogue())
WRONG = wrong_answers()
TOPICS = ("pooling", "atrous", "receptive_field", "training", "crf", "capstone")
Grade = Callable[..., Result]


@pytest.fixture
def grade(exercises: list[exercise.Exercise], sandbox: Sandbox, tmp_path: Path) -> Grade:
    def run(text: str, *, seed: int = 20, only: str = "", suffix: str = ".ipynb") -> Result:
        path = tmp_path / f"submission{suffix}"
        path.write_text(text)
        chosen = [e for e in exercises if e.id.startswith(only)]
        return Harness(chosen, sandbox, seed).grade(Item("submission", path))

    return run


def test_the_course_is_worth_a_hundred_points(exercises: list[exercise.Exercise]) -> None:
    assert sum(found.max_points for found in exercises) == 100
    counts = {topic: sum(found.id.startswith(f"{topic}.") for found in exercises) for topic in TOPICS}
    assert all(counts[topic] >= 3 for topic in TOPICS[:-1]) and counts["capstone"] == 2
    assert sum(counts.values()) == len(exercises)


@pytest.mark.parametrize("name", IDS)
def test_an_exercise_says_what_a_teacher_needs(name: str) -> None:
    found = catalogue()[name]
    assert found.difficulty in ("easy", "medium", "hard") and found.title and len(found.hints) == 3
    assert all(test.tolerance.because for test in found.tests)
    assert len(WRONG[name]) >= 10, "ten typical wrong answers belong to each"


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.full) for seed in range(1, 4))])
def test_solutions_earn_everything(
    grade: Grade, notebook: Callable[..., str], solutions: dict[str, str], seed: int
) -> None:
    result = grade(notebook(list(solutions.items())), seed=seed)
    assert {e.id: e.reason for e in result.exercises if e.status != "passed"} == {}
    assert result.score == result.max_score == 100


@pytest.mark.parametrize(("major", "minor"), [(3, 0), (4, 0), (4, 4)])
def test_old_formats(
    grade: Grade, notebook: Callable[..., str], solutions: dict[str, str], major: int, minor: int
) -> None:
    result = grade(notebook(list(solutions.items()), major=major, minor=minor), only="atrous")
    assert result.score == 22, result


def test_plain_and_percent_scripts(grade: Grade, solutions: dict[str, str]) -> None:
    mine = [text for name, text in solutions.items() if name.startswith("pooling")]
    percent = f"# %%\n{IMPORTS}" + "".join(f"# %%\n{text}\n" for text in mine)
    assert grade(IMPORTS + "\n".join(mine) + "\n", suffix=".py", only="pooling").score == 17
    assert grade("# %% [markdown]\n# not = code (\n" + percent, suffix=".py", only="pooling").score == 17


@pytest.mark.parametrize("topic", TOPICS)
def test_a_notebook_as_built_earns_all_or_nothing(grade: Grade, topic: str) -> None:
    """The solved notebook is worth every point, the one handed out none: every exercise is `missing`."""
    path = next((NOTEBOOKS / "source").glob(f"*_{topic}.py"))
    solved = grade(build.solved_notebook(path), only=topic)
    assert solved.score == solved.max_score > 0, solved
    blank = grade(build.student_notebook(path), only=topic)
    assert blank.score == 0 and {e.status for e in blank.exercises} == {"missing"}
    assert all("not attempted" in e.reason for e in blank.exercises)


THOUGHTLESS = {
    "None": "None",
    "NaN": "float('nan')",
    "the input": "given[0]",
    "zeros": "0 * np.asarray(given[0], dtype=float) if not isinstance(given[0], list) else 0",
    "ones": "0 * np.asarray(given[0], dtype=float) + 1 if not isinstance(given[0], list) else 1",
    "random": "np.random.standard_normal(np.shape(given[0]) if not isinstance(given[0], list) else ())",
}


@pytest.mark.parametrize(
    "kind", ["the input", *(pytest.param(k, marks=pytest.mark.full) for k in THOUGHTLESS if k != "the input")]
)
def test_an_answer_without_a_thought_earns_nothing(
    grade: Grade, notebook: Callable[..., str], exercises: list[exercise.Exercise], kind: str
) -> None:
    """In the grade; tests/grading/test_draws.py asks the same of two hundred seeds and of the right shapes."""
    cells = [(e.id, f"def {e.function}(*given):\n    return {THOUGHTLESS[kind]}\n") for e in exercises]
    result = grade(notebook(cells))
    assert {e.id: e.points for e in result.exercises if e.points} == {} and result.max_score == 100


@pytest.mark.parametrize("night", [False, pytest.param(True, marks=pytest.mark.full)], ids=["day", "night"])
@pytest.mark.parametrize("name", IDS)
def test_typical_wrong_answers(grade: Grade, notebook: Callable[..., str], name: str, night: bool) -> None:
    """By day three of each exercise, and those that earn a part; all are found wrong by the same tests below."""
    for number, wrong in enumerate(WRONG[name]):
        if night == (number < 3 or wrong.points > 0):
            continue
        found = grade(notebook([(name, wrong.text)]), only=name).exercises[0]
        assert found.points == wrong.points < found.max_points, f"{wrong.what}: {found}"
        assert found.status in (("partial",) if wrong.points else ("failed", "raised")), f"{wrong.what}: {found}"
        assert found.reason, wrong.what


@pytest.mark.parametrize("name", IDS)
def test_check_is_friendly_to_wrong_answers(name: str) -> None:
    """In the notebook: never an exception, always what came and what was expected; hidden tests stay out of it."""
    found, pictures = catalogue()[name], 0
    for wrong in WRONG[name]:
        space: dict[str, object] = {}
        exec(IMPORTS + wrong.text, space)
        verdict = selfcheck.check(name, space[found.function], hidden=True)  # type: ignore[arg-type]
        assert verdict.status in ("failed", "raised"), f"{wrong.what}: {verdict}"
        bad = next(o for o in verdict.outcomes if o.status != "passed")
        assert bad.message and bad.arguments, wrong.what
        assert "hint(" in str(verdict) and "Traceback" not in str(verdict)
        if bad.shown and not pictures:
            pictures += "data:image/png" in verdict.html()
    first = found.answer(found.tests[0], found.tests[0].draw(0, name, 0))
    assert pictures or not getattr(first, "ndim", 0), "a map that differs is shown"
