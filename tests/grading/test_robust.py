"""Whatever one submission holds or is called: the others are graded, it has its row and its sentence."""

import csv
import io
import json
import os
import subprocess
import sys
import time
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from small_class import RIGHT, WRONG, grade_words, make_class

from dlseg.cli import main
from dlseg.grading import batch, frames, harness, judge, parsing, reports, tolerance
from dlseg.grading.draws import Case
from dlseg.grading.exercise import Exercise, Test
from dlseg.grading.harness import Harness
from dlseg.grading.intake import Item, collect, safe_name
from dlseg.grading.reports import gradebook_csv
from dlseg.grading.result import Result, file_stem
from dlseg.grading.sandbox.client import Outcome, Sandbox
from dlseg.grading.sandbox.job import Ended, Limits
from dlseg.grading.submission import read
from dlseg.grading.tolerance import exact, plain_values

pytestmark = pytest.mark.usefixtures("one_sandbox")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_class(tmp_path, {"aaa": RIGHT, "zzz": RIGHT})


def grade(folder: Path, *kinds: str) -> dict[str, Result]:
    run = batch.prepare(folder / "out", folder / "tests", seed=3, kinds=kinds or ("json", "csv", "html"))
    return {document.submission: document for document, _ in batch.grade_all(run, [folder / "in"])}


def rows(folder: Path) -> dict[str, str]:
    text = (folder / "out" / "grades.csv").read_text(encoding="utf-8")
    return {row[0]: row[1] for row in list(csv.reader(text.splitlines()))[1:]}


def notebook(*sources: str) -> str:
    cells = [{"cell_type": "code", "source": source, "metadata": {}, "outputs": []} for source in sources]
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells})


