"""A few scored images with void round the objects, and a space small enough to search in seconds."""

import numpy as np
import pytest
from scipy.ndimage import grey_dilation, grey_erosion

from dlseg.crf import Scored, Space


@pytest.fixture(scope="session")
def scored(scene):
    """The function that makes some: noisy colours, an often wrong unary, a truth with a void rim."""

    def make(count, classes=3):
        samples = []
        for seed in range(count):
            image, truth, probs = scene(seed, 40 + seed % 3, 48, classes, 25.0, 0.45)
            rim = grey_dilation(truth, 3) != grey_erosion(truth, 3)
            samples.append(Scored(f"scene{seed}", image, probs, np.where(rim, 255, truth).astype(np.uint8)))
        return samples

    return make


@pytest.fixture(scope="session")
def small():
    """Four coarse settings; their optimum lies outside."""
    return Space(w1=(1, 2), sigma_alpha=(5,), sigma_beta=(6, 12), halvings=1, moves=2)
