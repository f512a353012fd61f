"""Labels as they come: masks, voids, strays, more than 255 of them."""

import tracemalloc

import numpy as np
import pytest
import torch

from dlseg.crf import CRFParams, DenseCRF, refine
from dlseg.crf.labels import label_probabilities

H, W = 12, 16
IMAGE = np.full((H, W, 3), 100, np.uint8)
P = CRFParams(4, 6, 20, 3, 2, 3)


def labels(*values, dtype=int):
    """A label map that has all these values, the first one nearly everywhere."""
    out = np.full((H, W), values[0], dtype)
    out[3, : len(values)] = values
    return out


def refused(words, error=ValueError, **arguments):
    with pytest.raises(error, match=words):
        DenseCRF(IMAGE, **arguments)


@pytest.mark.parametrize("stray", [65535, 10**6, 2**40])
def test_a_stray_value_is_named_and_counted_at_once(stray):
    tracemalloc.start()
    refused(
        rf"labels: got {stray} at 1 pixel where 255 means unknown, expected labels below 255; set stray ones "
        "to 255; for more labels say unknown=-1",
        labels=labels(1, stray, 0),
    )
    refused(
        rf"labels: got {stray} at 1 pixel, far above the others, expected .*num_classes={stray + 1}",
        labels=labels(1, stray, 0),
        unknown=-1,
    )
    refused(
        rf"num_classes: got 3, expected {stray + 1} or more: labels has {stray} at 1 pixel",
        num_classes=3,
        labels=labels(1, stray, 0),
    )
    assert tracemalloc.get_traced_memory()[1] < 2**23
    tracemalloc.stop()


def test_many_strays_are_not_all_named():
    refused(
        "labels: got 300 at 1 pixel, 301 at 1 pixel, 302 at 1 pixel, 303 at 1 pixel, 304 at 1 pixel and 3 more ",
        labels=labels(0, *range(300, 308)),
    )


def test_what_would_not_fit_into_memory_is_refused():
    refused(
        r"num_classes: got 100000000 labels at 12 x 16 pixels, 72 GiB of probabilities, expected at most 8",
        labels=labels(0, 1),
        num_classes=10**8,
        unknown=-1,
    )
    refused("probs: got 20000000 labels at 12 x 16 pixels", probs=np.broadcast_to(np.float16(0), (2 * 10**7, H, W)))


@pytest.mark.parametrize("given", [None, 300])
def test_more_than_255_labels(given):
    every = np.arange(H * W * 2)[: H * W].reshape(H, W) * 299 // (H * W - 1)
    every[0, 0], every[1, 1] = 255, -1
    crf = DenseCRF(IMAGE, labels=every, unknown=-1, num_classes=given)
    assert crf.num_classes == 300
    q = next(crf.steps(P)).q
    assert q[255, 0, 0] == pytest.approx(0.7) and q[299, -1, -1] == pytest.approx(0.7)
    np.testing.assert_allclose(q[:, 1, 1], 1 / 300, rtol=1e-4)
    every[1, 1] = 3
    refused("where 255 means unknown, expected .*unknown=-1", labels=every, num_classes=given)
    assert DenseCRF(IMAGE, labels=every, unknown=None, num_classes=given).num_classes == 300


@pytest.mark.parametrize(
    ("void", "values", "count"),
    [(0, (0, 1, 2), 3), (11, (11, 0, 3), 12), (0, (0, 1), 3), (7, (7, 0, 3), 4), (1, (1, 0), 3)],
)
def test_a_void_amid_the_labels_is_none_of_them(void, values, count):
    given = labels(*values)
    crf = DenseCRF(IMAGE, labels=given, unknown=void, num_classes=12 if void == 11 else None)
    assert crf.num_classes == count
    q = next(crf.steps(P)).q
    real = [label for label in range(count) if label != void]
    np.testing.assert_allclose(q[real, 8, 8], 1 / len(real), rtol=1e-3)
    assert q[values[1], 3, 1] == pytest.approx(0.7, rel=1e-3)
    np.testing.assert_allclose(q.sum(axis=0), 1, rtol=1e-5)
    if void < count:
        assert q[void].max() < 1e-4
        assert void not in crf.label(P)
        assert void not in refine(IMAGE, labels=given, unknown=void, num_classes=count, params=P)
    refused("num_classes: got 2, expected 3 or more", labels=labels(0, 2), unknown=0, num_classes=2)


