"""The canvas's Python side: what travels to the browser. (What the browser makes of it: tests/browser.)"""

import io
import threading
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from dlseg.figures import Bar
from dlseg.widgets.canvas import LOSSLESS_PIXELS, SHOWN_PIXELS, LabelCanvas, deflate, encode_photo, likeliest
from dlseg.widgets.layers import Picture, heat_layer, label_layer

PHOTO = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


NAMES = ("background", "stool")


def picture(labels: np.ndarray, image: np.ndarray = PHOTO, **words: Any) -> Picture:
    return Picture("title", image, label_layer(labels, NAMES), **words)


def canvas() -> LabelCanvas:
    return LabelCanvas(picture(np.zeros((20, 30), np.uint8)))


def shown(widget: LabelCanvas) -> np.ndarray:
    return np.frombuffer(zlib.decompress(widget.layer), np.uint8).reshape(widget.layer_size)


@settings(deadline=None, max_examples=25)
@given(arrays(np.uint8, (20, 30)))
def test_labels_arrive_as_they_are(labels: np.ndarray) -> None:
    widget = canvas()
    widget.show(picture(labels, status="words", settled=False))
    assert np.array_equal(shown(widget), labels)
    assert (widget.frame, widget.status, widget.settled, widget.names) == (2, "words", False, list(NAMES))
    widget.close()


def test_equal_labels_still_count_as_a_frame() -> None:
    """Equal bytes raise no change event; the browser redraws on the counter."""
    widget = canvas()
    for number in range(2, 5):
        widget.show(picture(np.ones((20, 30), np.uint8)))
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


def test_numbers_bring_their_scale_and_labels_take_it_away() -> None:
    widget = canvas()
    share = heat_layer(np.linspace(0, 1, 600, dtype=np.float32).reshape(20, 30), Bar("share", 0.0, 1.0))
    widget.show(Picture("title", PHOTO, share))
    assert (widget.bar["label"], widget.names) == ("share", [])
    assert (shown(widget)[0, 0], shown(widget)[-1, -1]) == (0, 255)
    widget.show(picture(np.zeros((20, 30), np.uint8)))
    assert (widget.bar, widget.names) == ({}, list(NAMES))
    widget.close()


def test_a_preview_may_be_smaller_than_the_photo() -> None:
    widget = canvas()
    widget.show(picture(np.ones((5, 7), np.uint8)))
    assert widget.layer_size == (5, 7) and widget.size == (20, 30)
    widget.close()


def test_a_huge_photo_is_shown_at_the_size_of_a_screen() -> None:
    labels = np.zeros((3000, 4000), np.uint8)
    labels[:, 2000:] = 7
    widget = LabelCanvas(picture(labels, np.zeros((3000, 4000, 3), np.uint8)))
    assert widget.size[0] * widget.size[1] <= 1.01 * SHOWN_PIXELS
    assert shown(widget).shape == widget.size
    middle = widget.size[1] // 2
    assert (shown(widget)[:, : middle - 1] == 0).all() and (shown(widget)[:, middle + 1 :] == 7).all()
    widget.close()


def test_a_photo_of_one_pixel() -> None:
    widget = LabelCanvas(picture(np.ones((1, 1), np.uint8), np.zeros((1, 1, 3), np.uint8)))
    assert shown(widget).tolist() == [[1]]
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
        widget.show(picture(np.full((20, 30), number, np.uint8)))
    thread.join()
    assert not errors and widget.frame == 201 and widget.opacity == 199 / 200
    assert (shown(widget) == 199).all()
    widget.close()


@settings(deadline=None, max_examples=25)
@given(arrays(np.float32, (4, 3, 5), elements=st.floats(0, 1, width=32)), st.integers(1, 6))
def test_the_likeliest_classes_are_those_of_a_sort(probs: np.ndarray, count: int) -> None:
    found, kept = likeliest(probs, count), min(count, 4)
    order = np.argsort(-probs, axis=0, kind="stable")[:kept]
    assert np.array_equal(found[:kept], order)
    shares = np.take_along_axis(probs, order, 0)
    assert np.array_equal(found[kept:], np.floor(255 * shares + 0.5))


def test_probabilities_travel_only_while_somebody_reads() -> None:
    probs = np.random.default_rng(0).dirichlet([1, 1], (20, 30)).transpose(2, 0, 1).astype(np.float32)
    widget = canvas()
    widget.show(picture(np.zeros((20, 30), np.uint8), probs=probs, classes=NAMES))
    assert widget.has_probs and widget.probe == b""
    widget.probed = True
    widget.show(picture(np.zeros((20, 30), np.uint8), probs=probs, classes=NAMES, settled=False))
    assert widget.probe == b"", "a preview is not worth it"
    widget.show(picture(np.zeros((20, 30), np.uint8), probs=probs, classes=NAMES))
    assert widget.probe_frame == widget.frame and widget.probe_size == (4, 20, 30)
    found = np.frombuffer(zlib.decompress(widget.probe), np.uint8).reshape(widget.probe_size)
    assert np.array_equal(found[0], probs.argmax(0)) and widget.classes == list(NAMES)
    widget.close()
