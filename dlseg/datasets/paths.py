"""Where data are: in the `data/` that comes with dlseg, and in a cache for what is made or downloaded."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_path

from dlseg.common.shipped import shipped

EMBEDDED = shipped("data")


def cache_folder() -> Path:
    """$DLSEG_CACHE, or the platform's cache folder."""
    if place := os.environ.get("DLSEG_CACHE"):
        return Path(place).expanduser()
    return user_cache_path("dlseg", appauthor=False)
