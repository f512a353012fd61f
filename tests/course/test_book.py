"""What the book shows of a notebook that was run: a page runs nothing, and a progress bar is its last line."""

from pathlib import Path

import nbformat
import numpy as np
from PIL import Image

from dlseg.course.book import VIEW, still, studio_of_the_course, trim
from dlseg.course.live import LiveExplorers


def test_a_progress_bar_is_its_last_line() -> None:
    pieces = ["\r  0%|   | 0/2", "\r 50%|#  | 1/2", "\r100%|###| 2/2\n", "done\n"]
    outputs = [nbformat.v4.new_output("stream", name="stdout", text=piece) for piece in pieces]
    picture = nbformat.v4.new_output("display_data", {VIEW: {}, "image/png": "x"})
    again = nbformat.v4.new_output("stream", name="stdout", text="later\n")
    cell = nbformat.v4.new_code_cell("run()", outputs=[*outputs, picture, again])
    notebook = still(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("text"), cell]))
    first, second, third = notebook.cells[1].outputs
    assert first["text"] == "100%|###| 2/2\ndone\n" and third["text"] == "later\n"
    assert second["data"] == {"image/png": "x"}


def test_the_book_has_a_studio_that_moves() -> None:
    page = studio_of_the_course()
    assert "startStudio(" in page and '"truth": "' in page
    assert len(page) < 1_500_000  # bytes beyond the book's own pages


def test_the_training_run_is_kept_whatever_page_it_is_for(tmp_path: Path) -> None:
    live = LiveExplorers(tmp_path, iterations=1)
    first = live.training("<img src='a'>", "explorer-1")
    (kept,) = tmp_path.iterdir()
    made = kept.stat().st_mtime_ns
    second = live.training("<img src='b'>", "explorer-2")
    assert [kept.stat().st_mtime_ns] == [path.stat().st_mtime_ns for path in tmp_path.iterdir()] == [made]
    assert (
        "<img src='a'>" in first
        and "explorer-1" in first
        and "@" not in first.partition("<script>")[0].partition("</style>")[2]
    )
    assert second == first.replace("<img src='a'>", "<img src='b'>").replace("explorer-1", "explorer-2")


def test_the_site_keeps_what_its_pages_load_and_its_figures_pixels(tmp_path: Path) -> None:
    """A figure is WebP where that is smaller; noise, which it cannot make smaller, may stay."""
    files = ("tex-chtml.js", "tex-svg-full.js", "sre/mathmaps/en.json", "sre/mathmaps/hi.json", "node/main.js")
    for name in files:
        path = tmp_path / "_static" / "mathjax" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("a = 1")
    (tmp_path / "_static" / "theme.js.map").write_text("{}")
    (tmp_path / "_images").mkdir()
    figure = np.full((90, 120, 3), 255, np.uint8)
    figure[20:50, 10:100] = 40, 90, 200
    Image.fromarray(figure).save(tmp_path / "_images" / "one.png")
    (tmp_path / "page.html").write_text('<img src="_images/one.png"> <a href="else.png">')
    trim(tmp_path)
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    mathjax = {f"_static/mathjax/{name}" for name in ("tex-chtml.js", "sre/mathmaps/en.json")}
    assert left == {*mathjax, "_images/one.webp", "page.html"}
    assert (tmp_path / "page.html").read_text() == '<img src="_images/one.webp"> <a href="else.png">'
    assert np.array_equal(np.asarray(Image.open(tmp_path / "_images" / "one.webp").convert("RGB")), figure)
    assert not (tmp_path / "_static" / "mathjax" / "node").exists()
