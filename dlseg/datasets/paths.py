"""Where data are: in the checkout's `data/`, and in a cache for what is made or downloaded."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_path

# dlseg/ lies beside data/ in a checkout; an installed copy has no data/ beside it
EMBEDDED = Path(__file__).resolve().parents[2] / "data"


def cache_folder() -> Path:
    """$DLSEG_CACHE, or the platform's cache folder."""
    if place := os.environ.get("DLSEG_CACHE"):
        return Path(place).expanduser()
    return user_cache_path("dlseg", appauthor=False)
