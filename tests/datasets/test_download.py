"""A server that does everything wrong: each fault is survived or named, and nothing half is taken for whole."""

import hashlib
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dlseg.datasets import download as module
from dlseg.datasets.download import Source, download

CONTENT = bytes(range(256)) * 40
SHA = "sha256:" + hashlib.sha256(CONTENT).hexdigest()
SIZE = len(CONTENT)


class Handler(BaseHTTPRequestHandler):
    """What is asked for says how it goes wrong."""

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers.get("Range")))
        getattr(self, "get_" + self.path.strip("/"))()

    def answer(self, body: bytes, length: int | None, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body)

    def rest(self) -> int:
        asked = self.headers.get("Range", "bytes=0-")
        return int(asked.removeprefix("bytes=").removesuffix("-"))

    def get_good(self) -> None:
        first = self.rest()
        if first >= SIZE:
            self.answer(b"", 0, 416)
        elif first:
            self.answer(CONTENT[first:], SIZE - first, 206, Content_Range=f"bytes {first}-{SIZE - 1}/{SIZE}")
        else:
            self.answer(CONTENT, SIZE)

    def get_norange(self) -> None:
        self.answer(CONTENT, SIZE)

    def get_nolength(self) -> None:
        self.answer(CONTENT, None)

    def get_truncated(self) -> None:  # at once, or a little further each time
        first = self.rest()
        self.answer(
            CONTENT[first : first + SIZE // 2],
            SIZE - first,
            206 if first else 200,
            Content_Range=f"bytes {first}-{SIZE - 1}/{SIZE}",
        )

    def get_silentlytruncated(self) -> None:
        self.answer(CONTENT[: SIZE // 2], None)

    def get_short(self) -> None:
        self.answer(CONTENT[: SIZE // 2], SIZE // 2)

    def get_long(self) -> None:
        self.answer(CONTENT + b"more", SIZE + 4)

    def get_sendsmore(self) -> None:
        self.answer(CONTENT + b"more", None)

    def get_corrupt(self) -> None:
        self.answer(CONTENT[:-1] + b"?", SIZE)

    def get_page(self) -> None:
        self.answer(b"<html>Please log in</html>", 26)

    def get_badrange(self) -> None:
        self.answer(CONTENT[7:], SIZE - 7, 206 if self.rest() else 200, Content_Range=f"bytes 7-{SIZE - 1}/{SIZE}")

    def get_stall(self) -> None:
        self.answer(CONTENT[: SIZE // 3], SIZE)
        self.wfile.flush()
        self.server.release.wait(5)

    def get_redirect(self) -> None:
        self.answer(b"", 0, 302, Location="/good")

    def get_loop(self) -> None:
        self.answer(b"", 0, 302, Location="/loop")

    def get_elsewhere(self) -> None:
        self.answer(b"", 0, 302, Location="file:///etc/passwd")

    def get_404(self) -> None:
        self.answer(b"gone", 4, 404)

    def get_503(self) -> None:
        self.answer(b"later", 5, 503)

    def get_busyonce(self) -> None:
        if len([path for path, _ in self.server.asked if path == "/busyonce"]) == 1:
            self.get_503()
        else:
            self.get_good()


@pytest.fixture(scope="module")
def server() -> Iterator[ThreadingHTTPServer]:
    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.release = threading.Event()
    made.asked = []
    made.daemon_threads = True
    thread = threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield made
    made.release.set()
    made.shutdown()
    made.server_close()


@pytest.fixture(autouse=True)
def no_proxy_no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(module.time, "sleep", lambda _: None)
    monkeypatch.setattr(module, "CHUNK", 1024)


def source(server: ThreadingHTTPServer, *paths: str, size: int | None = SIZE) -> Source:
    server.asked.clear()
    return Source("set.tar", tuple(f"http://127.0.0.1:{server.server_port}/{p}" for p in paths), (SHA,), size)


def get(server: ThreadingHTTPServer, folder: Path, *paths: str, size: int | None = SIZE, rounds: int = 1) -> Path:
    return download(source(server, *paths, size=size), folder, rounds=rounds, timeout=0.3, progress=False)


@pytest.mark.parametrize("path", ["good", "norange", "nolength", "redirect"])
@pytest.mark.parametrize("size", [SIZE, None])
def test_it_comes(server: ThreadingHTTPServer, tmp_path: Path, path: str, size: int | None) -> None:
    found = get(server, tmp_path / "new" / "folder", path, size=size)
    assert found.read_bytes() == CONTENT and not found.with_name("set.tar.part").exists()
    asked = len(server.asked)
    assert download(source(server, "404"), found.parent, progress=False) == found and not server.asked and asked


@pytest.mark.parametrize(
    ("path", "size", "message"),
    [
        ("404", SIZE, "answers 404"),
        ("503", SIZE, "answers 503"),
        ("stall", SIZE, "stalled: no byte for 0.3 s"),
        ("loop", SIZE, "redirects more than 5 times"),
        ("elsewhere", SIZE, "No connection adapters|InvalidSchema"),
        ("corrupt", SIZE, "sent 10240 bytes with sha256 .* thrown away"),
        ("short", SIZE, f"says that the file has 5120 bytes, expected {SIZE}"),
        ("long", SIZE, f"says that the file has 10244 bytes, expected {SIZE}"),
        ("page", SIZE, "says that the file has 26 bytes"),
        ("short", None, "sent 5120 bytes with sha256"),
        ("page", None, "sent 26 bytes with sha256"),
        ("sendsmore", SIZE, f"sends more than the {SIZE} bytes"),
        ("silentlytruncated", SIZE, f"cut off after 5120 of {SIZE} bytes"),
        ("silentlytruncated", None, "sent 5120 bytes with sha256"),
        ("truncated", None, "IncompleteRead|cut off"),
    ],
)
def test_a_fault_is_named_and_nothing_is_taken_for_whole(
    server: ThreadingHTTPServer, tmp_path: Path, path: str, size: int | None, message: str
) -> None:
    with pytest.raises(ConnectionError, match=f"set.tar: no mirror gave it in 1 rounds\n  http://127.*({message})"):
        get(server, tmp_path, path, size=size)
    assert not (tmp_path / "set.tar").exists()
    # and with a mirror that has it, or once this one has it, the same folder is made good
    assert get(server, tmp_path, path, "good", size=size).read_bytes() == CONTENT


def test_nobody_there(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/good"
        with pytest.raises(ConnectionError, match="refused"):
            download(Source("set.tar", (url,), (SHA,)), tmp_path, rounds=1, progress=False)


def test_it_goes_on_where_it_was_cut_off(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    assert get(server, tmp_path, "truncated", rounds=2).read_bytes() == CONTENT
    assert server.asked == [("/truncated", None), ("/truncated", f"bytes={SIZE // 2}-")]


def test_a_busy_mirror_is_tried_again(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    assert get(server, tmp_path, "404", "busyonce", rounds=2).read_bytes() == CONTENT


def test_a_mirror_that_goes_on_elsewhere_is_not_believed(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    (tmp_path / "set.tar.part").write_bytes(CONTENT[:100])
    with pytest.raises(ConnectionError, match="goes on from byte 7, was asked for 100"):
        get(server, tmp_path, "badrange")
    assert get(server, tmp_path, "good").read_bytes() == CONTENT


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kept=st.integers(0, SIZE + 50),
    damaged=st.booleans(),
    known=st.booleans(),
    path=st.sampled_from(["good", "norange", "truncated"]),
)
def test_any_left_over_part_ends_as_the_file(
    server: ThreadingHTTPServer, tmp_path: Path, kept: int, damaged: bool, path: str, known: bool
) -> None:
    """Right so far, damaged, complete or too long: what is there in the end is the file."""
    part = (CONTENT + bytes(50))[:kept]
    (tmp_path / "set.tar").unlink(missing_ok=True)
    (tmp_path / "set.tar.part").write_bytes(part[:-1] + b"\xff" if damaged and part else part)
    found = get(server, tmp_path, path, "good", size=SIZE if known else None, rounds=4)
    assert found.read_bytes() == CONTENT


def test_a_changed_file_is_fetched_again(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    (tmp_path / "set.tar").write_bytes(b"something else")
    assert get(server, tmp_path, "good").read_bytes() == CONTENT


def test_no_room(server: ThreadingHTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1000})())
    with pytest.raises(OSError, match=r"0\.0 GB free, what is still to come takes 0\.0 GB"):
        get(server, tmp_path, "good")
    assert not (tmp_path / "set.tar").exists()


def test_no_hash_no_download(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    url = source(server, "good").urls
    with pytest.raises(ValueError, match=r"set.tar: no hash of it is known.*give its hash as sha256"):
        download(Source("set.tar", url, ()), tmp_path)
    with pytest.raises(ValueError, match="hash: got 'crc:1', expected md5"):
        download(Source("set.tar", url, ("crc:1",)), tmp_path, progress=False)
    assert not (tmp_path / "set.tar").exists()


def test_every_hash_counts(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    right = "md5:" + hashlib.md5(CONTENT).hexdigest()
    urls = source(server, "good").urls
    assert download(Source("a", urls, (right, SHA)), tmp_path, progress=False).exists()
    with pytest.raises(ConnectionError, match="with md5"):
        download(Source("b", urls, (SHA, "md5:" + "0" * 32)), tmp_path, rounds=1, progress=False)
