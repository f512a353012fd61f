"""Ctrl-C, or any exception that comes from outside, at any moment: what is computed next is right nevertheless."""

import ctypes
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from dlseg.crf import CRFParams, DenseCRF
from dlseg.crf.lattice import buffers
from dlseg.crf.lattice.buffers import borrow_workspace
from dlseg.crf.lattice.threads import parallel

# Interrupted at random moments of an inference, the same object then answers at once as a fresh one does. Moments
# are drawn over the time that one inference takes; a call that ends before its interrupt comes does not count.
CHILD = """
import random, signal, time
import numpy as np
from dlseg.crf import CRFParams, DenseCRF
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
rng = np.random.default_rng(0)
image = np.kron(rng.integers(0, 256, (35, 35, 3)), np.ones((12, 12, 1))).astype(np.uint8)
probs = rng.dirichlet(np.ones(9), (420, 420)).transpose(2, 0, 1).astype(np.float32)
settings = [CRFParams(4, 30, 9, 3, 3, 5), CRFParams(4, 45, 9, 3, 3, 5), CRFParams(2, 45, 9, 3, 2, 5)]
expected = [DenseCRF(image, probs=probs, threads=3).infer(p) for p in settings]
crf = DenseCRF(image, probs=probs, threads=3)
begun = time.perf_counter()
for p in settings:
    crf.infer(p)
whole = (time.perf_counter() - begun) / len(settings)
random.seed(0)
interrupted = wrong = 0
for turn in range(300):
    if interrupted == 30:
        break
    which = turn % len(settings)
    try:
        signal.setitimer(signal.ITIMER_REAL, 1e-6 + random.random() * whole)
        crf.infer(settings[which])
        signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        interrupted += 1
    signal.setitimer(signal.ITIMER_REAL, 0)
    following = (which + turn // 3) % len(settings)
    wrong += not np.array_equal(crf.infer(settings[following]), expected[following])
print(interrupted, wrong)
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="sends a process Ctrl-C's signal")
def test_after_ctrl_c_the_next_answers_are_right_and_the_process_ends(repo):
    done = subprocess.run(
        [sys.executable, "-c", CHILD],
        env={**os.environ, "PYTHONPATH": str(repo)},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    interrupted, wrong = map(int, done.stdout.split())
    assert interrupted >= 5 and wrong == 0, done.stdout


class Stopped(BaseException):
    pass


def raise_in(thread):
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(Stopped))


@pytest.mark.parametrize("delay", [0, 1e-5, 1e-4, 1e-3, 5e-3])
def test_no_helper_works_on_when_parallel_has_been_left(delay):
    ended = set()
    # All helpers run from here on: an exception sent while one is being started may go to that one instead, since
    # until it runs the interpreter knows it by the number of the thread that starts it.
    parallel(threading.Barrier(4, timeout=60).wait, [()] * 4, 4)
    for turn in range(40):
        at_work, left, caller = [], threading.Event(), []

        def work(task, at_work=at_work, left=left):
            at_work.append(task)
            time.sleep(2e-4)
            if left.is_set():
                ended.add("late")
            at_work.remove(task)

        def call(work=work, at_work=at_work, left=left, caller=caller):
            try:
                caller.append(threading.get_ident())
                parallel(work, [(task,) for task in range(40)], 4)
                ended.add("whole")
                while True:  # its number must not become another thread's before the exception is sent
                    time.sleep(1e-3)
            except Stopped:
                left.set()
                ended.add("stopped")

        thread = threading.Thread(target=call)
        thread.start()
        while not caller:
            time.sleep(0)
        time.sleep(delay * (turn % 5))
        raise_in(caller[0])
        thread.join(60)
        assert not thread.is_alive()
    time.sleep(0.01)
    assert "late" not in ended
    assert ended & {"whole", "stopped"}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_helpers_exception_stops_the_others_and_is_raised_once(error):
    at_work, done, main, raised = [], [], threading.get_ident(), threading.Event()

    def work(task):
        at_work.append(task)
        try:
            if threading.get_ident() != main:
                raised.set()
                raise error("from a helper")
            raised.wait(60)
            time.sleep(5e-3)
            done.append(task)
        finally:
            at_work.remove(task)

    with pytest.raises(error, match="from a helper"):
        parallel(work, [(task,) for task in range(400)], 2)
    assert not at_work and len(done) < 399
    assert parallel(lambda task: task + 1, [(task,) for task in range(50)], 2) == list(range(1, 51))


def test_a_callers_exception_stops_the_helpers():
    at_work, done, main = [], [], threading.get_ident()

    def work(task):
        at_work.append(task)
        try:
            if threading.get_ident() == main:
                raise OSError("from the caller")
            time.sleep(1e-3)
            done.append(task)
        finally:
            at_work.remove(task)

    with pytest.raises(OSError, match="from the caller"):
        parallel(work, [(task,) for task in range(500)], 3)
    assert not at_work and len(done) < 499


def test_memory_that_somebody_still_holds_is_not_lent_again(monkeypatch):
    monkeypatch.setattr(buffers, "_idle", [])

    class User:
        pass

    user = User()
    held = borrow_workspace(user).array("q", 100)
    del user
    assert not np.shares_memory(borrow_workspace(User()).array("q", 100), held)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, GeneratorExit, StopIteration])
def test_whatever_cancel_raises_comes_out_and_nothing_is_lost(scene, error):
    image, _, probs = scene(0, 60, 70, 3)
    crf = DenseCRF(image, probs=probs, threads=2)
    expected = [crf.infer(p) for p in (CRFParams(), CRFParams(sigma_alpha=20))]
    for after in range(4):
        calls = iter([False] * after)

        def cancel(calls=calls):
            for answer in calls:
                return answer
            raise error("enough")

        with pytest.raises(error, match="enough"):
            crf.infer(CRFParams(sigma_alpha=20 + after), cancel=cancel)
        np.testing.assert_array_equal(crf.infer(CRFParams()), expected[0])
        np.testing.assert_array_equal(crf.infer(CRFParams(sigma_alpha=20)), expected[1])


@pytest.mark.parametrize("kernel", ["lattice", "exact", "local"])
def test_cancel_may_use_the_very_object(scene, kernel):
    image, _, probs = scene(0, 30, 40, 3)
    params, other = CRFParams(4, 20, 12, 3, 3, 4), CRFParams(2, 9, 15, 3, 2, 3)
    fresh = {p: DenseCRF(image, probs=probs, kernel=kernel, threads=2).infer(p) for p in (params, other)}
    crf, inner = DenseCRF(image, probs=probs, kernel=kernel, threads=2), []

    def cancel():
        inner.append(crf.infer(other))
        list(crf.steps(other))
        crf.preview(other, factor=3)
        crf.affinity(other, 1, 2)
        return False

    np.testing.assert_array_equal(crf.infer(params, cancel=cancel), fresh[params])
    assert len(inner) > 1
    for q in inner:
        np.testing.assert_array_equal(q, fresh[other])
    np.testing.assert_array_equal(crf.infer(params), fresh[params])


def test_many_threads_on_one_object(scene):
    image, _, probs = scene(0, 60, 70, 3)
    settings = [CRFParams(4, 20, 12, 3, 3, 4), CRFParams(2, 9, 15, 3, 2, 3), CRFParams(4, 20, 12, 3, 2, 4)]
    expected = [DenseCRF(image, probs=probs, threads=2).infer(p) for p in settings]
    crf, wrong = DenseCRF(image, probs=probs, threads=2), []
    start = threading.Barrier(6)

    def work(number):
        start.wait()
        for turn in range(12):
            which = (number + turn) % 3
            if turn % 4 == 3:
                q = next(iter(crf.steps(settings[which]))).q
                wrong.extend([] if np.allclose(q, probs, atol=1e-5) else [turn])
            elif not np.array_equal(crf.infer(settings[which]), expected[which]):
                wrong.append(turn)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
        assert not thread.is_alive()
    assert not wrong
