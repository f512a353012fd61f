"""`dlseg predict` destroys no file: not the picture, not another's result, nothing that it did not make itself."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from dlseg.cli import main
from dlseg.networks import create, save_weights
from dlseg.predict.folder import made_here


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return save_weights(create("deeplab-largefov", 5, width=1 / 16), tmp_path / "weights" / "net.safetensors")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    return folder


def draw(path: Path, seed: int = 0) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path.read_bytes()


def predict(weights: Path, *arguments: object) -> Result:
    return CliRunner().invoke(main, ["predict", *map(str, arguments), "--weights", str(weights)])


def test_the_picture_itself_is_not_overwritten(
    photos: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = draw(photos / "photo.png")
    (photos / "other.png").symlink_to("photo.png")
    monkeypatch.chdir(photos)
    for out in ("photo.png", "./photo.png", photos / "photo.png", "other.png"):
        done = predict(weights, "photo.png", "--out", out)
        assert done.exit_code == 1 and "is itself a picture to be labelled and would be overwritten" in done.output
        assert (photos / "photo.png").read_bytes() == before
    draw(photos / "a_overlay.png")
    done = predict(weights, "a_overlay.png", "--out", "a.png", "--overlay")
    assert done.exit_code == 1 and "'a_overlay.png' is itself a picture" in done.output
    assert not (photos / "a.png").exists()


def test_only_ones_own_results_are_written_anew(photos: Path, weights: Path) -> None:
    draw(photos / "a.png")
    draw(photos / "b.png", 1)
    mine = draw(photos / "mine.png", 2)
    done = predict(weights, photos / "a.png", "--out", photos / "mine.png")
    assert done.exit_code == 1 and "is there already and dlseg predict did not make it; name another" in done.output
    assert (photos / "mine.png").read_bytes() == mine
    np.savez(photos / "new.npz", mine=np.ones(3))
    done = predict(weights, photos / "a.png", "--out", photos / "new.png", "--scores")
    assert done.exit_code == 1 and "new.npz' is there already" in done.output and not (photos / "new.png").exists()
    for picture in ("a.png", "b.png", "b.png"):
        done = predict(weights, photos / picture, "--out", photos / "out.png", "--overlay", "--scores")
        assert done.exit_code == 0, done.output
    assert all(made_here(photos / name) for name in ("out.png", "out_overlay.png", "out.npz"))


def test_an_overlay_is_not_another_pictures_result(photos: Path, weights: Path, tmp_path: Path) -> None:
    draw(photos / "a.png")
    draw(photos / "a_overlay.png", 1)
    done = predict(weights, photos, "--out", tmp_path / "out", "--overlay")
    assert done.exit_code == 1 and not list((tmp_path / "out").glob("*.png"))
    assert "results of a.png and a_overlay.png would both be called a_overlay.png; rename one" in done.output
    done = predict(weights, photos, "--out", tmp_path / "out")
    assert done.exit_code == 0 and "2 of 2 images labelled" in done.output


def test_results_beside_the_pictures(photos: Path, weights: Path) -> None:
    before = draw(photos / "a.jpg")
    for _ in range(2):
        done = predict(weights, photos, "--out", photos, "--overlay")
        assert done.exit_code == 0 and "1 of 1 images labelled" in done.output, done.output
    assert sorted(path.name for path in photos.iterdir()) == ["a.jpg", "a.png", "a_overlay.png", "job.json"]
    assert (photos / "a.jpg").read_bytes() == before
    before = draw(photos / "b.png")
    done = predict(weights, photos, "--out", photos, "--overlay")
    assert done.exit_code == 1 and "b.png' is itself a picture" in done.output
    assert (photos / "b.png").read_bytes() == before


def test_another_folders_picture_of_the_same_name(photos: Path, weights: Path, tmp_path: Path) -> None:
    draw(photos / "a.jpg")
    (tmp_path / "more").mkdir()
    draw(tmp_path / "more" / "a.jpg", 1)
    assert predict(weights, photos, "--out", tmp_path / "out").exit_code == 0
    before = (tmp_path / "out" / "a.png").read_bytes()
    done = predict(weights, tmp_path / "more", "--out", tmp_path / "out")
    assert done.exit_code == 1 and "0 of 1 images labelled" in done.output
    assert "is the result of another picture, or of a.jpg before it was changed; remove it or name" in done.output
    assert (tmp_path / "out" / "a.png").read_bytes() == before
    draw(photos / "a.jpg", 2)  # the picture was changed since
    assert "before it was changed" in predict(weights, photos, "--out", tmp_path / "out").output
