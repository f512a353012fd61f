"""`dlseg crf search` as a user types it."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from dlseg.cli import main
from dlseg.crf import CRFParams

BOX = ["--subset", "3", "--sigma-alpha", "10:10:20", "--sigma-beta", "10", "--moves", "0", "--jobs", "1"]


def run(*args: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in ("crf", "search", *args)], catch_exceptions=False)


def test_a_search_is_written_down_and_goes_on_from_its_log(tmp_path: Path) -> None:
    files = {
        option: tmp_path / name
        for option, name in (
            ("--table", "t.csv"),
            ("--figure", "f.png"),
            ("--best", "b.json"),
            ("--log", "log.jsonl"),
        )
    }
    arguments = [*BOX, *(word for pair in files.items() for word in pair), "--json"]
    first = run(*arguments)
    assert first.exit_code == 0, first.output
    report = json.loads(first.stdout)
    assert report["trials"][0]["params"] is None and len(report["trials"]) == 5
    best = CRFParams.from_json(files["--best"].read_text())
    assert best == CRFParams(**report["best"]["params"])
    assert best.sigma_alpha in (10, 20) and best.sigma_beta == 10
    assert len(files["--table"].read_text().splitlines()) == 6
    with Image.open(files["--figure"]) as picture:
        assert min(picture.size) > 300
    log = files["--log"].read_bytes()
    assert json.loads(run(*arguments).stdout) == report
    assert files["--log"].read_bytes() == log


def test_dry_run_only_tells_the_cost(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    result = run(*BOX, "--dry-run", "--log", log)
    assert result.exit_code == 0 and "4 settings × 3 images, 2 lattices" in result.stdout
    assert not log.exists()


def test_score_maps_from_a_folder(tmp_path: Path) -> None:
    from dlseg.datasets import load

    data = load("shapes", "val")
    for name in data.names:
        np.savez(tmp_path / f"{name}.npz", logits=np.zeros((data.num_classes, 4, 4), np.float16))
    result = run(*BOX, "--scores", tmp_path)
    assert result.exit_code == 0, result.output
    assert "no CRF" in result.stdout and "no setting does better" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--table", "t.doc"], "--table: got 't.doc'"),
        (["--figure", "no/such/f.png"], "--figure: no folder"),
        (["--sigma-alpha", "a"], "expected numbers as 5,10"),
        (["--sigma-beta", "0"], "sigma_beta: got"),
        (["--data", "nowhere"], "nowhere"),
        (["--kernel", "no"], "kernel: got 'no'"),
        (["--jobs", "0"], "jobs: got 0"),
        (["--w1", "5,5"], "w1: got"),
        (["--scheduler", "tcp://127.0.0.1:1"], "127.0.0.1:1"),
    ],
)
def test_mistakes_are_one_line(arguments: list[str], words: str) -> None:
    if "--scheduler" in arguments:
        pytest.importorskip("distributed", reason="dask and distributed are not installed")
    result = run(*BOX, *arguments)
    assert result.exit_code != 0
    assert words in result.output
    assert "Traceback" not in result.output
