"""A large file from one of several mirrors: resumed where it was cut off, taken for whole by its hash alone."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from filelock import FileLock
from tqdm.auto import tqdm
from urllib3.exceptions import ReadTimeoutError

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


class Fault(Exception):
    """What was wrong with one attempt at one mirror."""


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
            except Fault as fault:
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
            raise Fault(_words(error, timeout)) from error
    if wrong := wrong_hash(part, source.hashes):
        part.unlink()
        raise Fault(f"sent {wrong}; thrown away")


def _receive(url: str, source: Source, part: Path, have: int, timeout: float, progress: bool) -> None:
    with requests.Session() as session:
        session.max_redirects = REDIRECTS
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        with session.get(url, headers=headers, stream=True, timeout=timeout) as answer:
            have = _check_answer(answer, part, have)
            length = answer.headers.get("Content-Length", "")
            total = have + int(length) if length.isdigit() else source.size
            if source.size is not None and total != source.size:
                raise Fault(f"says that the file has {total} bytes, expected {source.size}")
            _check_room(part, (total or have) - have)
            _write(answer, part, have, total, source.file, progress)


def _check_answer(answer: requests.Response, part: Path, have: int) -> int:
    """How many bytes in `part` the answer goes on from."""
    if answer.status_code == RESUMED and have:
        begins = answer.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
        if begins != str(have):
            raise Fault(f"goes on from byte {begins or '?'}, was asked for {have}")
        return have
    if answer.status_code == FRESH:  # also where a mirror cannot resume
        return 0
    if answer.status_code == BEYOND:
        part.unlink(missing_ok=True)
        raise Fault("has no more bytes than came before, and they were not the file; begun anew")
    raise Fault(f"answers {answer.status_code} {answer.reason}")


def _check_room(part: Path, needed: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if needed > free:
        raise OSError(f"{part.parent}: {free / 1e9:.1f} GB free, {needed / 1e9:.1f} GB more are needed")


def _write(answer: requests.Response, part: Path, have: int, total: int | None, name: str, progress: bool) -> None:
    bar = tqdm(total=total, initial=have, unit="B", unit_scale=True, desc=name, disable=not progress)
    with bar, part.open("ab" if have else "wb") as file:
        for chunk in answer.iter_content(CHUNK):
            have += len(chunk)
            if total is not None and have > total:
                raise Fault(f"sends more than the {total} bytes that it should")
            file.write(chunk)
            bar.update(len(chunk))
    if total is not None and have < total:
        raise Fault(f"cut off after {have} of {total} bytes")


def wrong_hash(path: Path, hashes: Sequence[str]) -> str:
    """Words for the first hash of a file that is not as expected; nothing where all are right.

    Raises ValueError for a hash of an unknown kind.
    """
    for expected in hashes:
        kind, _, value = expected.partition(":")
        if kind not in ("md5", "sha1", "sha256", "sha512") or not value:
            raise ValueError(f"hash: got {expected!r}, expected md5:…, sha1:…, sha256:… or sha512:…")
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
