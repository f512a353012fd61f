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
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from joblib.externals.loky import get_reusable_executor

from dlseg.common.workers import Workers
from dlseg.grading import exercise, reports, result
from dlseg.grading.exercise import of_topic
from dlseg.grading.harness import Evidence, Harness
from dlseg.grading.intake import Item, collect
from dlseg.grading.journal import Journal
from dlseg.grading.reports import similarity
from dlseg.grading.result import Result, file_stem
from dlseg.grading.sandbox.client import Sandbox, open_best

RUN_FILE = ".run.json"
UNZIPPED = ".unzipped-"
LOCK = ".lock"
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
        item = item.taken()
        _drop_other_bytes(run, item)
        try:
            return harness.grade(item, lambda d, evidence: _write(run, harness.exercises, d, evidence))
        except Exception as error:  # the others must still be graded
            document = harness.gave_up(item, error)
            _write(run, harness.exercises, document, Evidence())
            return document


def _drop_other_bytes(run: Run, item: Item) -> None:
    """Remove a result that other bytes earned: a grader that is killed now must not leave it as this one's."""
    earlier = _result(run, item)
    if earlier is None or earlier.digest != item.digest:
        for kind in reports.SINGLE.values():
            (run.out / f"{file_stem(item.name)}{kind.suffix}").unlink(missing_ok=True)


def _result(run: Run, item: Item) -> Result | None:
    """The result that lies in the folder under an item's name, if there is one."""
    try:
        return Result.from_json((run.out / f"{file_stem(item.name)}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def close_graders() -> None:
    """End this process's sandboxes; a name that a cluster's workers can be asked to call."""
    GRADERS.close()


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
        result.write(run.out / f".{file_stem(document.submission)}.prints", json.dumps(prints))
    for kind in [*(k for k in run.kinds if k != "json"), "json"]:  # last: where it is whole, all are
        if kind in reports.SINGLE:
            report = reports.SINGLE[kind]
            try:
                text = report.render(document, exercises, evidence)
            except Exception as error:  # a page that cannot be drawn must not cost a grade
                warnings.warn(f"{kind} report of {document.submission}: {error!r}", stacklevel=1)
                continue
            result.write(run.out / (file_stem(document.submission) + report.suffix), text)


def prepare(
    out: Path,
    tests: Path,
    *,
    seed: int | None = None,
    level: str | None = None,
    kinds: tuple[str, ...] = ("json",),
    threads: int = 1,
    assignment: str = "",
) -> Run:
    """Make the output folder, or take up an earlier run in it with its seed. RunError if the two differ."""
    of_topic(exercise.load(tests), assignment)
    out.mkdir(parents=True, exist_ok=True)
    kept = out / RUN_FILE
    chosen = secrets.randbelow(MAX_SEED) if seed is None else seed
    if not kept.exists():
        _write_first(kept, {"seed": chosen, "tests": str(tests.resolve()), "assignment": assignment})
    earlier = json.loads(kept.read_text(encoding="utf-8"))
    seed = earlier.get("seed", chosen) if seed is None else seed
    mine = {"seed": seed, "tests": str(tests.resolve()), "assignment": assignment}
    if earlier != mine:
        raise RunError(f"{out} holds another run ({earlier}), this one is {mine}: give another --out")
    return Run(out.resolve(), tests.resolve(), seed, level, kinds, threads, assignment)


def _write_first(path: Path, settings: dict[str, Any]) -> None:
    """Write the folder's settings, unless another grader that began at the same time was first."""
    draft = path.with_name(f".{os.getpid()}-{threading.get_ident()}.run")
    result.write(draft, json.dumps(settings) + "\n")
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    except OSError:  # a disk without links
        result.write(path, json.dumps(settings) + "\n")
    finally:
        draft.unlink(missing_ok=True)


def finished(run: Run, item: Item, since: str = "") -> Result | None:
    """The result that an earlier run left for these very bytes, if it is whole and has its reports.

    Args:
        run: the run.
        item: the submission.
        since: a time as `result.now` gives it: a result that is older is graded anew.
    """
    earlier, stem = _result(run, item), file_stem(item.name)
    whole = earlier is not None and earlier.complete and earlier.graded >= since
    if earlier is None or not whole or earlier.digest != item.taken().digest:
        return None
    reported = all(
        (run.out / f"{stem}{reports.SINGLE[k].suffix}").exists() for k in run.kinds if k in reports.SINGLE
    )
    return earlier if reported else None


def grade_all(
    run: Run,
    paths: list[Path],
    *,
    jobs: int = 1,
    backend: str = "loky",
    regrade: bool = False,
    since: float | None = None,
    left_out: Callable[[Item, bool], object] | None = None,
) -> Iterator[tuple[Result, int]]:
    """Each submission's result as it is done, and how many there are in all; those done before first.

    A grader that is killed leaves a folder in which the next one goes on: nothing is graded twice, and nothing of
    what stands there was graded from other bytes than the file holds now.

    Args:
        run: what `prepare` gave.
        paths: files, folders and zips.
        jobs: submissions graded at the same time.
        backend: of joblib: "loky", "dask".
        regrade: grade everything anew; if that is interrupted, the next run goes on with it.
        since: seconds since 1970; files last written before are left out.
        left_out: is told of each of those, and whether it has a result.

    Raises:
        RunError: another grader is at work in the folder.
    """
    lock = FileLock(run.out / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise RunError(
            f"{run.out}: another grader is at work in it, expected none: wait for its end or give another --out"
        ) from error
    try:
        journal = Journal(run.out)
        begun = journal.regrade() if regrade else journal.regrading
        yield from _all(run, paths, jobs, backend, _Choice(journal, begun, since, left_out))
        journal.regraded()
    finally:
        lock.release()


@dataclass(frozen=True)
class _Choice:
    """Which submissions are graded: `begun` is when a regrading began, `since` the age of files left out."""

    journal: Journal
    begun: str
    since: float | None
    left_out: Callable[[Item, bool], object] | None


def _all(run: Run, paths: list[Path], jobs: int, backend: str, choice: _Choice) -> Iterator[tuple[Result, int]]:
    for left in run.out.glob(f"{UNZIPPED}*"):  # by a run that was killed
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=UNZIPPED, dir=run.out) as folder:
        items = collect(paths, Path(folder))
        if choice.since is not None:
            old = [item for item in items if item.changed < choice.since]
            for item in old:
                if choice.left_out:
                    choice.left_out(item, _result(run, item) is not None)
            items = [item for item in items if item.changed >= choice.since]
        waiting: list[Item] = []
        for item in items:
            if earlier := finished(run, item, choice.begun):
                choice.journal.found(earlier)
                yield earlier, len(items)
            else:
                waiting.append(item)
        for document in _grade(run, waiting, jobs, backend):
            choice.journal.graded(document)
            yield document, len(items)
    if "csv" in run.kinds or "html" in run.kinds:
        reports.write_overview(run.out, run.kinds)


def _grade(run: Run, items: list[Item], jobs: int, backend: str) -> Iterator[Result]:
    if not items:
        return
    workers = Workers(jobs, backend)
    with workers.ready():
        yield from (done for _, done in workers.run(grade_item, ((run, item) for item in items)))
    if workers.alone:
        GRADERS.close()
    elif backend == "loky":
        get_reusable_executor().shutdown(wait=True)
