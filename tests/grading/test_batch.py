"""Many submissions: each once, also when the run is killed in the middle; documents are whole or not there."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_class import EXERCISES, RIGHT, WRONG, grade_words, make_class

from dlseg.grading import batch, exercise
from dlseg.grading.result import Result, write
from dlseg.grading.sandbox import processes

pytestmark = pytest.mark.usefixtures("one_sandbox")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_class(tmp_path, {f"s{number:02}": RIGHT if number % 3 else WRONG for number in range(12)})


def command(folder: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "dlseg", *grade_words(folder, *more)]


def environment(repo: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(repo), "OMP_NUM_THREADS": "1"}


def documents(folder: Path) -> dict[str, Result]:
    return {p.stem: Result.from_json(p.read_text()) for p in sorted((folder / "out").glob("s*.json"))}


def check_all(folder: Path) -> None:
    found = documents(folder)
    assert sorted(found) == [f"s{n:02}" for n in range(12)]
    assert [d.score for d in found.values()] == [2 if n % 3 else 0 for n in range(12)]
    assert all(d.complete for d in found.values()) and len({d.seed for d in found.values()}) == 1
    assert not list((folder / "out").glob(".*.tmp*"))


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_killed_and_resumed(folder: Path, repo: Path, jobs: str) -> None:
    first = subprocess.Popen(
        command(folder, "--jobs", jobs),
        env=environment(repo),
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    end = time.monotonic() + 300
    while len(list((folder / "out").glob("s*.json"))) < 4 and time.monotonic() < end:
        time.sleep(0.02)
    below = processes.descendants(first.pid)
    first.kill()
    first.wait()
    (folder / "out" / ".unzipped-by-a-killed-run").mkdir()
    early = {name: (folder / "out" / f"{name}.json").stat().st_mtime_ns for name in documents(folder)}
    assert 4 <= len(early) < 12
    while any(processes.tasks(pid) for pid in below) and time.monotonic() < end:
        time.sleep(0.05)
    assert not [pid for pid in below if processes.tasks(pid)], "processes outlive a killed grader"
    partial = [n for n, d in documents(folder).items() if not d.complete]
    said = subprocess.run(
        command(folder, "--jobs", jobs, "--report", "json,csv"),
        env=environment(repo),
        capture_output=True,
        text=True,
        check=False,
    )
    problems = {name: d.problem for name, d in documents(folder).items() if d.problem}
    assert said.returncode == 0 and not problems, (said.stdout, said.stderr, problems)
    check_all(folder)
    later = {name: (folder / "out" / f"{name}.json").stat().st_mtime_ns for name in early if name not in partial}
    assert later == {name: early[name] for name in later}, "a finished submission was graded again"
    assert "12 graded" in said.stdout
    assert not list((folder / "out").glob(".unzipped*"))
    assert len((folder / "out" / "grades.csv").read_text().splitlines()) == 13


@pytest.fixture
def cluster(tmp_path: Path, repo: Path) -> Iterator[Path]:
    """A dask scheduler and two workers, processes of their own on loopback; its file says where."""
    pytest.importorskip("distributed")
    where, running = tmp_path / "scheduler.json", []
    parts = [["scheduler", "--port", "0", "--no-dashboard"], *[["worker", "--nthreads", "2", "--no-dashboard"]] * 2]
    for part in parts:
        words = [sys.executable, "-m", "dask", *part, "--host", "127.0.0.1", "--scheduler-file", str(where)]
        running.append(
            subprocess.Popen(
                words,
                env=environment(repo),
                cwd=tmp_path,
                start_new_session=True,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )
        while not where.exists():
            time.sleep(0.05)
    yield where
    for process in reversed(running):
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(300)


def test_a_cluster_grades(folder: Path, repo: Path, cluster: Path) -> None:
    from distributed import Client

    with Client(scheduler_file=str(cluster)) as client:
        client.wait_for_workers(2, timeout=300)
        address = json.loads(cluster.read_text(encoding="utf-8"))["address"]
        words = [*command(folder), "--scheduler", address]
        said = subprocess.run(words, env=environment(repo), capture_output=True, text=True, timeout=500, check=True)
        check_all(folder)
        assert "12 graded" in said.stdout
        below = [pid for worker in client.run(os.getpid).values() for pid in processes.descendants(worker)]
    assert below == [], "sandboxes stay on the cluster"


def test_another_run_in_the_folder_is_refused(folder: Path) -> None:
    batch.prepare(folder / "out", folder / "tests", seed=3)
    assert batch.prepare(folder / "out", folder / "tests").seed == 3
    with pytest.raises(batch.RunError, match="give another --out"):
        batch.prepare(folder / "out", folder / "tests", seed=4)


def test_same_seed_same_document(folder: Path) -> None:
    scores = []
    for out in ("one", "two"):
        run = batch.prepare(folder / out, folder / "tests", seed=9)
        paths = [folder / "in" / "s00.py"]
        scores.append([d.exercises[0].reason for d, _ in batch.grade_all(run, paths)])
    assert scores[0] == scores[1] and "expected" in scores[0][0]


def test_after_every_exercise_there_is_a_whole_document(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    second = EXERCISES.replace("small.next", "small.other")
    (folder / "tests" / "other.py").write_text(second)
    seen: list[dict[str, object]] = []
    real = batch.result.write

    def spy(path: Path, text: str) -> None:
        real(path, text)
        if path.name == "s01.json":
            seen.append(json.loads(path.read_text(encoding="utf-8")))

    monkeypatch.setattr(batch.result, "write", spy)
    list(batch.grade_all(batch.prepare(folder / "out", folder / "tests"), [folder / "in" / "s01.py"]))
    assert [[e["status"] for e in d["exercises"]] for d in seen] == [  # type: ignore[attr-defined]
        ["passed", "grader_error"],
        ["passed", "passed"],
    ]
    assert seen[0]["exercises"][1]["reason"] == "not graded yet"  # type: ignore[index]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "a.json", "old")
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write(tmp_path / "a.json", "new")
    assert (tmp_path / "a.json").read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_interrupt_leaves_no_process(folder: Path, repo: Path) -> None:
    (folder / "in" / "s00.py").write_text("import time\ndef next_one(n):\n    time.sleep(30)\n")
    running = subprocess.Popen(
        command(folder),
        env=environment(repo),
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    end = time.monotonic() + 300
    while len(below := processes.descendants(running.pid)) < 2 and time.monotonic() < end:
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    running.wait(300)
    while any(processes.tasks(pid) for pid in below) and time.monotonic() < end:
        time.sleep(0.05)
    assert not [pid for pid in below if processes.tasks(pid)]


TWO_TOPICS = """
from dlseg.grading.exercise import Exercise, Test
from dlseg.grading.tolerance import exact
def of(name, function):
    tests = (Test("t", 1, lambda rng: (int(rng.integers(9)),), exact("whole numbers")),)
    return Exercise(name, function, lambda n: n, tests)
