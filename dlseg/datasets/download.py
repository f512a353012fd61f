"""PASCAL VOC 2012 and SBD from the net: where they are, how they come whole, and how they are unpacked.

A download goes on where it was cut off, tries one mirror after the other, and is taken for whole by its hash alone.
The official VOC server has answered no stranger since November 2025; it stays last in the list in case it comes
back. The SHA-1 is the one that "Dive into Deep Learning" and GluonCV publish, the MD5s are torchvision's.
"""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
import tarfile
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from filelock import FileLock
from tqdm.auto import tqdm
from urllib3.exceptions import ReadTimeoutError

from dlseg.common.checks import message, one_of
from dlseg.common.files import make_whole

CHUNK = 1 << 16  # also what is lost at most when a connection breaks
REDIRECTS = 5
RESUMED, FRESH, BEYOND = 206, 200, 416  # HTTP's partial content, OK, range not satisfiable


@dataclass(frozen=True)
class Source:
    """A file on the net.

    Attributes:
        file: what it is called here.
        urls: mirrors, tried in this order.
        hashes: "sha1:…", "md5:…" or "sha256:…"; all of them must be right, and there must be one.
        size: in bytes, where it is known.
    """

    file: str
    urls: tuple[str, ...]
    hashes: tuple[str, ...]
    size: int | None = None


VOC2012 = Source(
    "VOCtrainval_11-May-2012.tar",
    (
        "http://d2l-data.s3-accelerate.amazonaws.com/VOCtrainval_11-May-2012.tar",
        "http://pjreddie.com/media/files/VOCtrainval_11-May-2012.tar",
        "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar",
    ),
    ("sha1:4e443f8a2eca6b1dac8a6c57641b67dd40621a49", "md5:6cd6e144f989b92b3379bac3b3de84fd"),
    1_999_639_040,
)
SBD = Source(
    "benchmark.tgz",
    ("https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/semantic_contours/benchmark.tgz",),
    ("md5:82b4d87ceb2ed10f6038a1cba92111cb",),
)
# what is asked for -> (source, the folder in its archive, where it goes in the cache)
KNOWN = {
    "voc2012": (VOC2012, "VOCdevkit", "VOCdevkit"),
    "sbd": (SBD, "benchmark_RELEASE", "benchmark_RELEASE"),
}


class MirrorFault(Exception):
    """What was wrong with one attempt at one mirror."""


def fetch(
    name: str,
    folder: Path,
    *,
    mirrors: tuple[str, ...] = (),
    hashes: tuple[str, ...] = (),
    timeout: float = 30.0,
    keep: bool = False,
    progress: bool = True,
) -> Path:
    """Download and unpack "voc2012" or "sbd" into `folder`; returns its place there. What is there is left.

    Args:
        name: what to get.
        folder: the cache.
        mirrors: addresses to try first.
        hashes: instead of the known ones.
        timeout: see `download`.
        keep: keep the archive after it was unpacked.
        progress: show a progress bar.

    Raises:
        ValueError: no such name, a hash that is none, a damaged archive. See `download` and `unpack` for more.
    """
    one_of("name", name, tuple(KNOWN))
    source, inside, place = KNOWN[name]
    if mirrors or hashes:
        source = dataclasses.replace(
            source,
            urls=(*mirrors, *source.urls),
            hashes=hashes or source.hashes,
            size=None if hashes else source.size,
        )
    out = folder / place
    if not out.exists():
        archive = download(source, folder / "downloads", timeout=timeout, progress=progress)
        unpack(archive, out, inside, source.file)
        if not keep:
            archive.unlink()
    return out


def download(
    source: Source,
    folder: str | Path,
    *,
    rounds: int = 3,
    timeout: float = 30.0,
    progress: bool = True,
) -> Path:
    """The file, whole and with the right hash, in `folder`; not fetched again where it is there.

    What has arrived is kept as NAME.part; the next attempt, of this run or another one, goes on from there.

    Args:
        source: mirrors, hash and size.
        folder: made where it is missing.
        rounds: how often every mirror is tried.
        timeout: seconds without a byte after which a mirror counts as stalled.
        progress: show a progress bar.

    Raises:
        ValueError: no hash is known, so nothing could be told from a damaged or foreign file.
        ConnectionError: no mirror gave the file; the message names every mirror's fault.
        OSError: the disk has no room for it, or the folder cannot be written.
    """
    if not source.hashes:
        raise ValueError(
            f"{source.file}: no hash of it is known, and without one it is not downloaded; give its "
            "hash as sha256:… if you have it from somebody you trust"
        )
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    target, part = folder / source.file, folder / f"{source.file}.part"
    with FileLock(folder / f".{source.file}.lock"):
        if not target.exists() or wrong_hash(target, source.hashes):
            _from_mirrors(source, part, rounds, timeout, progress)
            part.replace(target)
    return target


def _from_mirrors(source: Source, part: Path, rounds: int, timeout: float, progress: bool) -> None:
    """Fill `part`, or raise ConnectionError with what every mirror did wrong."""
    faults: dict[str, str] = {}
    for turn in range(rounds):
        if turn:
            time.sleep(min(turn, timeout / 10))
        for url in source.urls:
            try:
                _fetch(url, source, part, timeout, progress)
                return
            except MirrorFault as fault:
                faults[url] = str(fault)
    named = "".join(f"\n  {url}: {what}" for url, what in faults.items())
    raise ConnectionError(f"{source.file}: no mirror gave it in {rounds} rounds{named}")


