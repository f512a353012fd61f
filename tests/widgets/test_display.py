"""How an explorer's still gets into its notebook: drawn after a rest, and as small as it must be."""

import re
import threading
from base64 import b64decode
from io import BytesIO

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dlseg.figures import label_panel, panels
from dlseg.figures.panels import STILL_BYTES
from dlseg.widgets.display import STILL_WORDS, Rested, still_html


def test_many_moves_are_drawn_once_and_a_later_one_again() -> None:
    acted, calls = threading.Event(), list[str]()

    def act() -> None:
        calls.append(threading.current_thread().name)
        acted.set()

    rested = Rested(act, 0.05)
    assert not acted.wait(0.2), "nothing moved, nothing is drawn"
    for _ in range(2):
        acted.clear()
        for _ in range(50):
            rested.touch()
        assert acted.wait(60)
    assert len(calls) >= 2 and threading.current_thread().name not in calls


def test_after_the_close_nothing_is_drawn() -> None:
    acted = threading.Event()
    rested = Rested(acted.set, 0.05)
    rested.touch()
    rested.close()
    rested.touch()
    assert not acted.wait(0.3)


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([(60, 90), (375, 500)]))
def test_a_still_is_small_whatever_it_shows(seed: int, size: tuple[int, int]) -> None:
    noise = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    labels = np.zeros(size, np.uint8)
    page = still_html(panels([label_panel(f'"{name}" <b>', noise, labels) for name in "abc"], ["background"]))
    found = [b64decode(data) for data in re.findall(r'src="data:image/webp;base64,([^"]+)"', page)]
    assert len(found) == 2 and sum(map(len, found)) <= STILL_BYTES
    assert all(Image.open(BytesIO(data)).size[0] > 500 for data in found)
    assert STILL_WORDS in page and "<b>" not in page and "<script" not in page