EXERCISES = [of("left.one", "one"), of("left.two", "two"), of("right_side.three", "three")]
"""


@pytest.mark.parametrize(
    ("name", "assignment", "most", "named"),
    [
        ("01_left", "", 2, "left"),
        ("smith-03-right-side (2)", "", 1, "right_side"),
        ("homework", "", 3, "all exercises"),
        ("left_right_side", "", 3, "all exercises"),
        ("leftover", "", 3, "all exercises"),
        ("01_left", "right_side", 1, "right_side"),
    ],
)
def test_a_file_is_graded_on_its_own_notebook(
    tmp_path: Path, name: str, assignment: str, most: int, named: str
) -> None:
    (tmp_path / "exercises.py").write_text(TWO_TOPICS)
    (tmp_path / f"{name}.py").write_text("def one(n):\n    return n\n")
    run = batch.prepare(tmp_path / "out", tmp_path / "exercises.py", seed=1, assignment=assignment)
    ((document, _),) = batch.grade_all(run, [tmp_path / f"{name}.py"])
    assert (document.max_score, document.assignment) == (most, named)


def test_an_assignment_that_there_is_not(tmp_path: Path) -> None:
    (tmp_path / "exercises.py").write_text(TWO_TOPICS)
    with pytest.raises(exercise.ExerciseError, match="got 'middle', expected one of left, right_side"):
        batch.prepare(tmp_path / "out", tmp_path / "exercises.py", assignment="middle")
