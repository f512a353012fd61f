"""What `dlseg crf tune` reads, and what it says where it cannot. (The page itself: tests/browser/test_page.py.)"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from dlseg.cli import main
from dlseg.predict.score_files import read_scores
from dlseg.widgets import standalone_page
from dlseg.widgets.studio.engine import SCRIBBLE_NAMES

LOGITS = np.random.default_rng(0).normal(size=(3, 5, 6)).astype(np.float16)
LARGE = (
    torch.nn.functional.interpolate(
        torch.from_numpy(LOGITS.astype(np.float32))[None],
        (20, 24),
        mode="bilinear",
        align_corners=False,
    )[0]
    .softmax(0)
    .numpy()
)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What would be served."""
    calls: list[dict[str, Any]] = []

    def serve(
        image: np.ndarray,
        params: str,
        classes: list[str],
        kernel: str,
        arrays: dict[str, np.ndarray],
        **options: Any,
    ) -> None:
        calls.append({"image": image, "params": params, "classes": classes, "kernel": kernel, **arrays, **options})

    monkeypatch.setattr(standalone_page, "serve", serve)
    return calls


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    Image.new("RGB", (24, 20), (90, 120, 80)).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def tune(*arguments: object) -> str:
    return CliRunner().invoke(main, ["crf", "tune", *map(str, arguments)], catch_exceptions=False).output


def test_logits_are_enlarged_and_named_files_are_read(
    photo: Path, tmp_path: Path, served: list[dict[str, Any]]
) -> None:
    np.savez(tmp_path / "s.npz", logits=LOGITS, size=(20, 24))
    (tmp_path / "p.json").write_text('{"w1": 7}')
    assert (
        tune(
            photo,
            "--scores",
            tmp_path / "s.npz",
            "--crf-params",
            tmp_path / "p.json",
            "--classes",
            "a, b,c",
            "--kernel",
            "local",
            "--no-browser",
        )
        == ""
    )
    (given,) = served
    assert np.allclose(given["probs"], LARGE, atol=1e-6)  # rounding of one bilinear sum and softmax
    assert given["classes"] == ["a", "b", "c"] and '"w1": 7' in given["params"]
    assert (given["kernel"], given["port"], given["browser"]) == ("local", 8866, False)


def test_probabilities_of_full_size_are_taken_as_they_are(tmp_path: Path) -> None:
    np.savez(tmp_path / "s.npz", probs=LARGE)
    assert np.array_equal(read_scores(tmp_path / "s.npz", (20, 24)), LARGE)
    np.save(tmp_path / "s.npy", LOGITS)
    assert np.allclose(read_scores(tmp_path / "s.npy", (20, 24)), LARGE, atol=1e-6)


def test_twenty_one_classes_are_vocs_and_a_network_brings_its_own(
    photo: Path, tmp_path: Path, served: list[dict[str, Any]]
) -> None:
    np.savez(tmp_path / "s.npz", logits=np.zeros((21, 3, 3), np.float32))
    tune(photo, "--scores", tmp_path / "s.npz")
    tune(photo, "--weights", "shapes")
    assert served[0]["classes"][1] == "aeroplane" and served[1]["classes"][0] == "background"
    assert served[1]["probs"].shape == (len(served[1]["classes"]), 20, 24)


def test_without_scores_there_are_scribbles_to_draw_or_to_read(
    photo: Path, tmp_path: Path, served: list[dict[str, Any]]
) -> None:
    tune(photo)
    drawn = np.full((20, 24), 255, np.uint8)
    drawn[3], drawn[9] = 0, 1
    picture = Image.fromarray(drawn, "P")
    picture.putpalette([0] * 768)
    picture.save(tmp_path / "drawn.png")
    tune(photo, "--scribbles", tmp_path / "drawn.png", "--classes", "ground,cat")
    assert (served[0]["scribbles"] == 255).all() and served[0]["classes"] == list(SCRIBBLE_NAMES)
    assert np.array_equal(served[1]["scribbles"], drawn) and served[1]["classes"] == ["ground", "cat"]


def test_what_is_wrong_is_one_line(photo: Path, tmp_path: Path, served: list[dict[str, Any]]) -> None:
    np.savez(tmp_path / "other.npz", other=LOGITS)
    np.save(tmp_path / "flat.npy", LOGITS[0])
    (tmp_path / "text.npy").write_text("no numbers")
    Image.new("P", (4, 4)).save(tmp_path / "small.png")
    good = tmp_path / "good.npy"
    np.save(good, LOGITS)
    for arguments, message in [
        (("--scores", good, "--weights", "shapes"), "got --scores and --weights, expected one of them"),
        (
            ("--scribbles", tmp_path / "small.png"),
            "scribbles: got uint8 (4, 4), expected whole numbers",
        ),
        (("--scores", tmp_path / "none.npz"), "does not exist"),
        (("--scores", tmp_path / "other.npz"), "holds other, expected probs or logits"),
        (("--scores", tmp_path / "flat.npy"), "expected floats (C, h, w)"),
        (("--scores", tmp_path / "text.npy"), "no .npy or .npz file of numbers"),
        (("--scores", good, "--truth", tmp_path / "small.png"), "truth: got shape (4, 4), expected shape (20, 24)"),
        (("--scores", good, "--kernel", "gauss"), "'gauss' is not one of"),
    ]:
        output = tune(photo, *arguments)
        assert message in output and "Traceback" not in output, output
    assert not served


def test_shapes_weights_on_a_photograph_are_warned_of(
    photo: Path, tmp_path: Path, served: list[dict[str, Any]]
) -> None:
    """On the page and on standard error; a scene of the shapes' size is what they know."""
    runner = CliRunner()
    result = runner.invoke(main, ["crf", "tune", str(photo), "--weights", "shapes", "--no-browser", "--dark"])
    assert result.exit_code == 0, result.output
    warning = "weights: got 'shapes', trained on drawn shapes of 128×128 pixels, for a picture of 24×20"
    assert warning in served[0]["note"] and warning in result.stderr
    assert served[0]["title"] == f"CRF studio: {photo.name}" and served[0]["dark"]
    scene = tmp_path / "scene.png"
    Image.new("RGB", (128, 128)).save(scene)
    assert "warning" not in runner.invoke(main, ["crf", "tune", str(scene), "--weights", "shapes"]).stderr
    assert served[1]["note"] == "" and served[1]["dark"] is None
