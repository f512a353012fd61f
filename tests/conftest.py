"""What every test shares: the optional folder of real samples; one thread (small nets gain nothing from more)."""

import os
from collections.abc import Iterator
from pathlib import Path

import jaxtyping
import pytest
import torch

torch.set_num_threads(int(os.environ.get("DLSEG_TEST_THREADS", "1")))

REPO = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def repo() -> Path:
    """The root of this checkout."""
    return REPO


@pytest.fixture(scope="session")
def samples() -> Path:
    """Real PASCAL VOC images, labels and scores; DLSEG_SAMPLES names a folder with voc/ and densecrf/."""
    folder = Path(os.environ.get("DLSEG_SAMPLES", REPO.parent / "shared" / "samples"))
    if not (folder / "voc").is_dir():
        pytest.skip("no real samples here: set DLSEG_SAMPLES to a folder that holds voc/ and densecrf/")
    return folder


@pytest.fixture
def as_users_see_it() -> Iterator[None]:
    """The library without the run-time shape checks of the tests: its own errors must be clear."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
