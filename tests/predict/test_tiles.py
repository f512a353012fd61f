"""A large image in pieces: the whole image's scores, wherever the seams are."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dlseg.networks import create
from dlseg.predict import predict, tiles
from dlseg.predict.tiles import context

LABELLERS = ["deeplab", "deeplab-4x4", "deeplab-largefov", "deeplab-msc-largefov", "deeplab-alexnet"]


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def net(variant: str, geometry: str) -> torch.nn.Module:
    torch.manual_seed(0)
    made = create(variant, 4, width=1 / 16, geometry=geometry)
    for parameter in made.parameters():
        if parameter.ndim == 1:
            torch.nn.init.normal_(parameter, std=1.0)  # a bias makes a padded zero differ from a cut-off one
    return made


@pytest.mark.parametrize("variant", LABELLERS)
@pytest.mark.parametrize("geometry", ["paper", "release"])
def test_pieces_equal_the_whole(variant: str, geometry: str) -> None:
    """Up to the order of additions, which is another for maps of another size: 1e-4 of the largest score."""
    made, image = net(variant, geometry), picture(700, 90)
    small = 2 * context(made) + made.grid.offset + 1
    whole, pieces = predict(made, image, tile=700), predict(made, image, tile=small + 64)
    assert pieces.coarse.shape == whole.coarse.shape
    assert np.abs(pieces.coarse - whole.coarse).max() < 1e-4 * np.abs(whole.coarse).max()
    assert (pieces.labels == whole.labels).mean() > 0.999
    with pytest.raises(ValueError, match=f"tile: got {small - 1}, expected at least {small} px: {variant} sees"):
        predict(made, image, tile=small - 1)


@settings(max_examples=5, deadline=None)
@given(height=st.integers(1, 460), width=st.integers(1, 60), more=st.integers(0, 60))
def test_pieces_of_any_size_equal_the_whole(height: int, width: int, more: int) -> None:
    made, image = net("deeplab-alexnet", "paper"), picture(height, width)
    tile = 2 * context(made) + made.grid.offset + 1 + more
    whole, pieces = predict(made, image, tile=10_000).coarse, predict(made, image, tile=tile).coarse
    assert np.abs(pieces - whole).max() <= 1e-4 * np.abs(whole).max()


def test_without_the_context_the_seams_would_show(monkeypatch: pytest.MonkeyPatch) -> None:
    """So the margin is needed, and the tests above can fail."""
    made, image = net("deeplab-largefov", "paper"), picture(700, 90)
    whole = predict(made, image, tile=700).coarse
    monkeypatch.setattr(tiles, "context", lambda _: 64)
    assert np.abs(predict(made, image, tile=400).coarse - whole).max() > 1e-2 * np.abs(whole).max()


def test_little_memory_means_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    made, image = net("deeplab-alexnet", "release"), picture(460, 40)
    whole = predict(made, image).coarse
    monkeypatch.setattr(tiles, "_free", lambda _: 1 << 20)
    sizes: list[int] = []
    made.register_forward_pre_hook(lambda _, given: sizes.append(max(given[0].shape[2:])))
    pieces = predict(made, image).coarse
    assert len(sizes) > 1 and max(sizes) < 460
    assert np.abs(pieces - whole).max() < 1e-4 * np.abs(whole).max()


def test_fcn_is_not_cut() -> None:
    with pytest.raises(ValueError, match="tile: got fcn-32s, which cannot be computed in pieces"):
        predict(create("fcn-32s", 3, width=1 / 16), picture(64, 64), tile=32)
