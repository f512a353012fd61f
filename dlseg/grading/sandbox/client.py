"""The grader's end of the sandbox: start a template, hand it requests, read what comes back, byte-counted."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from dlseg.grading import frames
from dlseg.grading.sandbox import bubblewrap, library, locks
from dlseg.grading.sandbox.job import MB, Ended, Limits, Stopwatch

PACKAGE = library.OWN
BOOT = (
    "import json, sys; sys.path.insert(0, sys.argv[1]); from dlseg.grading.sandbox.template import main; "
    "sys.path.pop(0); main(int(sys.argv[2]), json.loads(sys.argv[3]))"
)
FIRST_UID, UIDS = 61000, 1000
KEEP_OUTPUT = 20_000
GRACE = 60.0
START = 300.0
NO_SANDBOX = (
    "isolation: this system has no sandbox for other people's code, expected Linux or macOS: "
    "grade in a Linux container or in WSL"
)
EXPOSED = "library-in-reach"
TEMPLATE_SOURCE = ("__init__.py", "grading")  # all that a bubblewrap container holds of the library
LEVELS = ("bubblewrap", "landlock")
FORMER = {"namespaces": "bubblewrap", "user": "landlock", "limits": "landlock"}  # names of levels that were folded
PREFIX = "scratch-5e67-"  # a job sees it: it does not say whose it is, yet nobody else's folder begins so
FOLDER = re.compile(rf"{PREFIX}(\d+)-\w+")
STALL = 2.0  # a wait of WAIT seconds that takes this much longer: this process was stopped meanwhile
WAIT = 0.5
RETRIES = 3


class SandboxError(RuntimeError):
    """The sandbox itself failed: never the student's fault."""


@dataclass
class Outcome:
    """What a job left: the frames it sent, what was wrong with the rest, its printed output, and its end."""

    ended: Ended
    frames: list[dict[str, Any]] = field(default_factory=list)
    violation: str = ""
    output: str = ""


class Drain(threading.Thread):
    """Reads a pipe to its end, keeps the first bytes, and closes it on whoever writes more than the cap."""

    def __init__(self, cap: int, keep: int) -> None:
        super().__init__(daemon=True)
        self._source, self.target = os.pipe()
        self._cap, self._keep = cap, keep
        self._kept = bytearray()
        self.overflowed = False

    def run(self) -> None:
        """Read until every writer has closed, or one wrote too much."""
        seen = 0
        while data := os.read(self._source, 1 << 18):
            seen += len(data)
            self._kept += data[: max(0, self._keep - len(self._kept))]
            if seen > self._cap:
                self.overflowed = True
                break
        os.close(self._source)

    def finish(self) -> bytearray:
        """Wait for the end; what was kept, which is held here no longer."""
        self.join()
        kept, self._kept = self._kept, bytearray()
        return kept