@pytest.mark.parametrize("given", [None, 2])
def test_a_mask_of_255_is_not_taken_for_unknown(given):
    mask = labels(0, 255, 255, dtype=np.uint8)
    refused(
        r"labels: got 0 and 255 only, as in a mask, expected .*labels=mask > 0.*binary\(mask / 255\)",
        labels=mask,
    )
    for unknown in (None, -1, 7):
        refused("as in a mask", labels=mask, num_classes=given, unknown=unknown)
    assert DenseCRF(IMAGE, labels=mask, num_classes=3).num_classes == 3  # strokes on the background alone
    q = DenseCRF(IMAGE, labels=mask > 0, num_classes=given, confidence=0.8).infer(P)
    np.testing.assert_array_equal(q, DenseCRF(IMAGE, labels=(mask > 0).astype(int), confidence=0.8).infer(P))
    tensor = DenseCRF(IMAGE, labels=torch.from_numpy(mask > 0), confidence=0.8).infer(P)
    assert torch.equal(torch.as_tensor(q), tensor)
    assert DenseCRF(IMAGE, labels=np.zeros((H, W), bool)).num_classes == 2


def test_strokes_on_the_background_alone_of_two_labels():
    """255 counts as unknown there, as documented; a mask would look the same, so there is a warning."""
    strokes = labels(0, 255, 255, dtype=np.uint8)
    with pytest.warns(UserWarning, match=r"labels: got 0 and 255 only.*255 counts as unknown.*labels=mask > 0"):
        q = DenseCRF(IMAGE, labels=strokes, num_classes=2).infer(P)
    marked = np.where(strokes == 255, -1, 0)
    np.testing.assert_array_equal(q, DenseCRF(IMAGE, labels=marked, num_classes=2, unknown=-1).infer(P))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"unknown": 0.5}, "unknown: got 0.5, expected a whole number"),
        ({"unknown": True}, "unknown: got True"),
        ({"num_classes": 3.5}, "num_classes: got 3.5, expected a whole number"),
        ({"num_classes": "3"}, "num_classes: got '3'"),
        ({"confidence": "high"}, "confidence: got 'high', expected more"),
    ],
)
def test_options_of_another_kind(wrong, words):
    refused(words, TypeError, labels=labels(0, 1, 2), **wrong)


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((H, W, 1), r"labels\[\.\.\., 0\]"),
        ((1, H, W), r"labels\[0\]"),
        ((H, W, 3), "not a colour"),
        ((5, H, W), "argmax"),
        ((W, H), "height and width are swapped"),
        ((H, W + 1), "as large as the image"),
    ],
)
def test_labels_of_another_shape(shape, words):
    refused(
        rf"labels: got shape .*expected \(12, 16\), as large as the image.*{words}"
        if "large" not in words
        else words,
        labels=np.zeros(shape, int),
    )


def test_labels_that_are_no_whole_numbers():
    refused(r"labels: got float64, expected whole numbers; \.astype\(int\)", TypeError, labels=np.zeros((H, W)))
    masked = np.ma.masked_array(labels(0, 1), mask=labels(0, 1) > 0)
    refused(r"labels: got a masked array, expected .*\.filled", TypeError, labels=masked)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int64, np.uint64, ">i4"])
def test_the_probabilities(dtype):
    given = labels(2, 0, 1, dtype=dtype)
    expected = np.where(np.arange(3)[:, None, None] == given, 0.7, 0.15).astype(np.float32)
    np.testing.assert_allclose(label_probabilities(given, (H, W), None, 0.7), expected.reshape(3, -1), rtol=1e-6)
