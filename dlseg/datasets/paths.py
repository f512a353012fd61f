"""Where data are: in the `data/` that comes with dlseg, and in a cache for what is made or downloaded."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from platformdirs import user_cache_path

from dlseg.common.shipped import shipped

EMBEDDED = shipped("data")


def cache_folder() -> Path:
    """$DLSEG_CACHE, or the platform's cache folder; a temporary one for a user without a home (in a container).

    >>> isinstance(cache_folder(), Path)
    True
    """
    if place := os.environ.get("DLSEG_CACHE"):
        return Path(place).expanduser()
    try:
        return user_cache_path("dlseg", appauthor=False)
    except RuntimeError:  # no HOME, and the system knows no user of this number
        return Path(tempfile.gettempdir()) / "dlseg"
