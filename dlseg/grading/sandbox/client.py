"""The grader's end of the sandbox: start a template, hand it requests, read what comes back, byte-counted."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from dlseg.grading import frames
from dlseg.grading.sandbox import bubblewrap, kernel, leftovers, library, namespaces
from dlseg.grading.sandbox.confine import LEVELS
from dlseg.grading.sandbox.drain import Drain
from dlseg.grading.sandbox.job import MB, Ended, Limits

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
CONTAINED = ("namespaces", "bubblewrap")  # levels with a root folder and scratch memory of their own


class SandboxError(RuntimeError):
    """The sandbox itself failed: never the student's fault."""


@dataclass
class Outcome:
    """What a job left: the frames it sent, what was wrong with the rest, its printed output, and its end."""

    ended: Ended
    frames: list[dict[str, Any]] = field(default_factory=list)
    violation: str = ""
    output: str = ""


class Sandbox:
    """One template process at one isolation level; `run` does one job at a time. A context manager."""

    def __init__(self, level: str, hidden: list[Path] | None = None, threads: int = 1) -> None:
        if level not in LEVELS:
            raise ValueError(f"isolation must be one of {', '.join(LEVELS)}, got {level!r}")
        self.level, self.threads = level, threads
        seen = (*(Path(path) for path in namespaces.SYSTEM if path != "/proc"), *_interpreter())
        self.hidden = [*library.copies(seen), *(path.resolve() for path in hidden or [])]
        self._open = contextlib.ExitStack()
        self._process: subprocess.Popen[bytes] | None = None
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
            kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
        scratch = leftovers.new_folder()
        self._open.callback(shutil.rmtree, scratch, ignore_errors=True)
        scratch.chmod(0o711)
        self._link, theirs = socket.socketpair()
        self._open.callback(self._link.close)
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
            )
        self._open.callback(self._end_template)
        try:
            answer = self._hear(START)
        except (ValueError, TimeoutError) as error:
            answer = {"refused": str(error)}
        if "ready" not in answer:
            self.close()
            raise SandboxError(f"isolation {self.level!r} is not available here: {answer['refused']}")
        if self.level in CONTAINED:  # not needed any more: even a killed grader leaves no folder
            shutil.rmtree(scratch, ignore_errors=True)
        self.exposed = self._exposed()
        self.isolation = "+".join([self.level, *answer["ready"], *([EXPOSED] if self.exposed else [])])

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
        self.uid = self._reserve_uid()
        visible = _interpreter()
        contained = self.level == "bubblewrap"
        config = {
            "level": "limits" if contained else self.level,
            "uid": self.uid,
            "scratch": str(namespaces.private_folder(visible) if contained else scratch),
            "visible": [str(p) for p in visible],
            "hidden": [str(p) for p in self.hidden],
        }
        python = [sys.executable, "-I", "-B", "-c", BOOT, str(PACKAGE.parent), str(link), json.dumps(config)]
        if self.level != "bubblewrap":
            return python
        try:
            return [*bubblewrap.command(PACKAGE, visible, self.hidden), *python]
        except FileNotFoundError as error:
            raise SandboxError(f"isolation 'bubblewrap' is not available here: {error}") from error

    def _reserve_uid(self) -> int | None:
        """As root: a user id for this template's workers alone, held by a name that ends with us."""
        if self.level == "bubblewrap" or os.getuid() != 0:
            return None
        if self.level == "limits":
            raise SandboxError("isolation 'limits' is not for root, whom limits do not bind: use 'user'")
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
        own = str(namespaces.private_folder(_interpreter()) if self.level in CONTAINED else Path("/tmp"))
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
        """One job from request to the last of its processes. Raises SandboxError if the template dies."""
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
        if result.overflowed or output.overflowed:
            printed = f"more than {limits.output_mb} MB printed"
            what = f"more than {limits.results_mb} MB of results" if result.overflowed else printed
            return Outcome(replace(ended, cause="output"), [], what, text)
        return Outcome(ended, *_frames(data, limits), output=text)

    def _hear(self, seconds: float) -> dict[str, Any]:
        """The template's next line."""
        self._link.settimeout(seconds)
        line = self._link.recv(4096)
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
