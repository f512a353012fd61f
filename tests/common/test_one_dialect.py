"""Error messages of the library have one form: `name: got X, expected Y`."""

import re
from pathlib import Path

import dlseg

REVERSED = re.compile(r'"[^"\n]*: expected [^"\n]*[,;] got ')


def test_what_was_given_comes_before_what_was_expected() -> None:
    root = Path(dlseg.__file__).parent
    found = [
        f"{path.relative_to(root)}: {line.strip()}"
        for path in sorted(root.rglob("*.py"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if REVERSED.search(line)
    ]
    assert not found, found
