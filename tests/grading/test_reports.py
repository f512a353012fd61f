"""Every report against the format's own rules, from a good, a bad and a hostile result."""

import base64
import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import get_args

import jsonschema
import numpy as np
import pytest

from dlseg.grading import batch, reports
from dlseg.grading.harness import Evidence
from dlseg.grading.reports import class_page, gradebook_csv, similarity, student_page
from dlseg.grading.reports.pictures import comparison
from dlseg.grading.result import ExerciseResult, Result, Status, TestResult, summarize

STATUSES = list(get_args(Status))
NUMBER, TEXT = {"type": "number", "minimum": 0}, {"type": "string"}
FORMATS = {"enum": ["text", "simple_format", "html", "md", "ansi"]}
VISIBILITY = {"enum": ["hidden", "after_due_date", "after_published", "visible"]}
# https://gradescope-autograders.readthedocs.io/en/latest/specs/: every documented field, and no other
GRADESCOPE = {
    "type": "object",
    "additionalProperties": False,
    "required": ["score", "tests"],
    "properties": {
        "score": NUMBER,
        "execution_time": {"type": "integer", "minimum": 0},
        "output": TEXT,
        "output_format": FORMATS,
        "test_output_format": FORMATS,
        "test_name_format": FORMATS,
        "visibility": VISIBILITY,
        "stdout_visibility": VISIBILITY,
        "extra_data": {"type": "object"},
        "leaderboard": {"type": "array"},
        "tests": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "score": NUMBER,
                    "max_score": NUMBER,
                    "status": {"enum": ["passed", "failed"]},
                    "name": TEXT,
                    "name_format": FORMATS,
                    "number": {"type": "string", "pattern": r"^\d+(\.\d+)*$"},
                    "output": TEXT,
                    "output_format": FORMATS,
                    "tags": {"type": "array", "items": TEXT},
                    "visibility": VISIBILITY,
                    "extra_data": {"type": "object"},
                },
            },
        },
    },
}
# what GitHub's autograding reporter reads
CLASSROOM = {
    "type": "object",
    "required": ["version", "status", "max_score", "tests"],
    "properties": {
        "version": {"const": 3},
        "status": {"enum": ["pass", "fail", "error"]},
        "max_score": NUMBER,
        "tests": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name", "status", "score"],
                "properties": {
                    "name": TEXT,
                    "status": {"enum": ["pass", "fail", "error"]},
                    "score": NUMBER,
                    "message": {"type": "string", "maxLength": 500},
                    "test_code": TEXT,
                    "filename": TEXT,
                    "line_no": {"type": "integer"},
                    "duration": NUMBER,
                },
            },
        },
    },
}
DOCUMENT = {
    "type": "object",
    "additionalProperties": False,
    "required": ["submission", "assignment", "seed", "isolation", "score", "max_score", "exercises"],
    "properties": {
        "submission": TEXT,
        "assignment": TEXT,
        "seed": {"type": "integer"},
        "isolation": TEXT,
        "problem": TEXT,
        "digest": TEXT,
        "graded": TEXT,
        "score": NUMBER,
        "max_score": NUMBER,
        "exercises": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["id", "points", "max_points", "status", "reason", "seconds", "tests"],
                "properties": {
                    "id": TEXT,
                    "points": NUMBER,
                    "max_points": NUMBER,
                    "status": {"enum": STATUSES},
                    "reason": TEXT,
                    "seconds": NUMBER,
                    "title": TEXT,
                    "tests": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "additionalProperties": False,
                            "required": ["name", "points", "max_points", "status", "message"],
                            "properties": {
                                "name": TEXT,
                                "points": NUMBER,
                                "max_points": NUMBER,
                                "status": {"enum": STATUSES},
                                "message": TEXT,
                                "hidden": {"type": "boolean"},
                            },
                        },
                    },
                },
            },
        },
    },
}
EVIL = "</pre><script>alert('x')</script><img src=x onerror=alert(1)>"


