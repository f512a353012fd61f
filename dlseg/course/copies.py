"""The notebooks that come with dlseg, handed to a student."""

from __future__ import annotations

from pathlib import Path

from dlseg.common.files import write_whole
from dlseg.common.shipped import shipped


def copy_notebooks(folder: str | Path) -> tuple[list[Path], list[Path]]:
    """Copy the course's notebooks into `folder`, which is made where it is missing.

    What is there stays, so that a second call gives back a notebook that was lost and keeps those worked in.

    Args:
        folder: where they go.

    Returns:
        The notebooks written, and those that were there and are not as handed out: the student's own work.

    Raises:
        FileNotFoundError: dlseg was installed without its notebooks.
        NotADirectoryError: `folder` is a file.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     written, kept = copy_notebooks(place)
    ...     print(written[0].name, len(written), kept)
    00_tour.ipynb 7 []
    """
    place, originals = Path(folder), sorted(shipped("notebooks").glob("*.ipynb"))
    if not originals:
        raise FileNotFoundError(
            f"{shipped('notebooks')}: no notebooks came with this dlseg; install its whole wheel"
        )
    if place.exists() and not place.is_dir():
        raise NotADirectoryError(f"folder: {str(place)!r} is a file; name another place for the notebooks")
    place.mkdir(parents=True, exist_ok=True)
    written, kept = [], []
    for original in originals:
        target, text = place / original.name, original.read_bytes()
        if not target.exists():
            write_whole(target, text)
            written.append(target)
        elif not target.is_file() or target.read_bytes() != text:
            kept.append(target)
    return written, kept
