"""`dlseg evaluate` from a network, from result files, and into the folders of VOC's server."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from dlseg.cli import main
from dlseg.datasets import load, voc
from dlseg.networks import create, save_weights
from dlseg.predict.evaluate import evaluate, export_results, score_results


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["evaluate", *map(str, arguments)])


def test_results_score_as_the_network_does(small_set: Callable[[int], Path], tmp_path: Path) -> None:
    root = small_set(4)
    told = run("--data", root, "--crf", "--export", tmp_path, "--json")
    assert told.exit_code == 0, told.output
    folder = tmp_path / "results" / "VOC2012" / "Segmentation" / "comp6_val_cls"
    assert "4 results in" in told.stderr and len(list(folder.glob("*.png"))) == 4
    direct = json.loads(run("--data", root, "--crf", "--json").stdout)
    for found in (json.loads(told.stdout), json.loads(run("--data", root, "--results", folder, "--json").stdout)):
        assert found["mean_iou"] == direct["mean_iou"] and found["trimap_mean_iou"] == direct["trimap_mean_iou"]
    with Image.open(next(folder.glob("*.png"))) as result:
        assert result.mode == "P" and result.getpalette()[:9] == voc.palette()[:3].ravel().tolist()


def test_missing_results_are_an_error(small_set: Callable[[int], Path], tmp_path: Path) -> None:
    data = load(small_set(4), "val")
    for i, sample in enumerate(data):
        if i:
            labels = np.where(sample.label == 255, 0, sample.label).astype(np.uint8)
            voc.write_indices(labels, tmp_path / f"{sample.name}.png")
    with pytest.raises(FileNotFoundError, match=rf"results: 1 of 4 are missing in .*: {data.names[0]}.png"):
        score_results(tmp_path, data)
    path = tmp_path / f"{data.names[0]}.png"
    voc.write_indices(np.zeros((5, 7), np.uint8), path)
    with pytest.raises(ValueError, match="got 7×5 pixels, expected 128×128"):
        score_results(tmp_path, data)
    voc.write_indices(np.full((128, 128), 13, np.uint8), path)
    with pytest.raises(ValueError, match=rf"{data.names[0]}.png: got the values \[13\], expected a class from 0"):
        score_results(tmp_path, data)
    voc.write_indices(np.zeros((128, 128), np.uint8), path)
    score = score_results(tmp_path, data)
    assert 0 < score.whole.mean_iou("nan") < 1
    assert score.whole.counts.sum() == sum((s.label != 255).sum() for s in data)


def test_results_of_an_unlabelled_split(small_set: Callable[[int], Path], tmp_path: Path) -> None:
    root = small_set(3)
    for path in (root / "SegmentationClass").iterdir():
        path.unlink()
    net = create("deeplab-largefov", 13, 1 / 16)
    weights = save_weights(net, tmp_path / "net.safetensors")
    told = run("--data", root, "--weights", weights, "--export", tmp_path / "out", "--only-voc")
    folder = tmp_path / "out" / "results" / "VOC2012" / "Segmentation" / "comp5_val_cls"
    assert told.exit_code == 0 and told.stdout == "" and len(list(folder.iterdir())) == 3
    names = sorted(folder.iterdir())
    names[0].unlink()
    before = names[1].stat().st_mtime_ns
    export_results(net, load(root, "val"), tmp_path / "out", "val", own_data=False)
    assert names[0].exists() and names[1].stat().st_mtime_ns == before
    other = create("deeplab-largefov", 13, 1 / 16)
    with pytest.raises(ValueError, match="holds what was made with other net"):
        export_results(other, load(root, "val"), tmp_path / "out", "val", own_data=False)
    with pytest.raises(ValueError, match="has no labels to compare with"):
        evaluate(net, load(root, "val"))


def test_formats_and_the_papers_trimap(small_set: Callable[[int], Path]) -> None:
    root = small_set(2)
    text = run("--data", root, "--trimap").stdout
    assert "paper: DeepLab-CRF" in text and "within 40 px" in text and "mean accuracy" in text
    rows = list(csv.reader(io.StringIO(run("--data", root, "--crf", "--format", "csv").stdout)))
    assert rows[0] == ["measure", "network", "with CRF"] and rows[1][0] == "mean IoU" and 0 < float(rows[1][1]) < 1
    assert run("--data", root, "--format", "latex").stdout.startswith("network & ")
    assert run("--data", root, "--format", "markdown").stdout.startswith("| per cent | network |")


def test_bands_that_stay_empty_are_explained(small_set: Callable[[int], Path]) -> None:
    root, words = small_set(2), "have no void pixels (value 255), and the bands near boundaries are measured around"
    assert words not in run("--data", root).stderr
    for path in (root / "SegmentationClass").iterdir():
        label = voc.read_indices(path)
        voc.write_indices(np.where(label == 255, 0, label).astype(np.uint8), path)
    told = run("--data", root, "--json")
    assert told.exit_code == 0 and words in told.stderr
    assert json.loads(told.stdout)["void_share"] == 0
    assert set(json.loads(told.stdout)["trimap_mean_iou"].values()) == {None}
    told = run("--data", root, "--json", "--band", "edges")
    assert told.exit_code == 0 and words not in told.stderr
    found = json.loads(told.stdout)
    assert found["band"] == "edges" and all(0 < share < 1 for share in found["trimap_mean_iou"].values())
    told = run("--data", root, "--trimap", "--band", "edges")
    assert told.exit_code == 0 and "within 40 px" in told.stdout and "paper" not in told.stdout
