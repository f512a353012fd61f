"""A word of the glossary in JupyterLab: its sentence on hover, and the list at the end by the keyboard."""

from collections.abc import Callable

import pytest
from labdriver import Notebook, Settings

THEMES = [Settings(), pytest.param(Settings(subshells=False, dark=True), marks=pytest.mark.full)]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("settings", THEMES, ids=["light", "dark"])
def test_a_word_has_its_sentence_and_leads_to_the_list(
    open_notebook: Callable[..., Notebook], settings: Settings
) -> None:
    page = open_notebook("02_atrous.ipynb", settings).page
    words = page.locator(".jp-MarkdownOutput a:has(abbr)")
    word = words.get_by_text("hole algorithm", exact=True)
    sentence = word.locator("xpath=self::abbr | ./abbr").first.get_attribute("title")
    assert sentence and "Filtering with gaps" in sentence, "the page's cleaning of HTML keeps the sentence"
    assert "dotted" in word.locator("xpath=self::abbr | ./abbr").first.evaluate(
        "(e) => getComputedStyle(e).textDecorationStyle"
    )
    heading = page.get_by_role("heading", name="Words")
    assert words.count() > 10 and not _in_view(heading)
    words.first.focus()
    page.keyboard.press("Enter")
    page.wait_for_function("(e) => e.getBoundingClientRect().top < innerHeight", arg=heading.element_handle())
    assert page.locator("td").get_by_text("Filtering with gaps").count() == 1


def _in_view(heading: object) -> bool:
    return bool(heading.evaluate("(e) => e.getBoundingClientRect().top < innerHeight"))  # type: ignore[attr-defined]