BROKEN = {
    "cells that are a number": '{"worksheets":[{"cells":5}]}',
    "cells that are a word": '{"worksheets":[{"cells":"code"}]}',
    "metadata that is a list": '{"cells":[{"cell_type":"code","source":{},"metadata":[]}]}',
    "a lone surrogate": notebook("\ud800 = 1", "x = '\udfff'"),
    "a surrogate in a name": notebook("def next_one(n):\n    return n\nn\udc00me = 3"),
    "a number too long to read": '{"cells":[' + "9" * 9000 + "]}",
    "numbers that are none": '{"cells":[NaN, Infinity]}',
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_costs_itself_alone(folder: Path, name: str) -> None:
    (folder / "in" / "bad.ipynb").write_text(BROKEN[name])
    found = grade(folder)
    assert (found["aaa"].score, found["bad"].score, found["zzz"].score) == (2, 0, 2)
    assert all(e.reason and e.status != "grader_error" for e in found["bad"].exercises), found["bad"]
    assert rows(folder) == {"aaa": "2", "bad": "0", "zzz": "2"}


def test_much_code_is_read(folder: Path) -> None:
    """An honest notebook with a large embedded string; and one with more statements than can be told."""
    (folder / "in" / "large.ipynb").write_text(notebook(f"PHOTO = '{'é' * 1_200_000}'", RIGHT))
    (folder / "in" / "many.ipynb").write_text(notebook("a = 1\n" * 90_000, RIGHT))
    found = grade(folder)
    assert found["large"].score == found["many"].score == 2, found


def test_names_that_no_file_can_have(folder: Path) -> None:
    long, twin = "x" * 250, "x" * 249 + "y"
    for name in (long, twin):
        (folder / "in" / f"{name}.py").write_text(RIGHT)
    with open(os.fsencode(folder / "in") + b"/caf\xe9.py", "w", encoding="utf-8") as file:  # noqa: PTH123
        file.write(RIGHT)
    (folder / "in" / "\x1b[31mred\x07.py").write_text(RIGHT)
    found = grade(folder, "json", "csv", "html", "classroom", "gradescope")
    assert len(found) == 6 and {d.score for d in found.values()} == {2}, found
    assert all(name.isprintable() and name.encode() for name in found)
    assert len(rows(folder)) == 6
    assert len(list((folder / "out").glob("*.html"))) == 7


def test_a_long_name_in_a_zip_costs_nothing(folder: Path) -> None:
    with zipfile.ZipFile(folder / "in" / "class.zip", "w") as archive:
        archive.writestr("first.py", RIGHT)
        archive.writestr("n" * 300 + ".py", RIGHT)
        archive.writestr("f" * 300 + "/deep.py", RIGHT)
        archive.writestr("last.py", RIGHT)
    found = grade(folder)
    assert len(found) == 6 and {d.score for d in found.values()} == {2}, found


def test_a_broken_member_costs_itself(folder: Path) -> None:
    """Its compressed bytes are damaged; those of its neighbours are not."""
    for kind, number in (("lzma", zipfile.ZIP_LZMA), ("bz2", zipfile.ZIP_BZIP2), ("zip", zipfile.ZIP_DEFLATED)):
        path = folder / "in" / f"{kind}.zip"
        with zipfile.ZipFile(path, "w", number) as archive:
            for name in ("before", "broken", "behind"):
                archive.writestr(f"{kind}_{name}.py", RIGHT + f"# {name} {os.urandom(200).hex()}\n")
            at = archive.getinfo(f"{kind}_broken.py").header_offset
        data = bytearray(path.read_bytes())
        start = at + 30 + len(f"{kind}_broken.py") + 9
        data[start : start + 60] = b"\xff" * 60
        path.write_bytes(data)
    found = grade(folder)
    for kind in ("lzma", "bz2", "zip"):
        scores = [found[f"{kind}_{name}"].score for name in ("before", "broken", "behind")]
        assert scores == [2, 0, 2], (kind, scores)
        assert "cannot be read" in found[f"{kind}_broken"].exercises[0].reason


def test_endings_in_capitals(folder: Path) -> None:
    (folder / "in" / "one.IPYNB").write_text(notebook(RIGHT))
    (folder / "in" / "two.Py").write_text(RIGHT)
    with zipfile.ZipFile(folder / "in" / "THREE.ZIP", "w") as archive:
        archive.writestr("three.PY", RIGHT)
    assert {name: d.score for name, d in grade(folder).items()} == dict.fromkeys(
        ["aaa", "one", "two", "three", "zzz"], 2
    )


def test_what_is_no_ordinary_file_has_its_row(folder: Path) -> None:
    (folder / "in" / "link.py").symlink_to("/etc/passwd")
    (folder / "in" / "gone.ipynb").symlink_to("nowhere")
    os.mkfifo(folder / "in" / "pipe.py")
    found = grade(folder)
    assert sorted(found) == ["aaa", "gone", "link", "pipe", "zzz"]
    assert all("expected an ordinary file" in found[n].exercises[0].reason for n in ("link", "gone", "pipe"))


def test_the_graders_own_fault_costs_one_submission(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = harness.Harness.grade

    def unlucky(self: Harness, item: Item, tell: object = None) -> Result:
        if item.name == "aaa":
            raise KeyError("a fault of the grader")
        return real(self, item, tell)  # type: ignore[arg-type]

    monkeypatch.setattr(harness.Harness, "grade", unlucky)
    said = CliRunner().invoke(
        main,
        grade_words(folder, "--report", "json,csv"),
    )
    assert said.exit_code == 3 and "the grader failed for aaa" in said.output, said.output
    assert set(rows(folder)) == {"aaa", "zzz"} and rows(folder)["zzz"] == "2"


def test_foreign_files_in_the_results(folder: Path) -> None:
    grade(folder)
    for name, text in {"config": "{}", "list": "[1]", "cut": "{", "half": '{"exercises": [{}]}'}.items():
        (folder / "out" / f"{name}.json").write_text(text)
    (folder / "out" / "latin.json").write_bytes(b"\xff\xfe")
    grade(folder)
    assert set(rows(folder)) == {"aaa", "zzz"}


# --- one person's points in another's row ---


def test_report_files_are_unique(folder: Path) -> None:
    """Names that end as reports do, that are those of the class's pages, or that differ in a dot."""
    names = ["x", "x.gradescope", "x.classroom", "x%2Egradescope", "index", "grades", "smith.jane_04_training"]
    for number, name in enumerate(names):
        (folder / "in" / f"{name}.py").write_text(RIGHT if number % 2 else WRONG)
    expected = {name: 2 * (number % 2) for number, name in enumerate(names)} | {"aaa": 2, "zzz": 2}
    found = grade(folder, *reports.KINDS)
    assert {name: d.score for name, d in found.items()} == expected
    assert {name: float(score) for name, score in rows(folder).items()} == expected
    for name in names:
        stored = Result.from_json((folder / "out" / f"{file_stem(name)}.json").read_text())
        assert (stored.submission, stored.score) == (name, expected[name])
    assert "Class overview" in (folder / "out" / "index.html").read_text()
    assert {name: d.score for name, d in grade(folder, *reports.KINDS).items()} == expected


def test_flattened_names_stay_apart(folder: Path) -> None:
    """Folders whose names make a clash with a file's own name, and names that one disk takes for another."""
    places = {
        "ada/hw": RIGHT,
        "bob/hw": WRONG,
        "ada-hw": WRONG,
        "x/ada/hw": WRONG,
        "bob-hw": RIGHT,
        "ADA-HW": RIGHT,
    }
    for place, text in places.items():
        path = folder / "in" / f"{place}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + f"# {place}\n")
    items = collect([folder / "in"], folder / "unpacked")
    assert len({item.name.casefold() for item in items}) == len(items) == 8
    found = grade(folder)
    for item in items:
        assert found[item.name].score == (2 if "+ 1" in item.path.read_text() else 0), item
    assert [i.name for i in collect([folder / "in"], folder / "again")] == [i.name for i in items]


def test_a_corrected_resubmission_is_graded_again(folder: Path) -> None:
    (folder / "in" / "aaa.py").write_text(WRONG)
    assert grade(folder)["aaa"].score == 0
    kept = (folder / "out" / "zzz.json").stat().st_mtime_ns
    (folder / "in" / "aaa.py").write_text(RIGHT)
    assert grade(folder)["aaa"].score == 2 and rows(folder)["aaa"] == "2"
    assert (folder / "out" / "zzz.json").stat().st_mtime_ns == kept, "what has not changed was graded again"


def test_anothers_file_under_the_same_name(folder: Path) -> None:
    """One `hw` was graded; then a second one comes, and the names move."""
    for name in ("ada", "bob"):
        (folder / "in" / name).mkdir()
    (folder / "in" / "bob" / "hw.py").write_text(RIGHT)
    assert grade(folder)["hw"].score == 2
    (folder / "in" / "bob" / "hw.py").rename(folder / "in" / "bob" / "other.py")
    (folder / "in" / "ada" / "hw.py").write_text(WRONG)
    found = grade(folder)
    assert found["hw"].score == 0 and found["other"].score == 2


def test_handed_in_again_while_it_was_graded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = harness.Harness.grade

    def meanwhile(self: Harness, item: Item, tell: object = None) -> Result:
        document = real(self, item, tell)  # type: ignore[arg-type]
        if item.name == "aaa":
            item.path.write_text(WRONG)
        return document

    monkeypatch.setattr(harness.Harness, "grade", meanwhile)
    grade(folder)
    monkeypatch.undo()
    assert grade(folder)["aaa"].score == 0


def test_a_second_grader_keeps_out(folder: Path, repo: Path) -> None:
    run = batch.prepare(folder / "out", folder / "tests", seed=3)
    first = batch.grade_all(run, [folder / "in"])
    next(first)
    unzipped = [p for p in (folder / "out").glob(".unzipped*")]
    words = [sys.executable, "-m", "dlseg", *grade_words(folder)]
    environment = {**os.environ, "PYTHONPATH": str(repo)}
    second = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert second.returncode == 1 and "another grader is at work" in second.stderr, second.stderr
    assert unzipped and all(p.is_dir() for p in unzipped), "the second took the first one's files away"
    assert len(list(first)) == 1
    assert {d.submission: d.score for d, _ in batch.grade_all(run, [folder / "in"])} == {"aaa": 2, "zzz": 2}


# --- what a student's frame says ---

STRANGE = [
    {"raised": np.zeros(3), "message": "", "where": ""},
    {"raised": "X", "message": np.zeros(3), "where": ""},
    {"raised": ["NotImplementedError"], "message": "m", "where": "w"},
    {"too_large": np.zeros(2)},
    {"unusable": {}},
    {"value": 1, "loading": True},
    {"value": 1, "raised": "X"},
    {},
    {"loading": True},
    {"status": "passed"},
    {"raised": "X", "message": "m", "where": "w", "loading": np.ones(2)},
    {"raised": None, "message": "", "where": ""},
]


@pytest.mark.parametrize("frame", STRANGE, ids=str)
def test_a_strange_frame_costs_the_student(frame: dict[str, object]) -> None:
    tests = (Test("t", 1, lambda rng: (1,), exact("whole"), runs=1),)
    exercise = Exercise("a.b", "f", lambda n: n, tests)
    calls = [Case((1,), 0, 1)]
    outcome = Outcome(Ended("exited"), [frame])
    (verdict,) = judge.judge(judge.Judged(exercise, Limits(), {}), list(tests), calls, outcome)
    assert (verdict.points, verdict.status) == (0, "crashed") and "no answer looks like" in verdict.message


VALUES = [
    10**400,
    [10**400],
    {"a": float("nan")},
    [[1], [2, 3]],
    [np.zeros(2), np.zeros(3)],
    "9" * 5000,
    [[[]]],
    [None, 1],
    [True, "a"],
    np.array(["a"]),
    {"k": {"k": np.zeros(2)}},
    [np.zeros(1), 5],
]


@pytest.mark.parametrize("value", VALUES, ids=lambda v: str(v)[:30])
@pytest.mark.parametrize(
    "reference", [3, 2.5, np.zeros(4), [1, 2], {"a": 1}, "word", None, [np.zeros(2)]], ids=lambda v: str(v)[:30]
)
def test_no_value_is_the_graders_fault(value: object, reference: object) -> None:
    exercise = Exercise("a.b", "f", lambda n: reference, (Test("t", 1, lambda rng: (1,), exact("w"), runs=1),))
    calls = [Case((1,), 0, plain_values(reference))]
    outcome = Outcome(Ended("exited"), [{"value": value}])
    (verdict,) = judge.judge(judge.Judged(exercise, Limits(), {}), list(exercise.tests), calls, outcome)
    assert verdict.status == "failed" and verdict.message, verdict


FORGED = """
import os, sys
import numpy as np
def next_one(n):
    encode = sys._getframe(1).f_globals["frames"].encode
    for _ in range(2):
        os.write(5, encode({"raised": np.zeros(3), "message": "NotImplementedError", "where": ""}))
    os._exit(0)
"""


def test_a_forged_frame_is_not_run_again_for_ever(folder: Path) -> None:
    (folder / "in" / "forger.py").write_text(FORGED)
    forger = grade(folder)["forger"]
    assert forger.complete and forger.score == 0 and forger.exercises[0].status == "crashed", forger


# --- time ---


def test_dying_does_not_start_the_clock_again(sandbox: Sandbox, tmp_path: Path) -> None:
    """Each test's worker sleeps and ends itself; all of them have one exercise's budget."""
    tests = tuple(Test(f"t{n}", 1, lambda rng: (1,), exact("whole"), runs=1) for n in range(30))
    exercise = Exercise("small.one", "one", lambda n: n, tests, seconds=1)
    (tmp_path / "slow.py").write_text("import os, time\ndef one(n):\n    time.sleep(0.9)\n    os._exit(0)\n")
    result = Harness([exercise], sandbox, 1).grade(Item("slow", tmp_path / "slow.py"))
    statuses = [t.status for t in result.exercises[0].tests]
    assert 1 <= statuses.count("crashed") <= 5 and set(statuses[5:]) == {"timeout"}, statuses


def test_cells_that_are_slow_to_read_have_one_budget(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []

    def run(request: dict[str, object], limits: Limits) -> Outcome:
        asked.append(limits.seconds)
        return Outcome(Ended("wall", 9, seconds=limits.wall, cpu=0.0))

    monkeypatch.setattr(sandbox, "run", run)
    (tmp_path / "slow.ipynb").write_text(notebook(*["x = 1"] * 50))
    cells = Harness([], sandbox, 1)._read(read(tmp_path / "slow.ipynb"))
    assert len(cells) == 50 and sum(asked) <= harness.READ_SECONDS and all(cell.error for cell in cells)


@pytest.mark.parametrize(
    "line",
    [
        "?" * 60_000 + "!x",
        "!x" + "?" * 60_000 + " x",
        " " * 60_000 + "x y?",
        "a?" * 30_000 + " b",
        "%" * 60_000 + "?",
    ],
    ids=lambda line: line[:3],
)
def test_long_lines_are_read_in_time_that_grows_with_their_length(line: str) -> None:
    """In seconds of this process's own computing: a busy machine does not matter."""

    def seconds(text: str) -> float:
        best = float("inf")
        for _ in range(5):
            start = time.process_time()
            parsing.to_python(text)
            best = min(best, time.process_time() - start)
        return best

    assert seconds(line) < 1


CALL = "get_ipython()."


@pytest.mark.parametrize(
    ("line", "left"),
    [
        ("%matplotlib inline", f"{CALL}run_line_magic('matplotlib', 'inline')"),
        ("!ls -l", f"{CALL}system('ls -l')"),
        ("files = !ls", f"files = {CALL}getoutput('ls')"),
        ("double?", f"{CALL}run_line_magic('pinfo', 'double')"),
        ("np.array??", f"{CALL}run_line_magic('pinfo2', 'np.array')"),
        ("?help", f"{CALL}run_line_magic('pinfo', 'help')"),
        ("x = y % 3", "x = y % 3"),
        ("", ""),
        ("a = '?'", "a = '?'"),
    ],
)
def test_lines_for_ipython(line: str, left: str) -> None:
    assert parsing.to_python(f"a = 1\n{line}\nb = 2").strip("\n") == f"a = 1\n{left}\nb = 2"


@pytest.mark.parametrize("head", ["", "\n", "\n\n  \n", "%%time\n", "\n%%debug\n", "%%capture out\n\n"])
def test_lines_keep_their_numbers(head: str) -> None:
    (first, second) = parsing.parse(f"{head}%pwd\nx = 3")
    assert second.lineno == first.lineno + 1 == head.count("\n") + 2


# --- memory ---


def test_one_array_is_not_many() -> None:
    """A list that names one array n times would be n times as large once it is stacked."""
    blob_frame = frames.encode({"value": [np.zeros(1000)]})
    text = b'{"dict": {"value": {"list": [' + b", ".join([b'{"array": "0"}'] * 200) + b"]}}}"
    blob = blob_frame[frames.HEAD.size + frames.HEAD.unpack(blob_frame[: frames.HEAD.size])[1] :]
    with pytest.raises(frames.FrameError):
        frames.decode(io.BytesIO(frames.HEAD.pack(b"dlsg", len(text), len(blob)) + text + blob).read)


def test_a_large_array_for_a_list_is_not_taken_apart() -> None:
    own = np.zeros(1_000_000, np.uint8)
    tracemalloc.start()
    message = tolerance.difference(own, [1, 2, 3], exact("w"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert message and "expected 3 values" in message and peak < 1 << 20, peak


def test_wrong_arrays_are_not_kept() -> None:
    shown: judge.Shown = {}
    exercise = Exercise(
        "a.b",
        "f",
        lambda n: np.zeros((3, 2000, 2000), np.uint8),
        (Test("t", 1, lambda rng: (1,), exact("w"), runs=1),),
    )
    outcome = Outcome(Ended("exited"), [{"value": np.ones((3, 2000, 2000), np.uint8)}])
    calls = [Case((1,), 0, np.zeros((3, 2000, 2000), np.uint8))]
    list(judge.judge(judge.Judged(exercise, Limits(), shown), list(exercise.tests), calls, outcome))
    own, reference = shown["a.b", "t"]
    assert own.shape == reference.shape == (256, 256) and own.base is None


# --- tables and terminals ---

FORMULAS = [
    "=1+1",
    "+1",
    "-1",
    "@a",
    "|cmd",
    "%cmd",
    "＝1+1",
    "＋1",
    "－1",
    "＠a",
    " =1+1",
    "\u00a0=1",
    "\n=1",
    "a;=1+1",
    "a; ＝1",
    "a\t=1",
    "a\n=1",
    "a,=1",
    "﹣1",
]


@pytest.mark.parametrize("name", FORMULAS)
def test_no_name_is_a_formula(name: str) -> None:
    text = gradebook_csv.inert(name)
    for part in text.replace(";", ",").replace("\t", ",").replace("\n", ",").split(","):
        assert part.strip()[:1] not in tuple("=+-@|%＝＋－＠﹣"), text
    assert gradebook_csv.inert("smith-jane; 2nd =try") == "smith-jane; 2nd =try"


@pytest.mark.parametrize("name", ["\x1b]0;title\x07x", "\x1b[2J", "a\rb", "a\u202eb", "\x9b31m", "\udcff"])
def test_no_name_moves_the_terminal(name: str, folder: Path) -> None:
    assert safe_name(name).isprintable()
    with open(os.fsencode(folder / "in" / "n") + os.fsencode(name) + b".py", "w", encoding="utf-8") as file:  # noqa: PTH123
        file.write(RIGHT)
    said = CliRunner().invoke(
        main,
        grade_words(folder, "--report", "json,csv"),
    )
    assert said.exit_code == 0 and not set(said.output) & set("\x1b\x07\x9b\u202e\udcff"), said.output