def document(name: str, *statuses: str, message: str = "why") -> Result:
    tests = [
        TestResult(f"t{n}", 2.5 * (s == "passed"), 2.5, s, "" if s == "passed" else message)
        for n, s in enumerate(statuses)
    ]
    score, most = sum(t.points for t in tests), 2.5 * len(tests)
    exercise = ExerciseResult("a.b", score, most, summarize(tests), message, 1.25, tests)
    return Result(name, "demo", 7, "limits", exercise.points, exercise.max_points, [exercise])


DOCUMENTS = [
    document("good", "passed", "passed"),
    document("bad", "passed", "failed"),
    document("evil", *STATUSES[2:], message=EVIL),
    document("=1+1", "grader_error"),
]


def render(kind: str, result: Result) -> str:
    return reports.SINGLE[kind].render(result, [], Evidence())


@pytest.mark.parametrize("result", DOCUMENTS, ids=lambda d: d.submission)
def test_documents(result: Result) -> None:
    jsonschema.validate(json.loads(render("json", result)), DOCUMENT)
    assert Result.from_json(result.to_json()) == result
    gradescope = json.loads(render("gradescope", result))
    jsonschema.validate(gradescope, GRADESCOPE)
    assert gradescope["score"] == sum(t["score"] for t in gradescope["tests"]) == result.score
    classroom = json.loads(base64.b64decode(render("classroom", result).strip(), validate=True))
    jsonschema.validate(classroom, CLASSROOM)
    assert sum(t["score"] for t in classroom["tests"]) == result.score
    points = json.loads(render("nbgrader", result))
    assert points == ({"a-b": result.score} if result.complete else {})
    assert all(type(v) is float and 0 <= v <= result.max_score for v in points.values())


