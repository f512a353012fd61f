"""Any size in, the same size out; the scores are the network's own, bilinear in between."""

import numpy as np
import pytest
import torch

from dlseg.images import ImageError
from dlseg.networks import create
from dlseg.predict import fitting_size, predict, score_maps


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture(scope="module", params=["paper", "release"])
def net(request: pytest.FixtureRequest) -> torch.nn.Module:
    torch.manual_seed(0)
    return create("deeplab-largefov", 5, width=1 / 16, geometry=request.param)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (37, 1), (16, 16), (65, 50), (130, 129)])
def test_any_size(net: torch.nn.Module, size: tuple[int, int]) -> None:
    image = picture(*size)
    before = image.copy()
    p = predict(net, image)
    assert p.labels.shape == size and p.scores.shape == p.probs.shape == (5, *size)
    assert np.array_equal(image, before) and p.marginals is None
    assert np.allclose(p.probs.sum(0), 1, atol=1e-5)
    assert np.array_equal(p.labels, p.probs.argmax(0))


def test_upsampling_keeps_the_scores_where_they_stand(net: torch.nn.Module) -> None:
    coarse, scores = score_maps(net, picture(90, 70))
    offset = net.grid.offset
    at_positions = scores[:, offset::8, offset::8]
    rows, columns = at_positions.shape[1:]
    assert torch.allclose(at_positions, coarse[:, :rows, :columns], atol=1e-5)


def test_image_that_fits_is_not_grown(net: torch.nn.Module) -> None:
    crop = 81 + net.grid.offset
    assert fitting_size(crop, 8, net.grid.offset) == crop
    assert fitting_size(crop - 1, 8, net.grid.offset) == crop


@pytest.mark.parametrize("bad", [picture(4, 4)[..., 0], picture(4, 4) / 255, np.zeros((0, 4, 3), np.uint8)])
def test_bad_image(net: torch.nn.Module, bad: np.ndarray) -> None:
    with pytest.raises((ImageError, TypeError), match="image"):
        predict(net, bad)


def test_a_classifier_labels_no_pixels() -> None:
    with pytest.raises(
        ValueError, match="net: got vgg16-20m, which gives one answer an image, expected a segmentation network"
    ):
        predict(create("vgg16-20m", 3, width=1 / 16), picture(64, 64))


def test_more_classes_than_a_byte_holds() -> None:
    net = create("deeplab-largefov", 256, width=1 / 64)
    with pytest.raises(ValueError, match="net: got 256 classes, expected at most 255: a label is one byte"):
        predict(net, np.zeros((9, 9, 3), np.uint8))
