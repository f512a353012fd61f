"""The words of the course: the first use in a notebook is marked, in prose alone, and every word is used."""

import re
from pathlib import Path

import nbformat
import pytest

from dlseg.course.book import _linked
from dlseg.course.build import build
from dlseg.course.glossary import ALL, OTHER, Entry, glossary, listed, marked, page, read_glossary
from dlseg.course.notebook_source import solved, solved_with_claims, sources, student

TAP = Entry("tap", ("tap", "taps"), "A weight of a filter.")
SCORE = Entry("score", ("score", "scores"), "What the network gives.")
MAP = Entry("score map", ("score map", "score maps"), "Scores at places.")
WORDS = (TAP, SCORE, MAP)
MARK = re.compile(r'\[<abbr title="([^"]*)">([^<]*)</abbr>\]\(#Words\)')
SOURCES = sources(Path(__file__).parents[2] / "notebooks")


def found(*texts: str) -> list[str]:
    """What is marked in a notebook's texts."""
    return [match[2] for text in marked(list(texts), WORDS)[0] for match in MARK.finditer(text)]


def test_the_first_use_alone_is_marked_in_the_whole_notebook() -> None:
    texts, used = marked(["No word. Two *taps*, a tap.", "Taps, and scores."], WORDS)
    assert texts[0] == 'No word. Two *[<abbr title="A weight of a filter.">taps</abbr>](#Words)*, a tap.'
    assert texts[1].startswith("Taps, and [<abbr")
    assert used == [TAP, SCORE]


def test_a_longer_word_is_no_use_of_the_shorter_one() -> None:
    assert found("A score map and a score\nmap.") == ["score map"]
    assert found("A score\nmap, then a Score.") == ["score\nmap", "Score"]
    assert found("A tape, a water-tap, tapping.") == []


@pytest.mark.parametrize(
    "text",
    [
        "# The tap",
        "`tap` and ``a tap``",
        "```\ntap\n```",
        "> ```\n> tap\n> ```",
        "~~~python\ntap = 1\n~~~",
        "text\n\n    tap = 1\n\n",
        "$w_{tap}$ and $$\\sum\ntap$$",
        "| tap | score |\n|---|---|\n| a tap | 1 |",
        "> | tap |\n> |---|",
        "[a tap](taps.md) and ![tap](tap.png) and [tap][1]",
        "<b class='tap'>",
        '<abbr title="tap">tap</abbr>',
        "see https://tap.org/tap or <https://tap.org>",
        "{{4 = tap}}",
    ],
)
def test_nothing_but_prose_is_marked(text: str) -> None:
    assert found(text) == []
    assert found(f"{text}\n\nProse with a tap.") == ["tap"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("%% tap\nOne.\n%% filter, Tap\nTwo.\n", r"got \['tap'\] twice"),
        ("%% tap\n", "expected a plain sentence"),
        ("%% tap\nA | b.\n", "expected a plain sentence"),
        ('%% tap\nA "weight".\n', "expected a plain sentence"),
        ("%% tap\nNo full stop\n", "expected a plain sentence"),
    ],
)
def test_a_damaged_glossary_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_glossary(text)


def test_a_word_with_two_meanings_is_marked_where_it_has_this_one(tmp_path: Path) -> None:
    text = "# %% [markdown]\n# The rate, and the rate.\n\n# %%\nrate = 1\n"
    notebooks = {}
    for name in ("02_filter", "04_learning"):
        (tmp_path / f"{name}.py").write_text(text)
        notebooks[name] = student(tmp_path / f"{name}.py")
    assert len(MARK.findall(notebooks["02_filter"].cells[0].source)) == 1
    assert notebooks["02_filter"].cells[-1].source.startswith("## Words")
    assert notebooks["02_filter"].cells[0].id == notebooks["04_learning"].cells[0].id
    assert [cell.source for cell in notebooks["04_learning"].cells] == ["The rate, and the rate.", "rate = 1"]


def test_every_word_of_the_glossary_is_used_by_a_notebook_and_listed_at_its_end() -> None:
    used = set[str]()
    for path in SOURCES:
        notebook = student(path)
        texts = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
        sentences = [match[1] for text in texts for match in MARK.finditer(text)]
        assert sentences and len(sentences) == len(set(sentences)), path.name
        (words,) = [text for text in texts if re.search("^## Words$", text, re.M)]
        assert all(f"| {sentence} |" in words for sentence in sentences), path.name
        assert ALL not in words
        used.update(sentences)
    assert [entry.word for entry in glossary() if entry.sentence not in used] == []


def test_marks_change_texts_alone() -> None:
    for path in SOURCES:
        bare = solved_with_claims(path)
        code = [cell.source for cell in bare.cells if cell.cell_type == "code" and "place" not in cell.metadata]
        assert [cell.source for cell in solved(path).cells if cell.cell_type == "code"] == code
        for cell in student(path).cells:
            if cell.cell_type == "markdown":
                prose = OTHER.sub("", MARK.sub("", cell.source))
                assert "abbr" not in prose, "a mark inside other mark-up"


def test_the_tour_and_the_book_list_all_words(tmp_path: Path) -> None:
    table = listed(glossary())
    assert any(table in cell.source for cell in student(SOURCES[0]).cells)
    assert page().startswith("# Glossary\n") and table in page()
    assert _linked("a [word](#Words)", tmp_path) == "a [word](#words)", "Sphinx names headings in small letters"


def test_no_word_is_explained_elsewhere_too(repo: Path) -> None:
    known = {form.lower() for entry in glossary() for form in entry.forms}
    for name in ("docs/architecture.md", "CONTRIBUTING.md"):
        text = (repo / name).read_text(encoding="utf-8").partition("## Words")[2].partition("\n## ")[0]
        rows = [row.split("|")[1] for row in text.splitlines() if row.startswith("| ")][1:]
        words = {word.strip() for row in rows for word in re.split("[,/]", row)}
        assert words and not words & known, name


def test_built_notebooks_are_valid_and_built_once(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "02_filter.py").write_text("# %% [markdown]\n# A tap.\n")
    (path,) = build(tmp_path)
    nbformat.validate(nbformat.read(path, as_version=4))
    assert build(tmp_path) == []


def test_what_a_notebook_links_to_in_the_library_comes_with_the_book(tmp_path: Path) -> None:
    linked = _linked("see [it](../dlseg/widgets/webpage/engine.js) and [that](../docs/tables.md)", tmp_path)
    assert linked == "see [it](engine.js) and [that](../tables.md)"
    assert "class DenseCRF" in (tmp_path / "engine.js").read_text(encoding="utf-8")