def test_classroom_words() -> None:
    said = [json.loads(base64.b64decode(render("classroom", d)))["status"] for d in DOCUMENTS]
    assert said == ["pass", "fail", "error", "error"]


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.words = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [v or "" for k, v in attrs if k in ("src", "href")]
        assert not [k for k, _ in attrs if k.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.words += data


@pytest.mark.parametrize("result", DOCUMENTS, ids=lambda d: d.submission)
def test_pages_hold_no_hostile_markup(result: Result) -> None:
    page = Page()
    page.feed(render("html", result))
    assert "script" not in page.tags and not page.addresses
    assert result.submission in page.words and (result.submission != "evil" or EVIL in page.words)


def test_pictures() -> None:
    rng = np.random.default_rng(0)
    for own, reference in [
        ((4, 2, 6, 6), (4, 2, 5, 5)),
        ((9,), (9,)),
        ((9,), (7,)),
        ((2, 60), (2, 60)),
        ((1, 5), (5, 1)),
        ((400, 400), (400, 400)),
    ]:
        address = comparison(rng.random(own), rng.random(reference))
        assert base64.b64decode(address.removeprefix("data:image/png;base64,")).startswith(b"\x89PNG")
    for odd in (np.full((3, 3), np.nan), np.full((3, 3), np.inf), np.zeros((3, 3)), np.full((3, 3), 1e308)):
        assert comparison(odd, np.ones((3, 3))) and comparison(np.ones((3, 3)), odd)
    for none in (3, "a", None, [1, 2], np.float64(3), np.zeros((0, 4)), np.zeros((2, 0, 3)), np.zeros(1)):
        assert comparison(none, np.ones(3)) == comparison(np.ones(3), none) == ""


def test_class_list() -> None:
    rows = list(csv.DictReader(io.StringIO(gradebook_csv.render(DOCUMENTS))))
    assert [r["submission"] for r in rows] == ["good", "bad", "evil", "'=1+1"]
    assert [r["a.b"] for r in rows] == ["5.0", "2.5", "", ""]


def test_overview(tmp_path: Path) -> None:
    copied = (
        "def f(x):\n    total = 0\n    for i in range(len(x)):\n        total += x[i] * (i + 1)\n    return total\n"
    )
    texts = {
        "good": copied,
        "bad": copied.replace("total", "summe").replace("# ", "") + "# mine\n",
        "evil": "def f(x):\n    import math\n    return [math.sqrt(v) for v in x if v > 0][::-1] + [0] * 3\n",
        "four": "f = lambda x: {k: v for k, v in enumerate(x) if k % 2 == 1 and v not in (1, 2, 3)}\n",
    }
    for name, text in texts.items():
        (tmp_path / f".{name}.prints").write_text(json.dumps(sorted(similarity.fingerprint([text]))))
    (tmp_path / "good.html").write_text("")
    page = Page()
    page.feed(class_page.render(DOCUMENTS, tmp_path))
    assert "script" not in page.tags and page.addresses[-1] == "good.html"
    pairs = similarity.alike({p.stem[1:]: set(json.loads(p.read_text())) for p in tmp_path.glob(".*.prints")})
    assert [(a, b) for a, b, _ in pairs] == [("bad", "good")] and pairs[0][2] > 0.9
    assert class_page.render([], tmp_path)


def test_not_a_document() -> None:
    more = json.dumps({**json.loads(DOCUMENTS[0].to_json()), "more": 1})
    for text in ("{", "[]", "{}", '{"exercises": 3}', more):
        with pytest.raises(ValueError):
            Result.from_json(text)


def test_a_report_that_fails_costs_no_grade(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> str:
        raise RuntimeError("no font")

    monkeypatch.setitem(reports.SINGLE, "html", replace(reports.SINGLE["html"], render=broken))
    run = batch.Run(tmp_path, tmp_path, 1, None, ("html", "json"))
    with pytest.warns(UserWarning, match="no font"):
        batch._write(run, [], DOCUMENTS[0], Evidence())
    assert (tmp_path / "good.json").exists() and not (tmp_path / "good.html").exists()


def test_words_of_endings(grade: Callable[..., Result]) -> None:
    result = grade("import os\ndef double(x):\n    os._exit(3)\ndef square(x):\n    return x * x\n")
    assert result.exercises[0].reason.startswith("positive: your code ended the process with exit code 3")


def test_the_overview_has_titles_a_grid_and_hidden_tests(tmp_path: Path) -> None:
    tests = [TestResult("open", 2, 2, "passed"), TestResult("other inputs", 0, 3, "failed", "no", hidden=True)]
    exercises = [
        ExerciseResult("a.b", 2, 5, "partial", "other inputs: no", 1.0, tests, title="A <fine> title"),
        ExerciseResult("a.c", 0, 5, "missing", "gone", 0.0, [TestResult("t", 0, 5, "missing")], title="Another"),
    ]
    document = replace(DOCUMENTS[0], submission="kim", exercises=exercises)
    (tmp_path / "kim.html").write_text("")
    text = class_page.render([document], tmp_path)
    assert "A &lt;fine&gt; title" in text and "<fine>" not in text
    assert '<td class="part" title="A &lt;fine&gt; title: partly right, 2 of 5">' in text
    assert '<a href="kim.html#a.b">◐ 2*</a>' in text and '<a href="kim.html#a.c">○ 0</a>' in text
    assert '<td class="number">100%<td class="number">0%<td>1 partly right' in text
    page = student_page.render(document, [], Evidence(answers={"a.b": "def f(x):\n    return x < 1"}))
    assert '<section id="a.b"' in page and "(hidden: not in the notebook)" in page
    assert "<summary>the answer that was graded</summary><pre>def f(x):\n    return x &lt; 1</pre>" in page
    assert Result.from_json(document.to_json()) == document
    old = json.loads(document.to_json())
    for exercise in old["exercises"]:
        del exercise["title"]
        for test in exercise["tests"]:
            del test["hidden"]
    assert Result.from_json(json.dumps(old)).score == document.score  # a document from before they were there
