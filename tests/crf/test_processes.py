"""Threads that outlive main, forks, copies and other processes: an object goes on working everywhere."""

import copy
import os
import pickle
import subprocess
import sys
import threading

import joblib
import numpy as np
import pytest
import torch

from dlseg.crf import CRFParams, DenseCRF
from dlseg.crf.lattice import threads

P = CRFParams(4, 20, 12, 3, 3, 4)

BEGIN = """
import atexit, os, sys, threading, time
import numpy as np
from dlseg.crf import CRFParams, DenseCRF
rng = np.random.default_rng(0)
image = np.kron(rng.integers(0, 256, (10, 10, 3)), np.ones((16, 16, 1))).astype(np.uint8)
probs = rng.dirichlet(np.ones(5), (160, 160)).transpose(2, 0, 1).astype(np.float32)
P = CRFParams(4, 20, 12, 3, 3, 4)
expected = DenseCRF(image, probs=probs, threads=2).infer(P)
def check(where):
    print(where, np.array_equal(DenseCRF(image, probs=probs, threads=4).infer(P), expected), flush=True)
"""


def run(repo, script, **environment):
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + script],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": str(repo), **environment},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr
    return done.stdout.splitlines()


def test_a_thread_that_outlives_main_infers(repo):
    assert run(
        repo,
        """
def late():
    threading.main_thread().join()
    check("thread")
threading.Thread(target=late).start()
atexit.register(check, "atexit")
""",
    ) == ["thread True", "atexit True"]


def test_it_ends_while_a_daemon_infers(repo):
    assert run(
        repo,
        """
def always():
    crf = DenseCRF(image, probs=probs, threads=3)
    while True:
        crf.infer(P)
threading.Thread(target=always, daemon=True).start()
time.sleep(0.3)
print("end")
""",
    ) == ["end"]


