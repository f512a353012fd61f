"""Score maps on disk are what the network said."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from dlseg.datasets import load
from dlseg.networks import open_weights
from dlseg.predict import predict
from dlseg.score_maps import ScoredImages, save_score_maps


def test_what_is_saved_is_what_predict_gives(tmp_path: Path) -> None:
    net, _ = open_weights("shapes")
    data = load("shapes", "val")
    save_score_maps(net, data, tmp_path, [1, 4])
    images = ScoredImages(data, tmp_path)
    assert len(images) == len(data) and len(list(tmp_path.iterdir())) == 2
    for index in (1, 4):
        name, image, probs, truth = images[index]
        sample = data[index]
        assert name == sample.name
        np.testing.assert_array_equal(image, sample.image)
        np.testing.assert_array_equal(truth, sample.label)
        # scores are kept in half precision: 1e-3 of their size
        np.testing.assert_allclose(probs, predict(net, sample.image).probs, atol=5e-3)
    assert pickle.loads(pickle.dumps(images))[4].name == data.names[4]
    assert len(pickle.dumps(images)) < 50_000  # it is sent to every worker
    with pytest.raises(FileNotFoundError, match="scores: no score map"):
        images[0]


def test_maps_without_a_grid_cover_the_image(tmp_path: Path) -> None:
    data = load("shapes", "val")
    logits = np.random.default_rng(0).normal(size=(data.num_classes, 8, 8)).astype(np.float32)
    np.savez(tmp_path / f"{data.names[0]}.npz", logits=logits)
    large = torch.nn.functional.interpolate(torch.from_numpy(logits)[None], (128, 128), mode="bilinear")
    np.testing.assert_allclose(ScoredImages(data, tmp_path)[0].probs, large[0].softmax(0).numpy(), atol=1e-6)
    np.savez(tmp_path / f"{data.names[1]}.npz", scores=logits)
    with pytest.raises(ValueError, match="`logits`"):
        ScoredImages(data, tmp_path)[1]
