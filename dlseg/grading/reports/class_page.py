"""The class on one page: how scores spread, which exercises were hard, which submissions read alike."""

from __future__ import annotations

import json
from collections import Counter
from html import escape
from itertools import pairwise
from pathlib import Path
from urllib.parse import quote

import numpy as np

from dlseg.grading.reports import similarity
from dlseg.grading.reports.layout import page, points, tone
from dlseg.grading.reports.pictures import bars
from dlseg.grading.result import WORDS, Result, file_stem

SIGNS = {"good": ("✓", "right"), "part": ("◐", "partly right"), "bad": ("✗", "wrong"), "none": ("○", "missing")}


def render(documents: list[Result], out: Path) -> str:
    """The page's text; fingerprints are read from `out`."""
    body = [f"<h1>Class overview</h1><p class='quiet'>{len(documents)} submissions</p>"]
    if documents:
        body += [_scores(documents), _exercises(documents), _grid(documents, out), _alike(documents, out)]
        body += [_list(documents, out)]
    return page("Class overview", "\n".join(body))


def _scores(documents: list[Result]) -> str:
    shares = [d.score / d.max_score if d.max_score else 0.0 for d in documents]
    counts, edges = np.histogram(shares, bins=10, range=(0, 1))
    labels = [f"{100 * low:.0f}–{high:.0%}" for low, high in pairwise(edges)]
    picture = bars(counts.tolist(), labels, "score", "submissions")
    middle = f"median {np.median(shares):.0%}, lowest {min(shares):.0%}, highest {max(shares):.0%}"
    return f'<h2>Scores</h2><p>{middle}</p><img alt="Score distribution: {middle}" src="{picture}">'


def _exercises(documents: list[Result]) -> str:
    """The hardest first: mean share of points, and how attempts ended."""
    earned: dict[str, list[float]] = {}
    ended: dict[str, Counter[str]] = {}
    open_tests: dict[str, list[float]] = {}
    hidden_tests: dict[str, list[float]] = {}
    titles = _titles(documents)
    for exercise in (e for d in documents for e in d.exercises if e.status != "grader_error"):
        for test in exercise.tests:
            kind = hidden_tests if test.hidden else open_tests
            kind.setdefault(exercise.id, []).append(test.points / (test.max_points or 1))
        earned.setdefault(exercise.id, []).append(exercise.points / (exercise.max_points or 1))
        ended.setdefault(exercise.id, Counter())[exercise.status] += 1
    rows = "".join(
        f'<tr><td>{_title(name, titles)}<td class="number">{np.mean(earned[name]):.0%}'
        f'<td class="number">{_mean(open_tests, name)}<td class="number">{_mean(hidden_tests, name)}<td>'
        + ", ".join(f"{n} {WORDS[status]}" for status, n in ended[name].most_common())
        for name in sorted(earned, key=lambda name: float(np.mean(earned[name])))
    )
    head = (
        '<tr><th>exercise<th class="number">mean points<th class="number">open tests<th class="number">hidden tests'
        "<th>how it went</tr>"
    )
    return f"<h2>Exercises, the hardest first</h2><table>{head}{rows}</table>"


def _titles(documents: list[Result]) -> dict[str, str]:
    """Exercise id → its title, in the order of the exercises."""
    return {e.id: e.title for d in documents for e in d.exercises}


def _title(name: str, titles: dict[str, str]) -> str:
    title = titles.get(name, "")
    return f'{escape(title)} <span class="quiet">{escape(name)}</span>' if title else escape(name)


def _mean(found: dict[str, list[float]], name: str) -> str:
    return f"{np.mean(found[name]):.0%}" if name in found else "none"


def _grid(documents: list[Result], out: Path) -> str:
    """A row for each submission, a column for each exercise; a cell leads to the exercise on the student's page."""
    titles = _titles(documents)
    heads = "".join(f'<th class="upright"><span>{escape(titles[name] or name)}</span>' for name in titles)
    rows = "".join(
        f"<tr><td>{_link(d.submission, out)}{_cells(d, titles, out)}" for d in sorted(documents, key=_by_name)
    )
    words = ", ".join(f"{sign} {word}" for sign, word in SIGNS.values())
    return (
        f'<h2>Who solved what</h2><p class="quiet">Points, and {words}. * Only hidden '
        f'tests failed.</p><div class="wide"><table class="grid"><tr><th>name{heads}</tr>{rows}</table></div>'
    )


def _cells(document: Result, titles: dict[str, str], out: Path) -> str:
    found = {e.id: e for e in document.exercises}
    file = f"{file_stem(document.submission)}.html"
    cells = []
    for name, title in titles.items():
        if (e := found.get(name)) is None:
            cells.append("<td>")
            continue
        lost = {t.hidden for t in e.tests if t.status != "passed"}
        text = f"{SIGNS[tone(e.status)][0]} {points(e.points)}{'*' if lost == {True} else ''}"
        if (out / file).exists():
            text = f'<a href="{quote(file)}#{quote(name)}">{text}</a>'
        about = f"{title or name}: {WORDS[e.status]}, {points(e.points)} of {points(e.max_points)}"
        cells.append(f'<td class="{tone(e.status)}" title="{escape(about)}"><span class="word">{text}</span>')
    return "".join(cells)


def _by_name(document: Result) -> str:
    return document.submission


def _alike(documents: list[Result], out: Path) -> str:
    names = {file_stem(d.submission): d.submission for d in documents}
    stored = {p.name[1 : -len(".prints")]: p for p in sorted(out.glob(".*.prints"))}
    prints = {names[stem]: set(json.loads(p.read_text())) for stem, p in stored.items() if stem in names}
    pairs = similarity.alike(prints)[:50]
    cells = (f'<tr><td>{escape(a)}<td>{escape(b)}<td class="number">{share:.0%}' for a, b, share in pairs)
    head = '<tr><th>one<th>other<th class="number">alike</tr>'
    table = f"<table>{head}{''.join(cells)}</table>" if pairs else "<p>None.</p>"
    hint = "Code that reads alike once names and comments are gone. Short tasks have few right answers: look."
    return f'<h2>Similar submissions</h2><p class="quiet">{hint}</p>{table}'


def _list(documents: list[Result], out: Path) -> str:
    rows = "".join(
        f'<tr><td>{_link(d.submission, out)}<td class="number">{points(d.score)}/{points(d.max_score)}'
        f"<td>{'' if d.complete else WORDS['grader_error']}"
        for d in sorted(documents, key=_by_name)
    )
    return f'<h2>Submissions</h2><table><tr><th>name<th class="number">points<th></tr>{rows}</table>'


def _link(name: str, out: Path) -> str:
    file = f"{file_stem(name)}.html"
    return f'<a href="{quote(file)}">{escape(name)}</a>' if (out / file).exists() else escape(name)
