"""Which picture a canvas shows where the page's previews and the kernel's answers come in any order."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dlseg.widgets.explorer import clean

if TYPE_CHECKING:
    from playwright.sync_api import Page

# A drag over settings 1 … steps. Previews and the kernel's answers come in their own order, some never; the kernel
# always answers the last. Returns what was shown, as [number, "page" or "kernel"].
DRAG = """({source, seed, steps}) => {
  const makeNewest = new Function(`${source}; return makeNewest;`)();
  let state = seed;
  const random = () => (state = (Math.imul(state, 1103515245) + 12345) >>> 0) / 2 ** 32;
  const newest = makeNewest(() => {}), shown = [], page = [], kernel = [];
  const settings = (n) => [n, 50, 10, 3, 3, 10];
  const come = (queue, who, takes) => {
    const n = queue.splice(0, 1 + Math.floor(random() * queue.length)).at(-1);
    if (n !== undefined && takes(settings(n))) shown.push([n, who]);
  };
  for (let n = 1; n <= steps; n++) {
    newest.ask({settings: settings(n), alive: true});
    page.push(n);
    kernel.push(n);
    if (random() < 0.6) come(page, "page", newest.previews);
    if (random() < 0.3) come(kernel, "kernel", newest.takes);
  }
  const waited = newest.waits();
  while (page.length || kernel.length) {
    if (random() < 0.5) come(page, "page", newest.previews); else come(kernel, "kernel", newest.takes);
  }
  return {shown, waited, waits: newest.waits(), words: newest.words()};
}"""


@pytest.fixture(scope="module")
def source(repo: Path) -> str:
    return (repo / "dlseg" / "widgets" / "newest.js").read_text(encoding="utf-8")


def test_nothing_jumps_back_and_the_kernel_has_the_last_word(page: Page, source: str) -> None:
    for seed in range(200):
        found: dict[str, Any] = page.evaluate(DRAG, {"source": source, "seed": seed, "steps": 12})
        numbers = [number for number, _ in found["shown"]]
        assert numbers == sorted(numbers), found
        assert found["shown"][-1] == [12, "kernel"], found
        assert not found["waits"] and found["words"] == "", found
        for (number, who), (after, then) in zip(found["shown"], found["shown"][1:], strict=False):
            assert not (number == after and who == "kernel" and then == "page"), f"an answer gave way: {found}"


def test_what_is_said_of_a_silent_kernel(page: Page, source: str) -> None:
    said: list[Any] = page.evaluate(
        """async (source) => {
            const makeNewest = new Function(`${source}; return makeNewest;`)();
            const newest = makeNewest(() => said.push(newest.words())), said = [], now = [1, 2, 3, 4, 5, 6];
            newest.ask({settings: now, alive: true});
            await new Promise((then) => setTimeout(then, 1500));
            newest.takes(now);
            said.push(newest.words());
            newest.ask({settings: [2, 2, 3, 4, 5, 6], alive: false});
            newest.takes([9, 2, 3, 4, 5, 6]);
            newest.clear();
            said.push(newest.takes([9, 2, 3, 4, 5, 6]));
            return said;
        }""",
        source,
    )
    assert said == [
        "",
        "preview …",
        "preview by the page: the kernel has not answered yet",
        "",
        "preview by the page: the kernel is gone, run the cell again",
        True,
    ]


def test_the_kernel_keeps_six_digits_of_what_a_slider_says(page: Page, source: str) -> None:
    """A logarithmic slider's values have many more."""
    values = [10 ** (k / 20) for k in range(60)] + [12.345496, 1.0000049999]
    known: list[bool] = page.evaluate(
        """({source, pairs}) => pairs.map(([value, kept]) => {
            const newest = new Function(`${source}; return makeNewest;`)()(() => {}), rest = [3, 3, 3, 3, 10];
            newest.ask({settings: [value, ...rest], alive: true});
            newest.takes([kept, ...rest]);
            return newest.waits();
        })""",
        {"source": source, "pairs": [[value, clean(value)] for value in values]},
    )
    assert not any(known)
