"""The words of the course, a sentence each: shown where a notebook first uses a word, and listed at its end.

`glossary.txt` has a block for each word. A block begins with `%% word, other form, …`. A line `in: 02 03` names the
notebooks in which the word has this meaning; without it, all have. The rest is the sentence.

In a notebook, the first use of a word in the text becomes a link to the list at the notebook's end (so that the
keyboard reaches it), with the sentence as its title (so that it shows when the mouse rests on the word).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_suffix(".txt")
HEADING = "Words"
TARGET = f"(#{HEADING})"  # where every marked word leads
ALL = "{{glossary}}"  # in a source: the list of all words stands here, in place of the notebook's own at its end
ABOVE_PAGE = "In the notebooks, the first use of each has a dotted line and shows its sentence."
ABOVE = "A word with a dotted line is explained here; the sentence also shows when the mouse rests on the word."

# what is no prose: code, formulas, headings, rows of tables, links, pictures, addresses, HTML, claims
OTHER = re.compile(
    r"""
    ^[ ]{0,3}\#[^\n]*
  | ^[ ]*(?:>[ ]?)*\|[^\n]*
  | ^[ ]*(?:>[ ]?)*(?P<fence>```|~~~).*?(?:(?P=fence)|\Z)
  | ^(?:[ ]{4}|\t)[^\n]*
  | (?P<ticks>`+).*?(?P=ticks)
  | \$\$.*?\$\$
  | (?<!\\)\$[^$]+\$
  | !?\[[^\]]*\](?:\([^)]*\)|\[[^\]]*\])
  | <abbr\b.*?</abbr>
  | </?[a-zA-Z][^>]*>
  | <?https?://[^\s>]+>?
  | \{\{.*?\}\}
    """,
    re.MULTILINE | re.DOTALL | re.VERBOSE,
)


@dataclass(frozen=True)
class Entry:
    """A word of the course.

    Attributes:
        word: as the list has it.
        forms: all its forms in texts, the word first.
        sentence: what it means.
        notebooks: the numbers (`"02"`) of the notebooks in which it has this meaning; none: all.
    """

    word: str
    forms: tuple[str, ...]
    sentence: str
    notebooks: tuple[str, ...] = ()


def read_glossary(text: str) -> tuple[Entry, ...]:
    """The entries of a file, in the order of the alphabet.

    Raises:
        ValueError: a word without a sentence, one that stands twice, or a sentence that would break its mark-up.

    >>> read_glossary("%% tap, taps\\nin: 02\\nA weight of a filter.\\n")
    (Entry(word='tap', forms=('tap', 'taps'), sentence='A weight of a filter.', notebooks=('02',)),)
    """
    found, known = [], set[str]()
    for block in re.split(r"^%% *", text, flags=re.MULTILINE)[1:]:
        head, *lines = (line.strip() for line in block.strip().splitlines())
        forms = tuple(form.strip() for form in head.split(","))
        places = [line.removeprefix("in:") for line in lines if line.startswith("in:")]
        sentence = " ".join(line for line in lines if line and not line.startswith("in:"))
        if twice := known.intersection(form.lower() for form in forms):
            raise ValueError(f"glossary: got {sorted(twice)} twice, expected each form of a word once")
        if not sentence.endswith(".") or re.search(r'[|`$\[\]<>*_&"]', sentence):
            raise ValueError(f"{forms[0]}: got {sentence!r}, expected a plain sentence without mark-up")
        known.update(form.lower() for form in forms)
        found.append(Entry(forms[0], forms, sentence, tuple(" ".join(places).split())))
    return tuple(sorted(found, key=lambda entry: entry.word.lower()))


@cache
def glossary() -> tuple[Entry, ...]:
    """The words of the course."""
    return read_glossary(FILE.read_text(encoding="utf-8"))


def page() -> str:
    """The list of all words, as a page of the book in Markdown."""
    return f"# Glossary\n\nThe words of the course, a sentence each. {ABOVE_PAGE}\n\n{listed(glossary())}\n"


def listed(entries: Iterable[Entry]) -> str:
    """A table of words in Markdown.

    >>> print(listed([Entry("tap", ("tap",), "A weight of a filter.")]))
    | word | what it means here |
    |---|---|
    | tap | A weight of a filter. |
    """
    rows = [f"| {entry.word} | {entry.sentence} |" for entry in entries]
    return "\n".join(["| word | what it means here |", "|---|---|", *rows])


def marked(texts: list[str], entries: Iterable[Entry]) -> tuple[list[str], list[Entry]]:
    """Texts of a notebook, in order, with the first use of each word marked.

    Args:
        texts: Markdown. Only prose is marked: no code, formula, heading, row of a table, link or other mark-up.
        entries: the words.

    Returns:
        The texts with marks, and the entries whose words were found, in the order of `entries`.

    >>> marked(["# Tap\\nThe `tap`, a tap."], [Entry("tap", ("tap",), "A weight.")])[0]
    ['# Tap\\nThe `tap`, a [<abbr title="A weight.">tap</abbr>](#Words).']
    """
    entries = list(entries)
    by_form = {form.lower(): entry for entry in entries for form in entry.forms}
    if not by_form:
        return list(texts), []
    # the longest first: "score map" is no use of "score"
    forms = "|".join(_pattern(form) for form in sorted(by_form, key=len, reverse=True))
    search = re.compile(rf"{OTHER.pattern}|(?<![\w-])(?P<form>{forms})(?![\w-])", OTHER.flags | re.IGNORECASE)
    seen = set[Entry]()

    def mark(match: re.Match[str]) -> str:
        if match["form"] is None:
            return match[0]
        entry = by_form[" ".join(match[0].lower().split())]
        if entry in seen:
            return match[0]
        seen.add(entry)
        return f'[<abbr title="{entry.sentence}">{match[0]}</abbr>]{TARGET}'

    return [search.sub(mark, text) for text in texts], [entry for entry in entries if entry in seen]


def _pattern(form: str) -> str:
    return r"\s+".join(re.escape(part) for part in form.split())


def with_words(notebook: Any, number: str) -> Any:
    """Mark the words of a notebook, in place, and list them at its end (all of them where its text says `ALL`).

    Cells that a student writes in stay as they are, and all cells keep their ids.

    Args:
        notebook: nbformat's, with ids.
        number: of the notebook, `"02"`.
    """
    import nbformat

    texts = [cell for cell in notebook.cells if cell.cell_type == "markdown" and "nbgrader" not in cell.metadata]
    entries = [entry for entry in glossary() if not entry.notebooks or number in entry.notebooks]
    written, used = marked([cell.source for cell in texts], entries)
    for cell, text in zip(texts, written, strict=True):
        cell.source = text.replace(ALL, f"{ABOVE}\n\n{listed(glossary())}")
    if used and not any(ALL in text for text in written):
        text = f"## {HEADING}\n{ABOVE}\n\n{listed(used)}"
        notebook.cells.append(nbformat.v4.new_markdown_cell(text, id="words"))
    return notebook
