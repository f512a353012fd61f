"""Which submissions read alike once names, spaces and comments are gone: a hint to look, never a verdict."""

from __future__ import annotations

import keyword
import re
import zlib
from collections import Counter, defaultdict
from itertools import combinations

TOKEN = re.compile(r"[A-Za-z_]\w*|\d+(?:\.\d+)?|[^\s\w]")
COMMENT = re.compile(r"#[^\n]*")
KEYWORDS = set(keyword.kwlist) | {"range", "len", "sum"}
WINDOW = 12
FREQUENT = 0.5


def fingerprint(sources: list[str]) -> set[int]:
    """Hashes of all runs of WINDOW tokens; every name that is no keyword counts as the same."""
    prints: set[int] = set()
    for source in sources:
        tokens = [_plain(token) for token in TOKEN.findall(COMMENT.sub("", source))]
        runs = (" ".join(tokens[i : i + WINDOW]) for i in range(len(tokens) - WINDOW + 1))
        prints |= {zlib.crc32(run.encode(errors="replace")) for run in runs}
    return prints


def _plain(token: str) -> str:
    return "n" if (token[0].isalpha() or token[0] == "_") and token not in KEYWORDS else token


def alike(prints: dict[str, set[int]], share: float = 0.8) -> list[tuple[str, str, float]]:
    """Pairs that share at least `share` of their code, the most alike first.

    What more than half of all submissions hold (handed-out code, the obvious way) is not counted.
    """
    spread = Counter(value for values in prints.values() for value in values)
    limit = max(2, FREQUENT * len(prints))
    own = {name: {v for v in values if spread[v] <= limit} for name, values in prints.items()}
    shared: Counter[tuple[str, str]] = Counter()
    holders: dict[int, list[str]] = defaultdict(list)
    for name, values in sorted(own.items()):
        for value in values:
            holders[value].append(name)
    for names in holders.values():
        shared.update(combinations(names, 2))
    found = [(a, b, n / len(own[a] | own[b])) for (a, b), n in shared.items() if n >= 2]
    return sorted((pair for pair in found if pair[2] >= share), key=lambda pair: -pair[2])
