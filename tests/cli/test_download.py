"""`dlseg data download` and `merge` from a server on this machine to a data set that loads."""

import functools
import hashlib
import io
import tarfile
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from dlseg.cli import main
from dlseg.datasets import load, voc
from dlseg.datasets.voc2012 import LENGTHS


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A server of tmp_path/served; the cache is tmp_path/cache."""
    (tmp_path / "served").mkdir()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("DLSEG_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("DLSEG_VOC", raising=False)
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(tmp_path / "served")))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def png(label: np.ndarray, folder: Path) -> bytes:
    voc.write_indices(label, folder / "label.png")
    return (folder / "label.png").read_bytes()


def pack(path: Path, files: dict[str, bytes], mode: str) -> str:
    with tarfile.open(path, mode) as tar:
        for name, body in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(body)
            tar.addfile(member, io.BytesIO(body))
    return "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["data", *map(str, arguments)])


def test_from_the_net_to_a_training_set(tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    buffer, label, base = io.BytesIO(), np.ones((5, 7), np.uint8), "VOCdevkit/VOC2012"
    Image.fromarray(np.zeros((5, 7, 3), np.uint8)).save(buffer, "JPEG")
    files = {f"{base}/JPEGImages/{n}.jpg": buffer.getvalue() for n in "abc"}
    files |= {f"{base}/SegmentationClass/{n}.png": png(label, tmp_path) for n in "ab"}
    files |= {f"{base}/ImageSets/Segmentation/{s}.txt": n for s, n in {"train": b"a\n", "val": b"b\n"}.items()}
    right = pack(tmp_path / "served" / "voc.tar", files, "w")
    mirrors = [part for name in ("none", "voc") for part in ("--mirror", f"{address}/{name}.tar")]
    told = run("download", "voc2012", *mirrors, "--hash", right)
    assert told.exit_code == 0, told.output
    assert not list((tmp_path / "cache" / "downloads").glob("VOC*"))
    theirs = {
        "benchmark_RELEASE/dataset/cls/c.png": png(label * 2, tmp_path),
        "benchmark_RELEASE/dataset/train.txt": b"c\n",
        "benchmark_RELEASE/dataset/val.txt": b"",
    }
    right = pack(tmp_path / "served" / "sbd.tgz", theirs, "w:gz")
    assert run("download", "sbd", "--mirror", f"{address}/sbd.tgz", "--hash", right).exit_code == 0
    merged = run("merge", "--jobs", 1)
    assert "train_aug: 2 images in" in merged.output and "(the published one has 10582)" in merged.output
    monkeypatch.setitem(LENGTHS, "train_aug", 2)
    assert [int(s.label.max()) for s in load("voc2012-aug", "train")] == [1, 2]
    assert run("download", "voc2012").exit_code == 0  # there already: nothing is asked of anybody


def test_what_is_known_is_shown_and_nothing_fetched() -> None:
    shown = run("download", "voc2012", "--list").stdout.splitlines()
    assert shown[:3] == [
        "VOCtrainval_11-May-2012.tar, 1,999,639,040 bytes",
        "sha1:4e443f8a2eca6b1dac8a6c57641b67dd40621a49",
        "md5:6cd6e144f989b92b3379bac3b3de84fd",
    ]
    assert len(shown) == 6 and all(line.startswith("http") for line in shown[3:])


def test_a_wrong_archive_is_an_error_of_one_line(tmp_path: Path, address: str) -> None:
    """The right hash is known, and this is not it; the mirrors that are really known are not asked in a test."""
    pack(tmp_path / "served" / "voc.tar", {"VOCdevkit/x": b"x"}, "w")
    hashed = pack(tmp_path / "served" / "evil.tar", {"VOCdevkit/../../../evil": b"x"}, "w")
    refused = run("download", "voc2012", "--mirror", f"{address}/evil.tar", "--hash", hashed)
    assert refused.exit_code == 1 and "refused, since a member reaches outside" in refused.output
    assert "Traceback" not in refused.output and not (tmp_path / "cache" / "VOCdevkit").exists()
    assert not list(tmp_path.rglob("evil"))
    nothing = run("merge")
    assert nothing.exit_code == 1 and "voc2012: not found" in nothing.output
