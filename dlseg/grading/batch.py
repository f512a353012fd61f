"""Many submissions: in parallel and resumable; each result is on disk as soon as it is known."""

from __future__ import annotations

import atexit
import json
import os
import secrets
import shutil
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from joblib import Parallel, delayed, parallel_config
from joblib.externals.loky import get_reusable_executor

from dlseg.grading import exercise, reports, result
from dlseg.grading.assignment import of_topic
from dlseg.grading.harness import Evidence, Harness
from dlseg.grading.intake import Item, collect
from dlseg.grading.reports import similarity
from dlseg.grading.result import Result
from dlseg.grading.sandbox.client import Sandbox, open_best

RUN_FILE = ".run.json"
UNZIPPED = ".unzipped-"
MAX_SEED = 2**31


class RunError(ValueError):
    """The output folder belongs to another run; the message says how they differ."""


@dataclass(frozen=True)
class Run:
    """What every submission of one run shares. Sent to workers, so it holds only plain values."""

    out: Path
    tests: Path
    seed: int
    level: str | None = None
    kinds: tuple[str, ...] = ("json",)
    threads: int = 1
    assignment: str = ""
    owner: int = field(default_factory=os.getpid)


@dataclass
class Graders:
    """This process's harnesses, kept warm between submissions and closed when it ends."""

    kept: dict[Run, Harness] = field(default_factory=dict)

    def get(self, run: Run) -> Harness:
        """The harness for a run; made on first use."""
        if run not in self.kept:
            sandbox = _open(run)
            self.kept[run] = Harness(exercise.load(run.tests), sandbox, run.seed, run.assignment)
        return self.kept[run]

    def close(self) -> None:
        """End every sandbox."""
        while self.kept:
            self.kept.popitem()[1].sandbox.close()


def _open(run: Run) -> Sandbox:
    hidden = [run.tests, run.out]
    if run.level is None:
        return open_best(hidden, run.threads)
    sandbox = Sandbox(run.level, hidden, run.threads)
    sandbox.start()
    return sandbox


GRADERS = Graders()
ONE_AT_A_TIME = threading.Lock()  # a cluster's worker may have several threads: a sandbox does one job at a time
atexit.register(GRADERS.close)


def grade_item(run: Run, item: Item) -> Result:
    """Grade one submission and write its reports after every exercise."""
    _end_with(run.owner)
    with ONE_AT_A_TIME:
        harness = GRADERS.get(run)
        return harness.grade(item, lambda document, evidence: _write(run, harness.exercises, document, evidence))


def close_graders() -> None:
    """End this process's sandboxes; a name that a cluster's workers can be asked to call."""
    GRADERS.close()


def _attempt(run: Run, item: Item) -> Result | Exception:
    """An error travels as a value: joblib's dask backend would wait for ever for the task that raised it."""
    try:
        return grade_item(run, item)
    except Exception as error:
        return error


def _end_with(owner: int) -> None:
    """In a worker process on the owner's machine: leave when the owner is gone."""
    if os.getppid() == owner and not any(t.name == "owner" for t in threading.enumerate()):
        threading.Thread(target=_leave_when_orphaned, args=(owner,), name="owner", daemon=True).start()


def _leave_when_orphaned(owner: int) -> None:
    while os.getppid() == owner:
        time.sleep(0.5)
    GRADERS.close()
    os._exit(1)


def _write(run: Run, exercises: list[exercise.Exercise], document: Result, evidence: Evidence) -> None:
    if "html" in run.kinds:
        prints = sorted(similarity.fingerprint(evidence.sources))
        result.write(run.out / f".{document.submission}.prints", json.dumps(prints))
    for kind in [*(k for k in run.kinds if k != "json"), "json"]:  # last: where it is whole, all are
        if kind in reports.SINGLE:
            report = reports.SINGLE[kind]
            try:
                text = report.render(document, exercises, evidence)
            except Exception as error:  # a page that cannot be drawn must not cost a grade
                warnings.warn(f"{kind} report of {document.submission}: {error!r}", stacklevel=1)
                continue
            result.write(run.out / (document.submission + report.suffix), text)


def prepare(
    out: Path, tests: Path, *, seed: int | None = None, level: str | None = None,
    kinds: tuple[str, ...] = ("json",), threads: int = 1, assignment: str = "",
) -> Run:
    """Make the output folder, or take up an earlier run in it with its seed. RunError if the two differ."""
    of_topic(exercise.load(tests), assignment)
    out.mkdir(parents=True, exist_ok=True)
    note = out / RUN_FILE
    earlier = json.loads(note.read_text()) if note.exists() else {}
    seed = earlier.get("seed", secrets.randbelow(MAX_SEED)) if seed is None else seed
    mine = {"seed": seed, "tests": str(tests.resolve()), "assignment": assignment}
    if earlier and earlier != mine:
        raise RunError(f"{out} holds another run ({earlier}), this one is {mine}: give another --out")
    result.write(note, json.dumps(mine) + "\n")
    return Run(out.resolve(), tests.resolve(), seed, level, kinds, threads, assignment)


def finished(run: Run, item: Item) -> Result | None:
    """The result that an earlier run left for this submission, if it is whole."""
    try:
        earlier = Result.from_json((run.out / f"{item.name}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return earlier if earlier.complete else None


def grade_all(
    run: Run, paths: list[Path], *, jobs: int = 1, backend: str = "loky"
) -> Iterator[tuple[Result, int]]:
    """Each submission's result as it is done, and how many there are in all; those done before first."""
    for left in run.out.glob(f"{UNZIPPED}*"):  # by a run that was killed
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=UNZIPPED, dir=run.out) as folder:
        items = collect(paths, Path(folder))
        waiting: list[Item] = []
        for item in items:
            if earlier := finished(run, item):
                yield earlier, len(items)
            else:
                waiting.append(item)
        for document in _grade(run, waiting, jobs, backend):
            yield document, len(items)
    if "csv" in run.kinds or "html" in run.kinds:
        reports.write_overview(run.out, run.kinds)


def _grade(run: Run, items: list[Item], jobs: int, backend: str) -> Iterator[Result]:
    if not items or (jobs == 1 and backend != "dask"):
        yield from (grade_item(run, item) for item in items)
        GRADERS.close()
        return
    with parallel_config(backend=backend, n_jobs=jobs):
        work = Parallel(return_as="generator_unordered", batch_size=1)
        for done in work(delayed(_attempt)(run, item) for item in items):
            if isinstance(done, Exception):
                raise done
            yield done
    if backend == "loky":
        get_reusable_executor().shutdown(wait=True)
