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
from dlseg.grading.reports.layout import page, points
from dlseg.grading.reports.pictures import bars
from dlseg.grading.result import WORDS, Result, file_stem


def render(documents: list[Result], out: Path) -> str:
    """The page's text; fingerprints are read from `out`."""
    body = [f"<h1>Class overview</h1><p class='quiet'>{len(documents)} submissions</p>"]
    if documents:
        body += [_scores(documents), _exercises(documents), _alike(documents, out), _list(documents, out)]
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
    for exercise in (e for d in documents for e in d.exercises if e.status != "grader_error"):
        earned.setdefault(exercise.id, []).append(exercise.points / (exercise.max_points or 1))
        ended.setdefault(exercise.id, Counter())[exercise.status] += 1
    rows = "".join(
        f'<tr><td>{escape(name)}<td class="number">{np.mean(earned[name]):.0%}<td>'
        + ", ".join(f"{n} {WORDS[status]}" for status, n in ended[name].most_common())
        for name in sorted(earned, key=lambda name: float(np.mean(earned[name])))
    )
    head = '<tr><th>exercise<th class="number">mean points<th>how it went</tr>'
    return f"<h2>Exercises, the hardest first</h2><table>{head}{rows}</table>"


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
        for d in sorted(documents, key=lambda d: d.submission)
    )
    return f'<h2>Submissions</h2><table><tr><th>name<th class="number">points<th></tr>{rows}</table>'


def _link(name: str, out: Path) -> str:
    file = f"{file_stem(name)}.html"
    return f'<a href="{quote(file)}">{escape(name)}</a>' if (out / file).exists() else escape(name)