def test_where_no_thread_can_be_started_one_is_enough(scene, monkeypatch):
    image, _, probs = scene(0, 160, 170, 3)
    expected = DenseCRF(image, probs=probs, threads=4).infer(P)
    asked = []

    def refuse(*_):
        asked.append(1)
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threads, "_pool", threads._Pool())
    monkeypatch.setattr(threads, "start_new_thread", refuse)
    np.testing.assert_array_equal(DenseCRF(image, probs=probs, threads=4).infer(P), expected)
    assert asked


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform cannot fork")
def test_a_process_forked_while_another_thread_infers_goes_on_with_the_object(repo):
    assert run(
        repo,
        """
import signal, warnings
warnings.simplefilter("ignore")
crf, stop, ready = DenseCRF(image, probs=probs, threads=3), [], threading.Event()
def busy():
    while not stop:
        crf.infer(CRFParams(4, 30, 12, 3, 3, 10), cancel=ready.set)
worker = threading.Thread(target=busy)
worker.start()
good = 0
for turn in range(10):
    ready.clear()
    ready.wait()
    time.sleep(0.003 * turn)
    child = os.fork()
    if child == 0:
        signal.alarm(60)  # where it hangs
        mine = crf.infer(P)
        other = DenseCRF(image, probs=probs, threads=3).infer(P)
        os._exit(0 if np.array_equal(mine, expected) and np.array_equal(other, expected) else 1)
    good += os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
stop.append(1)
worker.join()
print(good)
""",
    ) == ["10"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform cannot fork")
@pytest.mark.parametrize(
    ("module", "lock"),
    [("numba.core.compiler_lock", "global_compiler_lock"), ("llvmlite.binding.ffi", "lib._lock")],
)
def test_a_process_forked_while_another_thread_compiles_can_compile(repo, module, lock):
    """The thread that holds the lock does not exist in the child, where nobody would ever release it."""
    assert run(
        repo,
        f"""
import signal, warnings, {module}, numba
warnings.simplefilter("ignore")
compiling = {module}.{lock}
inside = threading.Event()
def compile():
    with compiling:
        inside.set()
        time.sleep(0.5)
worker = threading.Thread(target=compile)
worker.start()
inside.wait()
child = os.fork()
if child == 0:
    signal.alarm(60)  # where it hangs
    compiled = numba.njit(lambda x: x + 1)(1)
    mine = DenseCRF(image, probs=probs, threads=3).infer(P)
    os._exit(0 if compiled == 2 and np.array_equal(mine, expected) else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), numba.njit(lambda x: x + 1)(1))
worker.join()
""",
    ) == ["0 2"]


def test_importing_needs_nothing_that_only_unix_has(repo):
    script = """
import os, sys
import joblib, numba, numpy, scipy.sparse, torch, tqdm.auto, filelock
for name in ("register_at_fork", "fork", "sched_getaffinity", "sysconf", "getuid", "killpg", "waitpid"):
    if hasattr(os, name):
        delattr(os, name)
for name in ("fcntl", "resource", "pwd", "grp", "termios"):
    sys.modules[name] = None
import numpy as np
from dlseg.crf import CRFParams, DenseCRF
q = DenseCRF(np.full((40, 40, 3), 9, np.uint8), probs=np.full((2, 40, 40), 0.5), threads=2).infer(CRFParams())
print(q.shape)
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": str(repo)},
        check=False,
    )
    assert done.stdout.split("\n")[0] == "(2, 40, 40)", done.stderr


def ways():
    def pickled(crf):
        return pickle.loads(pickle.dumps(crf))

    return [copy.copy, copy.deepcopy, pickled]


@pytest.mark.parametrize("kernel", ["lattice", "exact", "local"])
@pytest.mark.parametrize("way", ways())
def test_a_copy_answers_like_the_original(scene, way, kernel):
    image, _, probs = scene(0, 24, 30, 3)
    mu = 1 - np.eye(3)
    mu[0, 1] = mu[1, 0] = 0.5
    crf = DenseCRF(image, probs=probs, kernel=kernel, compatibility=mu, threads=2, neighbours=4)
    expected = crf.infer(P)
    twin = way(crf)
    np.testing.assert_array_equal(twin.infer(P), expected)
    np.testing.assert_array_equal(twin.preview(P), crf.preview(P))
    assert (twin.height, twin.width, twin.num_classes, twin.kernel, twin.threads) == (24, 30, 3, kernel, 2)
    np.testing.assert_array_equal(crf.infer(P), expected)
    assert not np.array_equal(twin.infer(CRFParams(1, 5, 5)), expected)


def test_lattices_do_not_travel(scene):
    image, _, probs = scene(0, 60, 70, 3)
    crf = DenseCRF(image, probs=probs)
    before = len(pickle.dumps(crf))
    crf.infer(P)
    crf.preview(P)
    assert len(pickle.dumps(crf)) == before < 1.1 * (image.size + probs.size) * 4


@pytest.mark.parametrize("way", ways())
def test_a_copy_taken_while_another_thread_infers_does_not_wait_for_ever(scene, way):
    image, _, probs = scene(0, 24, 30, 3)
    crf = DenseCRF(image, probs=probs, threads=1)
    expected, inside, leave = crf.infer(P), threading.Event(), threading.Event()

    def cancel():
        inside.set()
        return not leave.wait(60)

    worker = threading.Thread(target=lambda: crf.infer(P, cancel=cancel))
    worker.start()
    assert inside.wait(60)
    np.testing.assert_array_equal(way(crf).infer(P), expected)
    leave.set()
    worker.join()


@pytest.mark.parametrize("way", ways())
def test_a_copy_of_one_with_a_gradient(scene, way):
    image, _, probs = scene(0, 12, 16, 3)
    leaf = torch.from_numpy(probs).log().requires_grad_()
    crf = DenseCRF(image, logits=leaf * 1.0)
    expected, q = crf.infer(P), way(crf).infer(P)
    assert isinstance(q, torch.Tensor)
    torch.testing.assert_close(q.detach(), expected.detach())
    assert q.requires_grad == (way in (copy.copy, copy.deepcopy))  # a graph cannot be sent elsewhere


def inferred(crf):
    return crf.infer(P)


@pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing"])
def test_joblib_sends_them(scene, backend):
    image, _, probs = scene(0, 24, 30, 3)
    crf = DenseCRF(image, probs=probs, threads=1)
    expected = crf.infer(P)
    for q in joblib.Parallel(2, backend=backend, max_nbytes=100)(joblib.delayed(inferred)(crf) for _ in range(3)):
        np.testing.assert_array_equal(q, expected)
