"""What the book shows of a notebook that was run: a page runs nothing, and a progress bar is its last line."""

from pathlib import Path

import nbformat

from dlseg.course.book import VIEW, still, studio_of_the_course
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
