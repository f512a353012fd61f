"""Typical wrong answers, written down in wrong/*.py: cells headed `# %% id · what is wrong · N points`."""

import re
from pathlib import Path
from typing import NamedTuple

HEAD = re.compile(r"# %% (\S+) · ([^·\n]+?)(?: · (\d+) points?)?\n")
IMPORTS = "import numpy as np\nimport scipy.ndimage\nimport torch\n"


class Wrong(NamedTuple):
    """A typical wrong answer, and the points it earns all the same."""

    what: str
    text: str
    points: int


def wrong_answers() -> dict[str, list[Wrong]]:
    """Exercise id → its wrong answers."""
    found: dict[str, list[Wrong]] = {}
    for path in sorted((Path(__file__).parent / "wrong").glob("*.py")):
        _, *parts = HEAD.split(path.read_text(encoding="utf-8"))
        for name, what, points, text in zip(*(parts[i::4] for i in range(4)), strict=True):
            found.setdefault(name, []).append(Wrong(what, text, int(points or 0)))
    return found
