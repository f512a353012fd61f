"""A class run as a transaction: nothing twice, nothing from other bytes, whoever was killed when."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from small_class import RIGHT, WRONG, grade_words, make_class

from dlseg.cli import main
from dlseg.grading import batch
from dlseg.grading.journal import NAME, Journal

pytestmark = pytest.mark.usefixtures("one_sandbox")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_class(tmp_path, dict.fromkeys("abcd", RIGHT))


def grade(folder: Path, *more: str) -> Result:
    return CliRunner().invoke(main, grade_words(folder, *more))


def graded(folder: Path) -> list[tuple[str, float]]:
    events = Journal(folder / "out").events()
    return [(e["submission"], e["score"]) for e in events if e["event"] == "graded"]


def test_what_was_graded_from_which_bytes(folder: Path) -> None:
    assert grade(folder).exit_code == 0
    assert sorted(graded(folder)) == [(name, 2) for name in "abcd"]
    (folder / "in" / "b.py").write_text(WRONG)
    assert grade(folder).exit_code == 0
    assert graded(folder)[4:] == [("b", 0)], "only what changed is graded again"
    digests = {e["digest"] for e in Journal(folder / "out").events() if e["submission"] == "b"}
    assert len(digests) == 2 and json.loads((folder / "out" / "b.json").read_text())["digest"] in digests


def test_an_unreadable_file_has_its_row_and_its_exit_code(folder: Path) -> None:
    (folder / "in" / "c.ipynb").write_text("{")
    (folder / "in" / "e.zip").write_bytes(b"PK not a zip")
    done = grade(folder, "--report", "json,csv")
    assert done.exit_code == 4 and "no points, as the file cannot be read" in done.output, done.output
    rows = (folder / "out" / "grades.csv").read_text().splitlines()
    assert len(rows) == 7 and [r for r in rows if r.startswith("e,0")]
    assert json.loads((folder / "out" / "e.json").read_text())["problem"].startswith("the zip cannot be read")
    assert grade(folder).exit_code == 4, "also where nothing is graded anew"


def test_regrade(folder: Path) -> None:
    grade(folder)
    grade(folder)
    assert len(graded(folder)) == 4
    assert grade(folder, "--regrade").exit_code == 0 and len(graded(folder)) == 8
    assert Journal(folder / "out").regrading == ""
    grade(folder)
    assert len(graded(folder)) == 8


def test_a_regrading_that_was_interrupted_goes_on(folder: Path) -> None:
    """Also by a run that does not ask for one: what was begun is finished."""
    grade(folder)
    run = batch.prepare(folder / "out", folder / "tests")
    anew = batch.grade_all(run, [folder / "in"], regrade=True)
    next(anew), next(anew)
    anew.close()
    assert Journal(folder / "out").regrading and len(graded(folder)) == 6
    grade(folder)
    assert sorted(graded(folder)) == sorted([(n, 2.0) for n in "abcd"] * 2)
    assert not Journal(folder / "out").regrading


def test_since(folder: Path) -> None:
    for name in "ab":
        os.utime(folder / "in" / f"{name}.py", (1e9, 1e9))
    done = grade(folder, "--since", "2020-01-01")
    assert done.exit_code == 0 and "2 graded" in done.output and "never graded so far: a, b" in done.output
    grade(folder)
    (folder / "in" / "c.py").write_text(WRONG)
    done = grade(folder, "--since", "2020-01-01", "--report", "json,csv")
    assert "never graded" not in done.output and len((folder / "out" / "grades.csv").read_text().splitlines()) == 5


@pytest.mark.parametrize("torn", ['{"event": "grad', "\x00\xff{", '{"event": 3}\n[]\nnull\n"x'])
def test_a_line_that_was_cut_is_dropped(folder: Path, torn: str) -> None:
    grade(folder)
    path = folder / "out" / NAME
    whole = path.read_bytes()
    path.write_bytes(whole + torn.encode("latin-1"))
    assert grade(folder).exit_code == 0 and sorted(graded(folder)) == [(name, 2) for name in "abcd"]
    (folder / "in" / "a.py").write_text(WRONG)
    grade(folder)
    assert graded(folder)[-1] == ("a", 0)


def test_a_result_that_was_not_noted_is_noted(folder: Path) -> None:
    """Killed between the result and the journal: the next one notes it and does not grade again."""
    grade(folder)
    path, stamp = folder / "out" / NAME, (folder / "out" / "d.json").stat().st_mtime_ns
    path.write_text("".join(line + "\n" for line in path.read_text().splitlines() if '"d"' not in line))
    grade(folder)
    assert sorted(graded(folder)) == [(name, 2) for name in "abcd"]
    assert (folder / "out" / "d.json").stat().st_mtime_ns == stamp


def _prepare(out: Path, tests: Path, seeds: "multiprocessing.Queue[int]") -> None:
    seeds.put(batch.prepare(out, tests).seed)


def test_two_that_begin_together_have_one_seed(folder: Path) -> None:
    context = multiprocessing.get_context("fork")
    for number in range(10):
        seeds = context.Queue()
        both = [
            context.Process(target=_prepare, args=(folder / f"o{number}", folder / "tests", seeds)) for _ in "ab"
        ]
        for process in both:
            process.start()
        assert seeds.get(timeout=300) == seeds.get(timeout=300)
        for process in both:
            process.join()


def test_killed_before_the_first_exercise_is_done(folder: Path, repo: Path) -> None:
    """The corrected file is being graded: what the old one earned must not stand there any more."""
    grade(folder)
    (folder / "in" / "a.py").write_text("import time\ntime.sleep(8)\n" + WRONG)
    running = subprocess.Popen(
        [sys.executable, "-m", "dlseg", *grade_words(folder)],
        env={**os.environ, "PYTHONPATH": str(repo)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    end = time.monotonic() + 300
    while (folder / "out" / "a.json").exists() and time.monotonic() < end:
        time.sleep(0.02)
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert not (folder / "out" / "a.json").exists() or '"score": 0' in (folder / "out" / "a.json").read_text()
    (folder / "in" / "a.py").write_text(WRONG)
    grade(folder)
    assert graded(folder)[-1] == ("a", 0)
