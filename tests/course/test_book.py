"""What the book shows of a notebook that was run: a page runs nothing, and a progress bar is its last line."""

import nbformat

from dlseg.course.book import VIEW, still, studio_of_the_course


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
