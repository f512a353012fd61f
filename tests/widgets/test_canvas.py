"""The canvas's Python side: what travels to the browser. (What the browser makes of it: tests/browser.)"""

import io
import threading
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays
from PIL import Image

from dlseg.datasets.voc import palette
from dlseg.widgets.canvas import LOSSLESS_PIXELS, LabelCanvas, deflate, encode_photo, label_table

PHOTO = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def canvas() -> LabelCanvas:
    return LabelCanvas(PHOTO, np.zeros((20, 30), np.uint8), ["background", "stool"], "title")


def shown(widget: LabelCanvas) -> np.ndarray:
    return np.frombuffer(zlib.decompress(widget.plane), np.uint8).reshape(widget.size)


@settings(deadline=None, max_examples=25)
@given(arrays(np.uint8, (20, 30)))
def test_labels_arrive_as_they_are(labels: np.ndarray) -> None:
    widget = canvas()
    widget.show(labels, status="words", settled=False)
    assert np.array_equal(shown(widget), labels)
    assert (widget.frame, widget.status, widget.settled) == (1, "words", False)
    widget.close()


def test_equal_labels_still_count_as_a_frame() -> None:
    """Equal bytes raise no change event; the browser redraws on the counter."""
    widget = canvas()
    for number in range(1, 4):
        widget.show(np.ones((20, 30), np.uint8))
        assert widget.frame == number
    widget.close()


def test_labels_seen_as_a_view_are_sent_row_by_row() -> None:
    labels = np.arange(600, dtype=np.uint8).reshape(30, 20).T
    assert np.array_equal(np.frombuffer(zlib.decompress(deflate(labels)), np.uint8).reshape(20, 30), labels)


def test_the_photo_is_exact_where_small_and_small_where_large() -> None:
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(encode_photo(PHOTO)))), PHOTO)
    side = int(LOSSLESS_PIXELS**0.5) + 1
    large = encode_photo(np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8))
    assert Image.open(io.BytesIO(large)).format == "JPEG"


def test_the_table_is_vocs_with_background_marked() -> None:
    table = label_table()
    assert np.array_equal(table[:, :3], palette())
    assert table[0, 3] == 0 and (table[1:, 3] == 255).all()


def test_a_wrong_size_is_named_and_changes_nothing() -> None:
    widget = canvas()
    with pytest.raises(ValueError, match=r"labels: expected shape \(20, 30\), got \(30, 20\)"):
        widget.show(np.zeros((30, 20), np.uint8))
    assert widget.frame == 0
    widget.close()


@pytest.mark.parametrize("repeat", range(3))
def test_browser_and_worker_may_change_it_at_once(repeat: int) -> None:
    """Opacity comes in on one thread while frames go out on another: none is lost, none raises."""
    widget, errors = canvas(), []

    def from_browser() -> None:
        try:
            for step in range(200):
                widget.set_state({"opacity": step / 200, "photo_only": bool(step % 2)})
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=from_browser)
    thread.start()
    for number in range(200):
        widget.show(np.full((20, 30), number, np.uint8))
    thread.join()
    assert not errors and widget.frame == 200 and widget.opacity == 199 / 200
    assert (shown(widget) == 199).all()
    widget.close()
