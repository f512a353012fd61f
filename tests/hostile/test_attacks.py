"""Every attack, on every isolation level that works here: no points, no harm, nothing left behind."""

import runpy
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from dlseg.grading import exercise
from dlseg.grading.harness import Harness
from dlseg.grading.intake import Item
from dlseg.grading.result import Result
from dlseg.grading.sandbox import processes
from dlseg.grading.sandbox.client import Sandbox
from dlseg.grading.sandbox.job import Limits

HERE = Path(__file__).parent
SOURCES = runpy.run_path(str(HERE / "attacks.py"))
EXERCISES = exercise.load(HERE / "exercises.py")
AROUND = ("def before(x):\n    return x + 1\n", "def after(x):\n    return x - 1\n")
LIMITS = Limits(memory_mb=600)
SHARED_FOLDERS = ("/tmp", "/var/tmp", "/dev/shm", "/run", "/etc", "/usr", str(Path.home()))
ENDINGS = {
    "timeout": "infinite_loop deaf_loop swallow_everything sleep slow_pattern slow_number stop_self",
    "limit": "memory tensor_memory output error_output huge_array",
    "crashed": "os_exit exit_while_loading kill_self kill_group segfault abort exec_other"
    " malformed oversize cut_short hostile_header deep_json more_answers",
    "raised": "sys_exit exit_in_decorator interrupt markup hostile_words deep_recursion",
    "failed": "nan infinity object_array records complex equal_to_all number_subclass wrong_shape generator"
    " class_lies pickle_bomb",
}
EXPECTED = {name: status for status, names in ENDINGS.items() for name in names.split()}
SCORELESS = {"failed", "raised", "timeout", "limit", "crashed"}


@pytest.fixture(scope="module")
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        yield server


def grade(sandbox: Sandbox, source: str, folder: Path, port: int) -> Result:
    tests, out = str(HERE / "exercises.py"), str(sandbox.results)
    places = {"tests": tests, "out": out, "port": port, "seed": "424242"}
    text = f"# %%\n{AROUND[0]}# %%\n{source.replace('PLACES', repr(places))}# %%\n{AROUND[1]}"
    path = folder / "submission.py"
    path.write_text(text)
    return Harness(EXERCISES, sandbox, 424242, limits=LIMITS).grade(Item("submission", path))


def owner(pid: int) -> int:
    try:
        return Path(f"/proc/{pid}").stat().st_uid
    except OSError:
        return -1


def left_behind(sandbox: Sandbox) -> list[str]:
    """Processes of the worker's users, below the template, and marked files where an attack could write."""
    found = [str(p) for folder in SHARED_FOLDERS for p in Path(folder).glob(f"*{SOURCES['MARK']}*")]
    found += [str(p) for p in sandbox.results.iterdir()]
    template = sandbox._process
    assert template is not None, "the template died"
    inside = processes.descendants(template.pid)
    # bubblewrap keeps itself and the template below the process that was started
    expected = [template.pid, *inside[:2]] if sandbox.level == "bubblewrap" else [template.pid]
    found += [f"process {pid}" for pid in inside if pid not in expected]
    ours = [pid for pid in processes.parents() if sandbox.uid and owner(pid) == sandbox.uid]
    found += [f"process {pid}" for pid in ours if pid not in expected]
    return found


def test_the_honest_answer_is_right(level_sandbox: Sandbox, tmp_path: Path) -> None:
    result = grade(level_sandbox, "def victim(x):\n    return x * x - 7\n", tmp_path, 1)
    assert result.score == 6, result


@pytest.mark.parametrize("name", SOURCES["ATTACKS"])
def test_attack(name: str, level_sandbox: Sandbox, tmp_path: Path, listener: socket.socket) -> None:
    result = grade(level_sandbox, SOURCES["ATTACKS"][name], tmp_path, listener.getsockname()[1])
    before, victim, after = result.exercises
    assert before.status == after.status == "passed", result
    assert victim.points == 0, victim
    assert victim.status in ({EXPECTED[name]} if name in EXPECTED else SCORELESS), victim
    assert victim.seconds < 60
    assert left_behind(level_sandbox) == []
    with pytest.raises(TimeoutError):
        listener.accept()


def test_enough_attacks() -> None:
    assert len(SOURCES["ATTACKS"]) >= 40
    assert set(EXPECTED) <= set(SOURCES["ATTACKS"])
