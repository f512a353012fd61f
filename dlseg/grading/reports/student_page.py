"""One page per student: what was right, what was not and why, own result beside the reference."""

from __future__ import annotations

from html import escape

from dlseg.grading.exercise import Exercise
from dlseg.grading.harness import Evidence
from dlseg.grading.reports.layout import page, points, tone
from dlseg.grading.reports.pictures import comparison
from dlseg.grading.result import WORDS, ExerciseResult, Result, TestResult

HIDDEN = ' <span class="quiet">(hidden: not in the notebook)</span>'
HELP = {
    "timeout": "Your code was stopped because it ran too long. Is there a loop that never ends?",
    "limit": "Your code was stopped because it used more than it may.",
    "crashed": "The process ended before your function returned: did it call exit?",
    "missing": "Nothing was graded here.",
    "grader_error": "This is not your fault and is not scored: please tell your teacher.",
}


def render(document: Result, exercises: list[Exercise], evidence: Evidence) -> str:
    """The page's text."""
    titles = {exercise.id: exercise.title for exercise in exercises}
    body = [
        f"<h1>{escape(document.submission)}</h1>",
        f'<div class="score">{points(document.score)} '
        f'<span class="quiet">of {points(document.max_score)} points</span></div>',
        *(_exercise(e, titles.get(e.id, ""), evidence) for e in document.exercises),
        f'<p class="quiet">Inputs were drawn fresh with seed {document.seed}. '
        f"Isolation: {escape(document.isolation)}.</p>",
    ]
    title = f"{document.submission}: {points(document.score)}/{points(document.max_score)}"
    return page(title, "\n".join(body))


def _exercise(exercise: ExerciseResult, title: str, evidence: Evidence) -> str:
    heading = escape(title or exercise.id)
    rows = "".join(_row(test) for test in exercise.tests) if exercise.status not in ("missing",) else ""
    table = f'<table><tr><th>test<th>result<th class="number">points</tr>{rows}</table>' if rows else ""
    why = f"<p>{escape(exercise.reason)}</p>" if exercise.status == "missing" else ""
    hint = f'<p class="quiet">{HELP[exercise.status]}</p>' if exercise.status in HELP else ""
    code = evidence.answers.get(exercise.id, "")
    summary = "<summary>the answer that was graded</summary>"
    answer = f"<details>{summary}<pre>{escape(code)}</pre></details>" if code else ""
    return (
        f'<section id="{escape(exercise.id)}" class="{tone(exercise.status)}"><div class="head"><h2>{heading} '
        f'<span class="quiet">{escape(exercise.id)}</span></h2><span><span class="word">'
        f"{WORDS[exercise.status]}</span> · {points(exercise.points)}/{points(exercise.max_points)}"
        "</span></div>"
        f"{why}{hint}{table}{_pictures(exercise, evidence)}{answer}"
        f'<div class="quiet">{exercise.seconds:.2f} s</div></section>'
    )


def _row(test: TestResult) -> str:
    said = f"<pre>{escape(test.message)}</pre>" if test.message else ""
    return (
        f'<tr><td>{escape(test.name)}{HIDDEN if test.hidden else ""}<td class="{tone(test.status)}">'
        f'<span class="word">{WORDS[test.status]}</span>{said}'
        f'<td class="number">{points(test.points)}/{points(test.max_points)}</tr>'
    )


def _pictures(exercise: ExerciseResult, evidence: Evidence) -> str:
    """The first wrong test that can be drawn."""
    for test in exercise.tests:
        pair = evidence.shown.get((exercise.id, test.name))
        if pair and (address := comparison(*pair)):
            about = f"{exercise.id}, {test.name}: your result beside the reference"
            return f'<p class="quiet">{escape(test.name)}</p><img alt="{escape(about)}" src="{address}">'
    return ""