def _fetch(url: str, source: Source, part: Path, timeout: float, progress: bool) -> None:
    """Go on with `part` from one mirror and check it; a wrong one is thrown away."""
    have = part.stat().st_size if part.exists() else 0
    if source.size is None or have < source.size:
        try:
            _receive(url, source, part, have, timeout, progress)
        except requests.RequestException as error:
            raise MirrorFault(_words(error, timeout)) from error
    if wrong := wrong_hash(part, source.hashes):
        part.unlink()
        raise MirrorFault(f"sent {wrong}; thrown away")


def _receive(url: str, source: Source, part: Path, have: int, timeout: float, progress: bool) -> None:
    with requests.Session() as session:
        session.max_redirects = REDIRECTS
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        with session.get(url, headers=headers, stream=True, timeout=timeout) as answer:
            have = _check_answer(answer, part, have)
            length = answer.headers.get("Content-Length", "")
            total = have + int(length) if length.isdigit() else source.size
            if source.size is not None and total != source.size:
                raise MirrorFault(f"says that the file has {total} bytes, expected {source.size}")
            check_room(part.parent, (total or have) - have, "what is still to come takes")
            _write(answer, part, have, total, source.file, progress)


def _check_answer(answer: requests.Response, part: Path, have: int) -> int:
    """How many bytes in `part` the answer goes on from."""
    if answer.status_code == RESUMED and have:
        begins = answer.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
        if begins != str(have):
            raise MirrorFault(f"goes on from byte {begins or '?'}, was asked for {have}")
        return have
    if answer.status_code == FRESH:  # also where a mirror cannot resume
        return 0
    if answer.status_code == BEYOND:
        part.unlink(missing_ok=True)
        raise MirrorFault("has no more bytes than came before, and they were not the file; begun anew")
    raise MirrorFault(f"answers {answer.status_code} {answer.reason}")


def check_room(folder: Path, needed: int, what: str) -> None:
    """Raise OSError where a disk has not `needed` bytes left; `what` says what needs them."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OSError(f"{folder}: {free / 1e9:.1f} GB free, {what} {needed / 1e9:.1f} GB")


def _write(answer: requests.Response, part: Path, have: int, total: int | None, name: str, progress: bool) -> None:
    bar = tqdm(total=total, initial=have, unit="B", unit_scale=True, desc=name, disable=not progress)
    with bar, part.open("ab" if have else "wb") as file:
        for chunk in answer.iter_content(CHUNK):
            have += len(chunk)
            if total is not None and have > total:
                raise MirrorFault(f"sends more than the {total} bytes that it should")
            file.write(chunk)
            bar.update(len(chunk))
    if total is not None and have < total:
        raise MirrorFault(f"cut off after {have} of {total} bytes")


def wrong_hash(path: Path, hashes: Sequence[str]) -> str:
    """Words for the first hash of a file that is not as expected; nothing where all are right.

    Raises ValueError for a hash of an unknown kind.
    """
    for expected in hashes:
        kind, _, value = expected.partition(":")
        if kind not in ("md5", "sha1", "sha256", "sha512") or not value:
            raise ValueError(message("hash", repr(expected), "md5:…, sha1:…, sha256:… or sha512:…"))
        with path.open("rb") as file:
            found = hashlib.file_digest(file, _maker(kind)).hexdigest()
        if found != value.lower():
            return f"{path.stat().st_size} bytes with {kind} {found}, expected {value}"
    return ""


def _maker(kind: str) -> Callable[[], Any]:
    return lambda: hashlib.new(kind, usedforsecurity=False)


def _words(error: Exception, timeout: float) -> str:
    """What happened, from the last, telling part of what requests and urllib3 pack into each other."""
    if isinstance(error, requests.TooManyRedirects):
        return f"redirects more than {REDIRECTS} times"
    while error.args and isinstance(error.args[0], Exception):
        error = error.args[0]
    if isinstance(error, requests.Timeout | ReadTimeoutError):
        return f"stalled: no byte for {timeout:g} s"
    return f"{type(error).__name__}: {error}"


def unpack(archive: Path, out: Path, inside: str, name: str) -> None:
    """Put the folder `inside` of a tar archive at `out`, whole or not at all; nothing where it was put before.

    Members with absolute paths, with `..`, links that lead outside and devices make the whole archive refused
    (Python's "data" filter).

    Args:
        archive: a tar file, compressed or not.
        out: the folder to be.
        inside: the folder in the archive that becomes `out`.
        name: of what this is, noted in `out`.

    Raises:
        ValueError: damaged, cut short, without `inside`, or with a member that reaches outside.
        FileExistsError: `out` is something else.
        OSError: the disk has no room.
    """

    def fill(draft: Path) -> None:
        whole = draft / ".archive"
        try:
            with tarfile.open(archive) as tar:
                check_room(draft, sum(member.size for member in tar.getmembers()), "the archive unpacks to")
                tar.extractall(whole, filter="data")
        except tarfile.FilterError as error:
            raise ValueError(f"{archive}: refused, since a member reaches outside ({error})") from error
        except (tarfile.TarError, EOFError, zlib.error) as error:
            raise ValueError(f"{archive}: not a whole tar archive ({error})") from error
        if not (whole / inside).is_dir():
            there = ", ".join(sorted(path.name for path in whole.iterdir())) or "nothing"
            raise ValueError(f"{archive}: no folder {inside!r} in it, but {there}")
        for path in (whole / inside).iterdir():
            path.rename(draft / path.name)
        shutil.rmtree(whole)

    make_whole(out, {"archive": name, "folder": inside}, fill)
