"""Score maps on disk are what the network gave, for whoever reads them: one writer, one reader."""

import pickle
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dlseg.cli import main
from dlseg.datasets import load
from dlseg.networks import ScoreGrid, create, open_weights
from dlseg.predict import predict, score_maps
from dlseg.predict.score_files import ScoredImages, holds_scores, read_scores, save_score_maps, write_scores
from dlseg.widgets import standalone_page

LOGITS = np.random.default_rng(0).normal(size=(3, 5, 6)).astype(np.float32)


def test_crf_tune_and_search_read_what_predict_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each reader had its own idea of where the scores lie: half a cell of difference."""
    served: list[dict[str, Any]] = []
    monkeypatch.setattr(standalone_page, "serve", lambda *given, **_: served.append(given[4]))
    data = load("shapes", "val")
    sample = data[0]
    Image.fromarray(sample.image).save(tmp_path / f"{sample.name}.png")
    arguments = [tmp_path / f"{sample.name}.png", "--out", tmp_path / "labels.png", "--scores"]
    done = CliRunner().invoke(main, ["predict", *map(str, arguments)])
    assert done.exit_code == 0, done.output
    (tmp_path / "labels.npz").rename(tmp_path / f"{sample.name}.npz")
    expected = predict(open_weights("shapes")[0], sample.image).probs
    arguments = [tmp_path / f"{sample.name}.png", "--scores", tmp_path / f"{sample.name}.npz"]
    assert CliRunner().invoke(main, ["crf", "tune", *map(str, arguments)]).exit_code == 0
    # 1e-5: the network runs a second time, and its sums round otherwise
    assert np.allclose(served[0]["probs"], expected, atol=1e-5)
    assert np.allclose(ScoredImages(data, tmp_path)[0].probs, expected, atol=1e-5)


@given(height=st.integers(9, 70), width=st.integers(9, 70), variant=st.sampled_from(["deeplab-largefov", "fcn-8s"]))
@settings(max_examples=12, deadline=None)
def test_any_size_of_image_and_any_grid(height: int, width: int, variant: str) -> None:
    net = create(variant, 4, width=1 / 16).eval()
    image = np.random.default_rng(height).integers(0, 256, (height, width, 3), dtype=np.uint8)
    coarse, large = score_maps(net, image)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.npz"
        write_scores(path, coarse.numpy(), net.grid)
        assert np.allclose(read_scores(path, (height, width)), large.softmax(0).numpy(), atol=1e-6)
        assert holds_scores(path) and [each.name for each in Path(folder).iterdir()] == ["a.npz"]
        if net.grid is not None and net.grid.stride > 1:
            with pytest.raises(ValueError, match=r"expected as many as an image of .* is it the file of another"):
                read_scores(path, (height + 2 * net.grid.stride, width))


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
        np.testing.assert_allclose(probs, predict(net, sample.image).probs, atol=1e-5)
    assert pickle.loads(pickle.dumps(images))[4].name == data.names[4]
    assert len(pickle.dumps(images)) < 50_000  # it is sent to every worker
    with pytest.raises(FileNotFoundError, match=r"scores: .*\.npz: no such file"):
        images[0]
    write_scores(tmp_path / f"{data.names[0]}.npz", LOGITS, None)
    with pytest.raises(ValueError, match=r"got 3 classes, expected the data's 13"):
        images[0]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_maps_without_a_grid_cover_the_image(tmp_path: Path, dtype: type) -> None:
    logits = LOGITS.astype(dtype)
    large = torch.nn.functional.interpolate(
        torch.from_numpy(logits.astype(np.float32))[None], (50, 66), mode="bilinear", align_corners=False
    )
    expected = large[0].softmax(0).numpy()
    np.savez(tmp_path / "a.npz", logits=logits, size=(50, 66))
    np.save(tmp_path / "b.npy", logits)
    np.savez(tmp_path / "c.npz", probs=expected)
    for name in ("a.npz", "b.npy", "c.npz"):
        assert np.allclose(read_scores(tmp_path / name, (50, 66)), expected, atol=1e-6)


def test_what_is_no_score_map_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", other=LOGITS)
    np.savez(tmp_path / "none.npz")
    np.save(tmp_path / "flat.npy", LOGITS[0])
    np.save(tmp_path / "whole.npy", np.zeros((3, 5, 6), int))
    np.save(tmp_path / "object.npy", np.array([None]), allow_pickle=True)
    (tmp_path / "text.npz").write_text("no numbers")
    (tmp_path / "empty.npz").write_bytes(b"")
    np.save(tmp_path / "nan.npy", np.full((3, 5, 6), np.nan, np.float32))
    write_scores(tmp_path / "good.npz", LOGITS, ScoreGrid(8, 1))
    (tmp_path / "cut.npz").write_bytes((tmp_path / "good.npz").read_bytes()[:300])
    content = bytearray((tmp_path / "good.npz").read_bytes())
    content[80:90] = bytes(10)
    (tmp_path / "damaged.npz").write_bytes(content)
    for number, grid in enumerate(([8.0, 1.0], [0, 1], [8, -1], [8], 8)):
        np.savez(tmp_path / f"grid{number}.npz", logits=LOGITS, grid=grid)
    for name, expected in [
        ("other.npz", "holds other, expected probs or logits"),
        ("none.npz", "holds nothing, expected probs or logits"),
        ("flat.npy", r"got logits float32 \(5, 6\), expected floats \(C, h, w\)"),
        ("whole.npy", r"got logits int64 \(3, 5, 6\), expected floats"),
        ("object.npy", "is no .npy or .npz file of numbers"),
        ("text.npz", "is no .npy or .npz file of numbers"),
        ("empty.npz", "is no .npy or .npz file of numbers"),
        ("cut.npz", "is no .npy or .npz file of numbers"),
        ("damaged.npz", "is no .npy or .npz file of numbers"),
        ("nan.npy", "got logits with NaN or infinity, expected finite numbers"),
        *(
            (f"grid{i}.npz", "got grid .*, expected two whole numbers, stride >= 1 and offset >= 0")
            for i in range(5)
        ),
    ]:
        with pytest.raises(ValueError, match=f"scores: .*{name}: .*{expected}"):
            read_scores(tmp_path / name, (34, 42))
    assert read_scores(tmp_path / "good.npz", (34, 42)).shape == (3, 34, 42)


def test_a_lone_array_under_the_name_of_several_is_not_ours(tmp_path: Path) -> None:
    with (tmp_path / "a.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    assert not holds_scores(tmp_path / "a.npz")
