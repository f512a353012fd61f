"""Folder jobs: one damaged image stops nothing, a stopped job goes on, another job's results are not mixed in."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image

from dlseg.cli import main
from dlseg.crf import CRFParams
from dlseg.figures.labels import overlay
from dlseg.networks import create, save_weights
from dlseg.predict import folder as module
from dlseg.predict import predict
from dlseg.predict.folder import images_in, label_all
from dlseg.predict.score_files import read_scores


def net(seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    return create("deeplab-largefov", 5, width=1 / 16)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    rng = np.random.default_rng(0)
    for i, ending in enumerate(["jpg", "png", "JPG"]):
        picture = Image.fromarray(rng.integers(0, 256, (30 + i, 40, 3), dtype=np.uint8))
        picture.save(tmp_path / "photos" / f"p{i}.{ending}", format="PNG" if ending == "png" else "JPEG")
    (tmp_path / "photos" / "notes.txt").write_text("no picture")
    return tmp_path / "photos"


def read(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture)


def test_every_image_with_all_that_was_asked_for(photos: Path, tmp_path: Path) -> None:
    images, made, params = images_in(photos), net(), CRFParams(iterations=2)
    out = tmp_path / "out"
    assert [path.name for path in images] == ["p0.jpg", "p1.png", "p2.JPG"]
    assert label_all(made, images, out, params, overlay=overlay, scores=True) == {}
    for path in images:
        expected = predict(made, read(path), params)
        labels = read(out / f"{path.stem}.png")
        assert np.array_equal(labels, expected.labels)
        assert np.array_equal(read(out / f"{path.stem}_overlay.png"), overlay(read(path), labels))
        with np.load(out / f"{path.stem}.npz") as saved:
            assert np.array_equal(saved["logits"], expected.coarse) and saved["grid"].tolist() == [8, 1]
        probs = read_scores(out / f"{path.stem}.npz", labels.shape)
        assert np.allclose(probs, expected.probs, atol=1e-6)
    assert not list(out.glob("*.tmp"))


def test_a_stopped_job_goes_on(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images, made, seen = images_in(photos), net(), []

    def counted(*args: object) -> object:
        seen.append(1)
        if len(seen) == 2:
            raise KeyboardInterrupt
        return predict(*args)

    monkeypatch.setattr(module, "predict", counted)
    with pytest.raises(KeyboardInterrupt):
        label_all(made, images, tmp_path / "out")
    assert label_all(made, images, tmp_path / "out") == {} and len(seen) == 4
    assert label_all(made, images, tmp_path / "out") == {} and len(seen) == 4
    for path in images:
        assert np.array_equal(read(tmp_path / "out" / f"{path.stem}.png"), predict(made, read(path)).labels)


def test_other_settings_need_another_folder(photos: Path, tmp_path: Path) -> None:
    images = images_in(photos)
    label_all(net(), images, tmp_path / "out")
    with pytest.raises(ValueError, match="holds what was made with other net; name another folder"):
        label_all(net(1), images, tmp_path / "out")
    with pytest.raises(ValueError, match="with other crf, scores"):
        label_all(net(), images, tmp_path / "out", CRFParams(), scores=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "p0.png").write_text("precious")
    with pytest.raises(ValueError, match="is there already and dlseg predict did not make it"):
        label_all(net(), images, tmp_path / "mine")
    (tmp_path / "out" / "job.json").write_text("[")
    with pytest.raises(ValueError, match=r"job.json' does not say what the folder holds"):
        label_all(net(), images, tmp_path / "out")


def test_a_damaged_image_stops_nothing(photos: Path, tmp_path: Path) -> None:
    (photos / "p1.png").write_bytes((photos / "p1.png").read_bytes()[:200])
    faults = label_all(net(), images_in(photos), tmp_path / "out")
    assert list(faults) == ["p1.png"] and "damaged or cut short" in faults["p1.png"]
    assert sorted(path.name for path in (tmp_path / "out").glob("*.png")) == ["p0.png", "p2.png"]


def test_folders_that_make_no_job(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="images: none in"):
        images_in(tmp_path / "empty")
    (photos / "p0.png").write_bytes((photos / "p1.png").read_bytes())
    with pytest.raises(ValueError, match="p0 is there with several endings"):
        images_in(photos)


def test_the_command(photos: Path, tmp_path: Path) -> None:
    weights = save_weights(net(), tmp_path / "net.safetensors")

    def run(*arguments: object) -> Result:
        return CliRunner().invoke(main, ["predict", *map(str, arguments), "--weights", str(weights)])

    done = run(photos, "--out", tmp_path / "out", "--overlay", "--scores", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {"images": 3, "labelled": 3, "out": str(tmp_path / "out"), "faults": {}}
    (photos / "p9.jpg").write_text("no picture")
    again = run(photos, "--out", tmp_path / "out", "--overlay", "--scores")
    assert again.exit_code == 1 and "3 of 4 images labelled\np9.jpg: image:" in again.stdout
    one = run(photos / "p0.jpg", "--out", tmp_path / "one.png", "--overlay", "--scores", "--tile", 2000)
    assert one.exit_code == 0 and {path.name for path in tmp_path.glob("one*")} == {
        "one.png",
        "one_overlay.png",
        "one.npz",
    }
    tiny = run(photos / "p0.jpg", "--out", tmp_path / "t.png", "--tile", 8)
    assert tiny.exit_code == 1 and "tile: got 8, expected at least" in tiny.output


def test_several_sources_at_once(photos: Path, tmp_path: Path) -> None:
    weights = save_weights(net(), tmp_path / "net.safetensors")

    def run(*arguments: object) -> Result:
        return CliRunner().invoke(main, ["predict", *map(str, arguments), "--weights", str(weights)])

    (tmp_path / "other" / "deep").mkdir(parents=True)
    picture = Image.open(photos / "p1.png")
    picture.save(tmp_path / "other" / "q.jp2")
    picture.save(tmp_path / "other" / "deep" / "p0.tif")
    (tmp_path / "other" / ".hidden.png").write_bytes(b"no picture")
    sources = (photos / "p1.png", photos / "p*.png", tmp_path / "other", photos / "p2.JPG")
    done = run(*sources, "--out", tmp_path / "out")
    assert done.exit_code == 0 and "3 of 3 images labelled" in done.output, done.output
    assert {path.name for path in (tmp_path / "out").glob("*.png")} == {"p1.png", "p2.png", "q.png"}
    for _ in range(2):  # the second time everything is there
        done = run(tmp_path / "other", photos, "--nested", "--out", tmp_path / "all")
        assert done.exit_code == 0 and "5 of 5 images labelled" in done.output, done.output
    assert {path.relative_to(tmp_path / "all").as_posix() for path in (tmp_path / "all").rglob("*.png")} == {
        "q.png",
        "deep/p0.png",
        "p0.png",
        "p1.png",
        "p2.png",
    }
    assert np.array_equal(read(tmp_path / "all" / "q.png"), read(tmp_path / "out" / "q.png"))


def test_equal_names_in_several_folders(photos: Path, tmp_path: Path) -> None:
    """By a pattern, as the shell spells it out, or by folder: each picture has a result of its own."""
    for folder in ("a", "b/c"):
        (photos / folder).mkdir(parents=True)
        for ending in ("jp2", "avif") if folder == "a" else ("jp2",):
            with Image.open(photos / "p1.png") as picture:
                picture.save(photos / folder / f"{ending}.{ending}")
    made = save_weights(net(), tmp_path / "net.safetensors")
    pictures = [photos / "a" / "jp2.jp2", photos / "b" / "c" / "jp2.jp2", photos / "a" / "avif.avif"]
    for number, sources in enumerate(([photos / "*" / "**" / "*"], pictures, [photos / "[ab]" / "**" / "*.[ja]*"])):
        arguments = [*map(str, sources), "--weights", str(made), "--out", str(tmp_path / str(number))]
        done = CliRunner().invoke(main, ["predict", *arguments])
        assert done.exit_code == 0 and "3 of 3 images labelled" in done.output, done.output
        results = sorted(
            path.relative_to(tmp_path / str(number)).as_posix() for path in tmp_path.glob(f"{number}/**/*.png")
        )
        assert results == ["a/avif.png", "a/jp2.png", "b/c/jp2.png"]


def test_sources_that_name_nothing(photos: Path, tmp_path: Path) -> None:
    weights = save_weights(net(), tmp_path / "net.safetensors")
    (tmp_path / "empty" / "inner").mkdir(parents=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "p0.png").write_bytes((photos / "p1.png").read_bytes())
    for sources, message in (
        ([photos / "x*.png"], "images: no file is called"),
        ([tmp_path / "empty"], "--nested looks into its folders, too"),
        ([photos / "p0.jpg", tmp_path / "other"], "results of p0.jpg and p0.png would both be called p0.png"),
        ([photos, "--out", photos / "p1.png"], "p1.png', a file, expected a folder for several images"),
    ):
        done = CliRunner().invoke(
            main,
            [
                "predict",
                *map(str, sources),
                "--weights",
                str(weights),
                *(["--out", str(tmp_path / "out")] if "--out" not in sources else []),
            ],
        )
        assert done.exit_code == 1 and message in done.output and "Traceback" not in done.output, done.output
