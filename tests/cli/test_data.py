"""`dlseg data make` and `dlseg data check`, as a user meets them."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dlseg.cli import main
from dlseg.common.files import tree_hash
from dlseg.datasets import shapes, voc

SMALL = ["--train", "3", "--val", "2", "--jobs", "1"]


def dlseg(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["data", *map(str, arguments)])


def start(out: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "dlseg", "data", "make", "shapes", "--out", str(out), *arguments]
    root = str(Path(shapes.__file__).parents[3])
    environment = {**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    )


def half_way(process: subprocess.Popen[str], out: Path) -> None:
    """Wait until some pictures are written, and not all."""
    for _ in range(6000):
        if process.poll() is not None or len(list(out.parent.glob(f".{out.name}.part-*/JPEGImages/*.jpg"))) > 3:
            break
        time.sleep(0.05)
    assert process.poll() is None and not out.exists()


def test_make_prints_the_hash(tmp_path: Path) -> None:
    first = dlseg("make", "shapes", "--out", tmp_path / "a", *SMALL)
    assert first.exit_code == 0, first.output
    assert f"tree hash {tree_hash(tmp_path / 'a')}" in first.output
    assert f"3 train and 2 val pictures in {tmp_path / 'a'}" in first.output
    again = dlseg("make", "shapes", "--out", tmp_path / "a", *SMALL)
    assert again.exit_code == 0 and again.stdout == first.stdout


def test_make_defaults_to_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLSEG_CACHE", str(tmp_path / "cache"))
    assert dlseg("make", "shapes", "--seed", "4", *SMALL).exit_code == 0
    assert [p.name for p in (tmp_path / "cache").iterdir()] == [shapes.folder_name(4, 3, 2)]


def test_two_at_once(tmp_path: Path) -> None:
    out = tmp_path / "set"
    running = [start(out, "--train", "30", "--val", "5", "--jobs", jobs) for jobs in ("1", "2")]
    printed = [process.communicate(timeout=300) for process in running]
    assert [process.returncode for process in running] == [0, 0], printed
    hashes = {re.findall(r"tree hash (\w+)", stdout)[0] for stdout, _ in printed}
    assert hashes == {tree_hash(out)}


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_killed_run_is_made_good(tmp_path: Path, jobs: str) -> None:
    out = tmp_path / "set"
    running = start(out, "--train", "60", "--val", "5", "--jobs", jobs)
    half_way(running, out)
    running.send_signal(signal.SIGKILL)
    running.wait(timeout=300)  # not for its pipes to end: its idle workers hold them a little longer
    for pipe in (running.stdout, running.stderr):
        assert pipe is not None
        pipe.close()
    assert not out.exists()
    # what the workers of the killed run may still write must not end up in the new one
    assert dlseg("make", "shapes", "--out", out, "--train", "60", "--val", "5", "--jobs", "2").exit_code == 0
    time.sleep(0.5)
    shapes.make(tmp_path / "calm", train=60, val=5, jobs=2, progress=False)
    assert tree_hash(out) == tree_hash(tmp_path / "calm")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["calm", "set"]


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_control_c_leaves_nothing_that_looks_whole(tmp_path: Path, jobs: str) -> None:
    out = tmp_path / "set"
    running = start(out, "--train", "60", "--val", "5", "--jobs", jobs)
    half_way(running, out)
    os.killpg(running.pid, signal.SIGINT)
    _, stderr = running.communicate(timeout=300)
    assert running.returncode == 1 and "Aborted!" in stderr and "Traceback" not in stderr
    assert not out.exists()


def test_one_clear_error_each(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter").touch()
    dlseg("make", "shapes", "--out", tmp_path / "made", *SMALL)
    cases = {
        ("--out", str(tmp_path / "file" / "x")): "cannot write to",
        ("--out", str(tmp_path / "file")): "is a file",
        ("--out", str(tmp_path / "mine")): "is not empty, and nothing that was made here before",
        ("--out", str(tmp_path / "made"), "--seed", "9"): "was made with other settings",
        ("--out", str(tmp_path / "x"), "--jobs", "0"): "jobs: got 0, expected a number of processes",
        ("--out", str(tmp_path / "x"), "--seed", "-1"): "is not in the range",
        ("--out", str(tmp_path / "x"), "--train", "0"): "is not in the range",
    }
    for arguments, message in cases.items():
        result = dlseg("make", "shapes", *SMALL, *arguments)
        assert result.exit_code != 0 and message in result.stderr, arguments
        assert "Traceback" not in result.output
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["letter"]


def test_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    if os.access(closed, os.W_OK):
        pytest.skip("this user may write anywhere")
    result = dlseg("make", "shapes", "--out", closed / "set", *SMALL)
    assert result.exit_code == 1 and f"cannot write to {closed} (Permission denied)" in result.stderr


def test_check_of_a_clean_folder(tmp_path: Path) -> None:
    shapes.make(tmp_path / "set", train=3, val=2, jobs=1, progress=False)
    result = dlseg("check", tmp_path / "set")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert (lines[0], lines[-1]) == (f"{tmp_path / 'set'}: 13 classes; lists: train 3, val 2", "no fault")
    assert lines[1].startswith("train: 3 labels: background ") and lines[2].startswith("val: 2 labels: background ")


def test_check_names_faults_and_fails(tmp_path: Path) -> None:
    root = tmp_path / "set"
    shapes.make(root, train=3, val=2, jobs=1, progress=False)
    voc.image_path(root, "shapes_val_00001").unlink()
    voc.label_path(root, "shapes_val_00002").write_text("no picture")
    result = dlseg("check", root)
    assert result.exit_code == 1
    assert "fault: JPEGImages/shapes_val_00001.jpg: " in result.stdout
    assert "fault: SegmentationClass/shapes_val_00002.png: is not an image file that can be read" in result.stdout
    assert result.stdout.endswith("2 faults\n")
    as_json = dlseg("check", root, "--json")
    report = json.loads(as_json.stdout)
    assert as_json.exit_code == 1 and report["ok"] is False and len(report["faults"]) == 2
    assert set(report) == {"folder", "num_classes", "lists", "faults", "notes", "labels", "ok"}
    assert report["faults"][0]["file"] == "JPEGImages/shapes_val_00001.jpg"


def test_check_takes_the_number_of_classes(tmp_path: Path) -> None:
    shapes.make(tmp_path / "set", train=8, val=2, jobs=1, progress=False)
    assert dlseg("check", tmp_path / "set", "--classes", "2").exit_code == 1
    assert dlseg("check", tmp_path / "set", "--classes", "300").stderr.startswith(
        "Error: num_classes: got 300, expected a whole number from 2 to 255"
    )


def test_check_of_nothing(tmp_path: Path) -> None:
    result = dlseg("check", tmp_path / "none")
    assert result.exit_code == 1 and "no such folder" in result.stderr


def test_check_of_real_voc(samples: Path) -> None:
    result = dlseg("check", samples / "voc", "--json")
    assert result.exit_code == 0 and json.loads(result.stdout)["lists"] == {"train": 60, "val": 20}
