"""Where PASCAL VOC 2012 and SBD can be had, as far as it is known, and how a broken one is told from a whole one.

The official VOC server has answered no stranger since November 2025; it stays last in the list in case it comes
back. The SHA-1 is the one that "Dive into Deep Learning" and GluonCV publish, the MD5s are torchvision's.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from dlseg.datasets.archives import unpack
from dlseg.datasets.download import Source, download

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
    if name not in KNOWN:
        raise ValueError(f"name: got {name!r}, expected one of {', '.join(KNOWN)}")
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
