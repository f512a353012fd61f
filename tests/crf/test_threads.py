"""Threads of our own: any number of Python threads may infer at once, whatever numba's own layer can take."""

import os
import subprocess
import sys

import numpy as np
import pytest

from dlseg.crf import CRFParams, DenseCRF

# numba's "workqueue", the only layer that every platform has, aborts the process where two threads enter it at
# once. The loops of the lattice are compiled for one thread and shared out by lattice/threads.py, so they never
# enter it.
CHILD = """
import threading, sys
import numpy as np
from dlseg.crf import CRFParams, DenseCRF
rng = np.random.default_rng(0)
image = rng.integers(0, 256, (120, 140, 3), dtype=np.uint8)
probs = rng.dirichlet(np.ones(5), (120, 140)).transpose(2, 0, 1)
expected = DenseCRF(image, probs=probs, threads=2).infer(CRFParams())
start, wrong = threading.Barrier(4), []
def work():
    crf = DenseCRF(image, probs=probs, threads=2)
    start.wait()
    for sigma in (20, 30, 50):
        q = crf.infer(CRFParams(sigma_alpha=sigma))
    wrong.append(np.abs(q - expected).max())
workers = [threading.Thread(target=work) for _ in range(4)]
for worker in workers: worker.start()
for worker in workers: worker.join()
print(len(wrong), max(wrong))
"""


@pytest.mark.parametrize("layer", ["workqueue", "default"])
def test_python_threads_infer_at_once_under_any_layer_of_numba(repo, layer):
    environment = {**os.environ, "NUMBA_THREADING_LAYER": layer, "PYTHONPATH": str(repo)}
    done = subprocess.run(
        [sys.executable, "-c", CHILD], env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["4", "0.0"]


def test_no_compiled_loop_uses_numbas_threads():
    from numba.core.dispatcher import Dispatcher

    from dlseg.crf.lattice.jit import lattice_points, rows, splat_blur_slice, update

    loops = [
        f
        for module in (lattice_points, rows, splat_blur_slice, update)
        for f in vars(module).values()
        if isinstance(f, Dispatcher)
    ]
    assert len(loops) > 10
    for loop in loops:
        assert not loop.targetoptions.get("parallel"), loop
        assert loop.targetoptions.get("nogil") or loop.targetoptions.get("inline") == "always", loop


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform cannot fork")
def test_a_forked_process_infers_too(scene):
    image, _, probs = scene(0, 90, 100, 3)
    expected = DenseCRF(image, probs=probs, threads=2).infer(CRFParams())  # its threads exist now
    child = os.fork()
    if child == 0:
        q = DenseCRF(image, probs=probs, threads=2).infer(CRFParams())
        os._exit(0 if np.array_equal(q, expected) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
