"""Class-activation maps, soft and partial labels, and a confidence for each pixel, as unaries."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dlseg.crf import CRFParams, DenseCRF, binary, from_cams, soft_labels

CAMS = np.random.default_rng(0).random((3, 5, 6))


@pytest.mark.parametrize("option", [{"threshold": 0.3}, {"power": 4}, {"power": 0.5}])
def test_they_are_probabilities_of_background_and_classes(option):
    got = from_cams(CAMS, **option)
    assert got.shape == (4, 5, 6) and got.dtype == np.float32
    np.testing.assert_allclose(got.sum(axis=0), 1, atol=1e-6)
    np.testing.assert_allclose(got[1:] / got[1], CAMS / CAMS[0], rtol=1e-4)
    background = option.get("threshold", (1 - CAMS.max(axis=0)) ** option.get("power", 1))
    np.testing.assert_allclose(got[0] / got[1], background / CAMS[0], rtol=1e-4)
    if "threshold" in option:
        np.testing.assert_array_equal(got.argmax(axis=0) == 0, CAMS.max(axis=0) < 0.3)


@given(st.floats(0.1, 8), st.floats(1.1, 4))
def test_a_larger_power_leaves_less_to_the_background(power, factor):
    assert np.all(from_cams(CAMS, power=power * factor)[0] <= from_cams(CAMS, power=power)[0] + 1e-6)


def test_certain_and_empty_maps_have_an_answer():
    maps = np.zeros((2, 1, 2))
    maps[1, 0, 0] = 1
    np.testing.assert_allclose(from_cams(maps, power=2)[:, 0], [[0, 1], [0, 0], [1, 0]])
    np.testing.assert_allclose(from_cams(maps, threshold=0.5)[:, 0], [[1 / 3, 1], [0, 0], [2 / 3, 0]], atol=1e-6)


def test_the_crf_makes_of_them_the_object(scene):
    image, truth, _ = scene(0, 40, 48, 2)
    ys, xs = np.nonzero(truth)
    away = np.sum((np.indices(truth.shape) - np.array([ys.mean(), xs.mean()])[:, None, None]) ** 2, axis=0)
    cam = np.exp(-away / 2 / 6**2)[None]  # a blur over the object's middle
    probs = from_cams(cam, threshold=0.35)
    found = DenseCRF(image, probs=probs).label(CRFParams(5, 30, 15, 1, 1))

    def overlap(labels):
        return np.sum((labels == 1) & (truth == 1)) / np.sum((labels == 1) | (truth == 1))

    assert overlap(found) > 0.95 > overlap(probs.argmax(axis=0))


def test_a_gradient_flows_to_the_maps():
    maps = torch.from_numpy(CAMS).requires_grad_()
    got = from_cams(maps, power=3)
    got[0].sum().backward()
    assert got.dtype == torch.float32 and (maps.grad != 0).any()


@pytest.mark.parametrize(
    ("cams", "options", "words"),
    [
        (CAMS * 3, {"power": 2}, "cams: got values from .*expected 0..1: cut off"),
        (-CAMS, {"power": 2}, "cams: got values"),
        (CAMS * np.nan, {"power": 2}, "cams: got values from nan"),
        (CAMS[0], {"power": 2}, r"cams: got shape \(5, 6\)"),
        (CAMS, {}, "threshold, power: got none, expected one"),
        (CAMS, {"power": 2, "threshold": 0.3}, "threshold, power: got both, expected one"),
        (CAMS, {"power": 0}, "power: got 0, expected more than 0"),
        (CAMS, {"threshold": 1}, "threshold: got 1, expected"),
        (CAMS, {"threshold": "0.3"}, "threshold: got '0.3', expected a number"),
        (torch.zeros(2, 3, 4, device="meta"), {"power": 1}, 'cams: got a tensor on "meta"'),
    ],
)
def test_bad_maps_are_named(cams, options, words):
    with pytest.raises((TypeError, ValueError), match=f"^{words}"):
        from_cams(cams, **options)


def test_soft_and_partial_labels():
    shares = np.zeros((3, 1, 4))
    shares[:, 0, 0], shares[:, 0, 1], shares[:, 0, 2] = [1, 0, 0], [0.2, 0.2, 0], [6, 2, 0]
    got = soft_labels(shares)
    np.testing.assert_allclose(got[:, 0].T, [[1, 0, 0], [0.5, 0.5, 0], [0.75, 0.25, 0], [1 / 3] * 3], atol=1e-6)
    np.testing.assert_allclose(soft_labels(shares > 0)[:, 0, 2], [0.5, 0.5, 0])
    assert isinstance(soft_labels(torch.from_numpy(shares)), torch.Tensor)
    DenseCRF(np.full((1, 4, 3), 90, np.uint8), probs=got).infer(CRFParams())
    for bad, words in (
        (shares - 1, "shares: got values from -1"),
        (shares + np.inf, "shares: got"),
        (shares[:1], r"shares: got shape \(1, 1, 4\), expected \(C, H, W\), C at least 2"),
    ):
        with pytest.raises(ValueError, match=f"^{words}"):
            soft_labels(bad)


def test_a_confidence_for_each_pixel(scene):
    image, truth, _ = scene(1, 12, 14, 3)
    labels = truth.copy()
    labels[0] = 255
    sure = np.random.default_rng(1).uniform(0.4, 0.9, truth.shape)
    sure[0] = np.nan  # nothing is asked of it where no label is
    q = next(DenseCRF(image, labels=labels, confidence=sure, num_classes=3).steps(CRFParams())).q
    given_ = np.take_along_axis(q, truth[None], 0)[0]
    np.testing.assert_allclose(given_[1:], sure[1:], atol=1e-4)
    np.testing.assert_allclose(q[:, 0], 1 / 3, atol=1e-6)
    np.testing.assert_array_equal(
        DenseCRF(image, labels=labels, confidence=np.full(truth.shape, 0.6)).infer(CRFParams()),
        DenseCRF(image, labels=labels, confidence=0.6).infer(CRFParams()),
    )


@pytest.mark.parametrize(
    ("confidence", "words"),
    [
        (np.full((12, 13), 0.7), r"confidence: got shape \(12, 13\), expected a number or \(12, 14\)"),
        (np.full((12, 14), 0.3), "confidence: got 0.3 to 0.3, expected more than 1/3 and less than 1"),
        (np.full((12, 14), np.nan), "confidence: got nan"),
        (1.0, "confidence: got 1"),
    ],
)
def test_bad_confidences_are_named(scene, confidence, words):
    image, truth, _ = scene(1, 12, 14, 3)
    with pytest.raises(ValueError, match=f"^{words}"):
        DenseCRF(image, labels=truth, confidence=confidence, num_classes=3)


ODD = {
    "read-only": lambda array: np.broadcast_to(array, array.shape),
    "big-endian": lambda array: array.astype(array.dtype.newbyteorder(">")),
    "turned": lambda array: np.ascontiguousarray(array[:, ::-1, ::-1])[:, ::-1, ::-1],
    "long": lambda array: array.astype(np.longdouble),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int32])
def test_maps_of_any_memory_give_what_plain_ones_give(kind, dtype):
    maps = np.random.default_rng(0).random((3, 4, 5)).round(1).astype(dtype)
    odd = ODD[kind](maps)
    assert np.array_equal(from_cams(odd, threshold=0.3), from_cams(maps, threshold=0.3))
    assert np.array_equal(soft_labels(odd + maps), soft_labels(maps + maps))


@pytest.mark.parametrize("size", [1e-300, 1e-60, 1e-38, 1e-31, 1e38, 3e38, 1e300])
def test_shares_of_any_size_are_divided_by_their_sum(size):
    shares = np.array([[[1.0]], [[3.0]], [[0.0]]]) * size
    assert np.allclose(soft_labels(shares).ravel(), [0.25, 0.75, 0])


def test_an_empty_foreground_is_named():
    with pytest.raises(ValueError, match=r"foreground: got float64, shape \(0, 4\), expected floats \(H, W\)"):
        binary(np.zeros((0, 4)))