class Sandbox:
    """One template process at one isolation level; `run` does one job at a time. A context manager."""

    def __init__(self, level: str, hidden: list[Path] | None = None, threads: int = 1) -> None:
        if level in FORMER:
            warnings.warn(f"isolation {level!r} is now called {FORMER[level]!r}", DeprecationWarning, stacklevel=2)
        level = FORMER.get(level, level)
        if level not in LEVELS:
            raise ValueError(f"isolation: got {level!r}, expected one of {', '.join(LEVELS)}")
        self.level, self.threads = level, threads
        seen = (*(Path(path) for path in locks.SYSTEM if path != "/proc"), *_interpreter())
        self.hidden = [*library.copies(seen), *(path.resolve() for path in hidden or [])]
        self._open = contextlib.ExitStack()
        self._process: subprocess.Popen[bytes] | None = None
        self._stalled = False
        self.isolation = ""
        self.uid: int | None = None
        self.exposed: list[str] = []  # hidden paths that a job can read all the same

    def __enter__(self) -> Sandbox:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start the template and wait until it is warm. Raises SandboxError where the level is refused."""
        if not hasattr(os, "fork"):
            raise SandboxError(NO_SANDBOX)
        if sys.platform == "linux":  # this process knows the answers: let nobody look into it
            locks.prctl(locks.PR_SET_DUMPABLE, 0)
        users: list[int | None] = [None]
        if os.getuid() == 0:
            closed = _closed_to_others(_interpreter())
            if self.level == "landlock" and closed:
                raise SandboxError(f"isolation 'landlock' is not available here: {closed}")
            users = ([] if closed else [self._reserve_uid()]) + ([None] if self.level == "bubblewrap" else [])
        for user in users:
            try:
                features = self._start_as(user)
                break
            except SandboxError:
                if user is users[-1]:
                    raise
        name = [] if self.level == "landlock" else [self.level]
        self.isolation = "+".join([*name, *(features or ["limits"]), *([EXPOSED] if self.exposed else [])])

    def _start_as(self, user: int | None) -> list[str]:
        """Start the template, its jobs (in a container all of it) as `user`; the locks that jobs will get."""
        self.uid, contained = user, self.level == "bubblewrap"
        scratch = new_folder()
        self._open.callback(shutil.rmtree, scratch, ignore_errors=True)
        scratch.chmod(0o711)
        self._link, theirs = socket.socketpair()
        self._open.callback(self._link.close)
        inside = user if contained else None
        with theirs:
            self._process = subprocess.Popen(
                self._command(scratch, theirs.fileno()),
                pass_fds=[theirs.fileno()],
                cwd="/",
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
                user=inside,
                group=inside,
                extra_groups=None if inside is None else [],
            )
        self._open.callback(self._end_template)
        try:
            answer = self._hear(START)
        except (ValueError, TimeoutError) as error:
            answer = {"refused": str(error)}
        if "ready" not in answer:
            self.close()
            raise SandboxError(f"isolation {self.level!r} is not available here: {answer['refused']}")
        if contained:  # not needed any more: even a killed grader leaves no folder
            shutil.rmtree(scratch, ignore_errors=True)
        self.exposed = self._exposed()
        return list(answer["ready"])

    def _exposed(self) -> list[str]:
        """What a job finds when it looks at every hidden path: nothing, where the locks hold."""
        asked = {"op": "reach", "paths": [str(path) for path in self.hidden]}
        outcome = self.run(asked, Limits(seconds=20.0))
        found = outcome.frames[0].get("found") if len(outcome.frames) == 1 else None
        if not isinstance(found, dict):
            self.close()
            raise SandboxError(f"isolation {self.level!r} does not run a job: {outcome.output[-300:]}")
        own = TEMPLATE_SOURCE if self.level == "bubblewrap" else ()
        return [path for path, names in found.items() if set(names) - set(own)]

    def _command(self, scratch: Path, link: int) -> list[str]:
        visible = _interpreter()
        contained = self.level == "bubblewrap"
        config = {
            "uid": None if contained else self.uid,
            "scratch": str(bubblewrap.private_folder(visible) if contained else scratch),
            "visible": [str(p) for p in visible],
            "hidden": [str(p) for p in self.hidden],
        }
        python = [sys.executable, "-I", "-B", "-c", BOOT, str(PACKAGE.parent), str(link), json.dumps(config)]
        if not contained:
            return python
        try:
            return [*bubblewrap.command(PACKAGE, visible, self.hidden), *python]
        except FileNotFoundError as error:
            raise SandboxError(f"isolation 'bubblewrap' is not available here: {error}") from error

    def _reserve_uid(self) -> int:
        """As root: a user id for this template's workers alone, held by a name that ends with us."""
        for uid in range(FIRST_UID, FIRST_UID + UIDS):
            claim = socket.socket(socket.AF_UNIX)
            try:
                claim.bind(f"\0dlseg-grading-{uid}")
            except OSError:
                claim.close()
                continue
            self._open.callback(claim.close)
            return uid
        raise SandboxError(f"all {UIDS} user ids from {FIRST_UID} are taken")

    def _environment(self) -> dict[str, str]:
        threads = str(self.threads)
        own = str(bubblewrap.private_folder(_interpreter()) if self.level == "bubblewrap" else Path("/tmp"))
        return {
            "PATH": "/usr/bin:/bin",
            "LC_ALL": "C.UTF-8",
            "HOME": own,
            "TMPDIR": own,
            "MPLBACKEND": "Agg",
            "MPLCONFIGDIR": own,
            "OMP_NUM_THREADS": threads,
            "MKL_NUM_THREADS": threads,
            "OPENBLAS_NUM_THREADS": "1",
            "NUMBA_NUM_THREADS": threads,
            "CUDA_VISIBLE_DEVICES": "",
        }

    def run(self, request: dict[str, Any], limits: Limits) -> Outcome:
        """One job from request to the last of its processes. Raises SandboxError if the template dies.

        A job that was late while this process was stopped (and read nothing that it wrote) is done again.
        """
        try:
            for _ in range(RETRIES):
                outcome = self._run(request, limits)
                if outcome.ended.cause != "wall" or not self._stalled:
                    break
        except OSError as error:  # of pipes, sockets and processes: never the submission's
            self.close()
            raise SandboxError(f"the sandbox broke down ({type(error).__name__}: {error})") from error
        return outcome

    def _run(self, request: dict[str, Any], limits: Limits) -> Outcome:
        if self._process is None or self._process.poll() is not None:
            self.close()
            self.start()
        result = Drain(limits.results_mb * MB, limits.results_mb * MB)
        output = Drain(limits.output_mb * MB, KEEP_OUTPUT)
        with tempfile.TemporaryFile() as asked:
            asked.write(frames.encode(request, max_blob=1 << 30, max_text=frames.MAX_REQUEST_TEXT))
            asked.seek(0)
            try:
                job = json.dumps(asdict(limits)).encode()
                socket.send_fds(self._link, [job], [asked.fileno(), result.target, output.target])
            except OSError as error:
                raise SandboxError(f"the sandbox does not take a job ({error})") from error
            finally:
                for drain in (result, output):
                    os.close(drain.target)
                    drain.start()
        return self._collect(result, output, limits)

    def _collect(self, result: Drain, output: Drain, limits: Limits) -> Outcome:
        """Wait for the template's word that the worker and all it started are gone, then drain the pipes."""
        try:
            ended = Ended(**self._hear(limits.wall + GRACE))
        except (TypeError, ValueError, TimeoutError) as error:
            self.close()
            raise SandboxError(f"the sandbox broke down while the worker ran ({error})") from error
        text = output.finish().decode(errors="replace")
        data = result.finish()
        if result.overflowed:
            return Outcome(replace(ended, cause="output"), [], f"more than {limits.results_mb} MB of results", text)
        if output.overflowed:
            printed = f"more than {limits.output_mb} MB printed"
            return Outcome(replace(ended, cause="output"), _frames(data, limits)[0], printed, text)
        return Outcome(ended, *_frames(data, limits), output=text)

    def _hear(self, seconds: float) -> dict[str, Any]:
        """The template's next line."""
        self._link.settimeout(WAIT)
        line, self._stalled, watch = None, False, Stopwatch()
        while line is None:
            asked = time.monotonic()
            try:
                line = self._link.recv(4096)
            except TimeoutError:
                if watch.look() > seconds:
                    raise
            self._stalled |= time.monotonic() - asked > WAIT + STALL
        if not line:
            raise ValueError(f"its process ended: {self._last_words()}")
        answer = json.loads(line)
        return answer if isinstance(answer, dict) else {}

    def _last_words(self) -> str:
        if self._process is None or self._process.stderr is None:
            return "not started"
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)
            return self._process.stderr.read().decode(errors="replace").strip()[-500:]
        return "without a word"

    def _end_template(self) -> None:
        process = self._process
        if process is not None:
            self._link.close()  # the template sees the end, cleans up and leaves
            try:
                process.wait(5.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stderr is not None:
                process.stderr.close()
        self._process = None

    def close(self) -> None:
        """End the template and all below it; remove its scratch folder. May be called twice."""
        self._open.close()


def new_folder() -> Path:
    """An empty folder of this process; those of this user's graders that were killed are removed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # another grader may be clearing up as well
            if (named := FOLDER.fullmatch(folder.name)) and _ours(folder) and not _alive(int(named[1])):
                shutil.rmtree(folder, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))


def _ours(folder: Path) -> bool:
    return not folder.is_symlink() and folder.stat().st_uid == os.getuid()


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _closed_to_others(folders: list[Path]) -> str:
    """Why a user of its own could not use this Python: a folder on the way to it that is closed; '' if it can."""
    for path in folders:
        for folder in [path, *path.parents]:
            if not folder.stat().st_mode & 0o001:
                return f"as root its jobs run as another user, for whom {folder} is closed: use a Python in /opt"
    return ""


def _interpreter() -> list[Path]:
    """The folders that this Python lives in: all that a job sees beside the system's libraries."""
    return sorted({Path(p).resolve() for p in (sys.prefix, sys.base_prefix)})


class _Reader:
    """Reads on through bytes without a second copy of them all."""

    def __init__(self, data: bytearray) -> None:
        self._left = memoryview(data)

    def read(self, count: int) -> bytes:
        """The next `count` bytes, fewer at the end."""
        piece, self._left = bytes(self._left[:count]), self._left[count:]
        return piece


def _frames(data: bytearray, limits: Limits) -> tuple[list[dict[str, Any]], str]:
    """All whole frames of `data`, and what is wrong with the rest."""
    found: list[dict[str, Any]] = []
    source = _Reader(data)
    try:
        while (frame := frames.decode(source.read, max_blob=limits.results_mb * MB)) is not None:
            found.append(frame)
    except frames.FrameError as error:
        return found, str(error)
    return found, ""


def open_best(hidden: list[Path] | None = None, threads: int = 1) -> Sandbox:
    """A started sandbox at the strongest isolation level that works here. SandboxError where none does."""
    refusals = []
    for level in LEVELS:
        sandbox = Sandbox(level, hidden, threads)
        try:
            sandbox.start()
        except SandboxError as error:
            refusals.append(str(error))
            continue
        if not sandbox.exposed:
            return sandbox
        sandbox.close()
        refusals.append(
            f"isolation {level!r}: a job can read {sandbox.exposed[0]}, expected it out of reach: install "
            f"bubblewrap or use Linux 5.13 or newer with Landlock; to grade all the same: --isolation {level}"
        )
    raise SandboxError("; ".join(dict.fromkeys(refusals)))
