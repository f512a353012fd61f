"""The README's story of CamVid, in small: drawn streets in its layout, described, checked, trained on, measured."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from click.testing import CliRunner

from dlseg.cli import main
from dlseg.datasets import load
from dlseg.datasets.describe import CAMVID


@pytest.fixture(scope="module")
def streets() -> ModuleType:
    """`benchmarks/camvid_layout.py`, which draws them."""
    file = Path(__file__).resolve().parents[2] / "benchmarks" / "camvid_layout.py"
    spec = importlib.util.spec_from_file_location("camvid_layout", file)
    assert spec is not None and spec.loader is not None
    sys.path.insert(0, str(file.parent))
    try:
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(file.parent))
    return module


def dlseg(*arguments: object) -> str:
    done = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.mark.parametrize("unlabelled", [11, 255])
def test_the_three_commands(
    streets: ModuleType, unlabelled: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DLSEG_CACHE", str(tmp_path / "cache"))
    root, weights, best = tmp_path / "CamVid", tmp_path / "camvid.safetensors", tmp_path / "crf.json"
    streets.make(root, {"train": 4, "val": 2, "test": 2}, size=(90, 120), unlabelled=unlabelled)
    described = root / "dataset.json"
    if unlabelled == 11:
        dlseg("data", "describe", root, "--out", described)
    else:  # nothing says that these are CamVid's classes
        splits = {split: {"images": split, "labels": f"{split}annot"} for split in ("train", "val", "test")}
        described.write_text(json.dumps({"classes": CAMVID, "splits": splits}))
    description = json.loads(described.read_text())
    for split in ("train", "val", "test"):  # the lists of two columns hold the same pictures as the folders
        description["splits"][split]["list"] = f"{split}.txt"
    described.write_text(json.dumps(description))
    for split, count in (("train", 4), ("val", 2), ("test", 2)):
        data = load(root, split)
        assert (len(data), data.classes, data.labelled) == (count, CAMVID, True)
        assert all({255} < set(np.unique(sample.label)) <= {*range(11), 255} for sample in data)
    assert dlseg("data", "check", root).splitlines()[-1] == "no fault"

    small = ["--init", "none", "--width", 1 / 16, "--batch", 2, "--iterations", 1]
    dlseg("train", "--data", root, "--out", weights, *small)
    space = ["--w1", 4, "--sigma-alpha", 20, "--sigma-beta", "5,10", "--halvings", 0, "--moves", 0, "--jobs", 1]
    table = dlseg("crf", "search", "--data", root, "--weights", weights, "--best", best, *space)
    assert "no CRF" in table or "without" in table, table
    found = json.loads(
        dlseg("evaluate", "--data", root, "--split", "test", "--weights", weights, "--crf-params", best, "--json")
    )
    for summary in (found, found["without_crf"]):
        assert 0 <= summary["mean_iou"] <= 1 and set(summary["iou"]) == set(CAMVID)
    assert found["crf"]["sigma_beta"] in (5, 10) and found["void_share"] > 0
