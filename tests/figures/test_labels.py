"""Label pictures: VOC colours, hatched void, and an overlay that a slow loop must equal."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dlseg.figures import colour_labels, overlay, present
from dlseg.figures.labels import check_image, hatch

SIZES = st.tuples(st.integers(1, 9), st.integers(1, 9))


def test_voc_colours() -> None:
    picture = colour_labels(np.array([[0, 1, 2], [15, 20, 21]], dtype=np.uint8))
    assert picture[0].tolist() == [[0, 0, 0], [128, 0, 0], [0, 128, 0]]
    assert picture[1].tolist() == [[192, 128, 128], [0, 64, 128], [128, 64, 128]]


def test_void_is_hatched_in_two_greys_on_a_diagonal() -> None:
    picture = colour_labels(np.full((16, 16), 255))
    assert np.array_equal(picture, hatch(16, 16))
    assert {tuple(colour) for colour in picture.reshape(-1, 3).tolist()} == {(96, 96, 96), (208, 208, 208)}
    assert np.array_equal(picture[:-1, 1:], picture[1:, :-1])  # constant along r + c
    assert not np.array_equal(picture[:-1, :-1], picture[1:, 1:])


def slow_overlay(image: np.ndarray, labels: np.ndarray, opacity: float) -> np.ndarray:
    out, flat = np.zeros_like(image), colour_labels(labels)
    for r in range(image.shape[0]):
        for c in range(image.shape[1]):
            red, green, blue = (float(v) for v in image[r, c])
            grey = int(255 - (255 - (0.299 * red + 0.587 * green + 0.114 * blue)) * 0.4 + 0.5)
            for k, photo in enumerate((red, green, blue)):
                colour = grey if labels[r, c] == 0 else float(flat[r, c, k])
                out[r, c, k] = int(photo + (colour - photo) * opacity + 0.5)
    return out


@settings(deadline=None, max_examples=40)
@given(st.data(), SIZES, st.floats(0, 1))
def test_overlay_equals_the_slow_loop(data: st.DataObject, size: tuple[int, int], opacity: float) -> None:
    image = data.draw(arrays(np.uint8, (*size, 3)))
    labels = data.draw(arrays(np.uint8, size))
    got = overlay(image, labels, opacity).astype(int)
    # one step of grey: the slow loop adds its three products in another order
    assert np.abs(got - slow_overlay(image, labels, opacity)).max() <= 1


@settings(deadline=None, max_examples=20)
@given(st.data(), SIZES)
def test_opacity_runs_from_photo_to_flat_colour(data: st.DataObject, size: tuple[int, int]) -> None:
    image = data.draw(arrays(np.uint8, (*size, 3)))
    labels = data.draw(arrays(np.uint8, size))
    assert np.array_equal(overlay(image, labels, 0.0), image)
    assert np.array_equal(overlay(image, labels, 1.0)[labels > 0], colour_labels(labels)[labels > 0])


def test_present_names_what_occurs() -> None:
    assert present(np.array([[7, 255], [0, 7]])) == [0, 7, 255]


def test_nothing_given_is_changed() -> None:
    image, labels = np.full((4, 5, 3), 9, np.uint8), np.full((4, 5), 255, np.uint8)
    overlay(image, labels)
    assert (image == 9).all() and (labels == 255).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: colour_labels(np.array([[256]])), r"labels: got 256…256, expected values 0…255"),
        (lambda: colour_labels(np.array([[-1]])), r"labels: got -1"),
        (
            lambda: check_image(np.zeros((4, 4, 3), np.uint8), (4, 5)),
            r"image: got .*expected uint8 of shape \(4, 5, 3\)",
        ),
        (
            lambda: overlay(np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.uint8), 1.5),
            r"opacity: got 1.5, expected 0…1",
        ),
    ],
)
def test_mistakes_are_named(call: object, message: str) -> None:
    with pytest.raises(Exception, match=message):
        call()  # type: ignore[operator]
