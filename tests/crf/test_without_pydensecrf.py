"""Without pydensecrf everything works but kernel="pydensecrf", and that says what is missing."""

import os
import subprocess
import sys
from pathlib import Path

CHILD = """
import sys
sys.modules["pydensecrf"] = None  # as if it were not installed
import numpy as np
from dlseg.crf import CRFParams, DenseCRF, Scored, Space, refine, search
image = np.random.default_rng(0).integers(0, 256, (20, 24, 3), dtype=np.uint8)
probs = np.full((3, 20, 24), 1 / 3)
for kernel in ("lattice", "exact", "local"):
    crf = DenseCRF(image, probs=probs, kernel=kernel)
    assert np.isfinite(crf.infer(CRFParams())).all() and np.isfinite(crf.preview(CRFParams())).all()
    assert len(list(crf.steps(CRFParams(iterations=2)))) == 3 and crf.affinity(CRFParams(), 1, 2).appearance.any()
assert refine(image, probs=probs).shape == (20, 24)
space = Space(w1=(5,), sigma_alpha=(9,), sigma_beta=(9,), moves=0)
assert len(search([Scored("a", image, probs, np.zeros((20, 24), int))], space).trials) == 2
try:
    DenseCRF(image, probs=probs, kernel="pydensecrf").infer(CRFParams())
except ImportError as error:
    print(error)
"""


def test_all_but_the_reference_works(repo: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CHILD],
        env={**os.environ, "PYTHONPATH": str(repo)},
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith('kernel: "pydensecrf" needs the package pydensecrf')
