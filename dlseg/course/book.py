"""The book: every notebook as handed out, executed, with the guides and the API reference, as one static site."""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from dlseg.common.files import write_whole
from dlseg.course import glossary
from dlseg.course.live import LiveExplorers, studio_of_the_course
from dlseg.course.notebook_source import execute, sources, student, text_of
from dlseg.widgets.display import VIEW

# of MathJax: what pages load, what formulas may yet ask for, and what its menu offers (speech in English, SVG)
MATHJAX = (
    *("tex-chtml.js", "extensions/*.js", "woff-v2/*.woff", "output/svg.js", "svg/fonts/tex.js"),
    *("a11y/*.js", "mathmaps/base.json", "mathmaps/en.json"),
)
PACKAGE = Path(__file__).parents[1]
STILL = re.compile(r'(?<=<div class="dlseg-still">)<div class="dlseg-figure">.*?</div>', re.DOTALL)


def build_book(
    notebooks: Path,
    docs: Path,
    out: Path,
    *,
    tell: Callable[[str], object] = print,
    only: tuple[str, ...] | None = None,
    iterations: int | None = None,
) -> Path:
    """Build the site into `out`/html; returns its first page.

    Executed notebooks are kept in `out`/executed and not run again while they are the same. `only` names the ones
    that are run (by their stems); the others stand in the book without results. Explorers move in the pages without
    Python; the training explorer shows a run of so many `iterations` (default: its own recipe's).

    Raises:
        RuntimeError: a notebook raised an error, or Sphinx did; the message ends with what was said.
    """
    pages = out / "pages"
    if pages.exists():
        shutil.rmtree(pages)
    shutil.copytree(docs, pages, ignore=shutil.ignore_patterns("_build"))
    (pages / "notebooks").mkdir()
    live = LiveExplorers(out / "executed") if iterations is None else LiveExplorers(out / "executed", iterations)
    for path in sources(notebooks):
        notebook = student(path)
        if only is None or path.stem in only:
            tell(f"running {path.stem}")
            notebook = _executed(notebook, out / "executed")
            still(notebook)
            tell(f"explorers of {path.stem}")
            set_live(notebook, path.stem, live)
        write_whole(pages / "notebooks" / f"{path.stem}.ipynb", _linked(text_of(notebook), pages / "notebooks"))
    write_whole(pages / "glossary.md", glossary.page())
    for page in pages.rglob("*.md"):
        text = page.read_text(encoding="utf-8").replace("](../notebooks/", "](notebooks/")
        write_whole(page, live.of_comment(text))
    tell("writing pages")
    run = subprocess.run(
        [
            *(sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going"),
            *("-b", "html", "-d", str(out / "doctrees"), str(pages), str(out / "html")),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        raise RuntimeError(f"Sphinx failed:\n{run.stdout[-2000:]}{run.stderr[-2000:]}")
    trim(out / "html")
    write_whole(out / "html" / "studio.html", studio_of_the_course())
    return out / "html" / "index.html"


def trim(site: Path) -> None:
    """Make the site smaller: without what no page loads; figures as WebP, without loss, where that is less.

    Args:
        site: the folder of the pages, which refer to the figures in `_images`.
    """
    mathjax = site / "_static" / "mathjax"
    for path in [*(site / "_static").rglob("*.map"), *mathjax.rglob("*")]:
        if path.is_file() and not any(path.match(pattern) for pattern in MATHJAX):
            path.unlink()
    for folder in sorted(mathjax.rglob("*"), reverse=True):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    smaller = dict[str, str]()
    for path in (site / "_images").glob("*.png"):
        stream = io.BytesIO()
        Image.open(path).save(stream, "WEBP", lossless=True)
        if len(stream.getvalue()) < path.stat().st_size:
            path.with_suffix(".webp").write_bytes(stream.getvalue())
            path.unlink()
            smaller[path.name] = path.with_suffix(".webp").name
    names = re.compile("|".join(map(re.escape, smaller)) or "(?!)")
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        write_whole(page, names.sub(lambda found: smaller[found[0]], text))


def _linked(text: str, folder: Path) -> str:
    """In the book the guides lie beside the notebooks' folder, and Sphinx names headings in small letters.

    Files of the library that a notebook links to are copied beside it: the site has its own.
    """

    def copied(found: re.Match[str]) -> str:
        file = PACKAGE / found[1]
        shutil.copyfile(file, folder / file.name)
        return f"]({file.name})"

    text = re.sub(r"\]\(\.\./dlseg/([^)#]+)\)", copied, text)
    return text.replace("](../docs/", "](../").replace(f"]{glossary.TARGET}", f"]{glossary.TARGET.lower()}")


def executed_copy(folder: Path, notebook: Any) -> Path:
    """Where `build_book` keeps a notebook after it ran; `folder` is its `out`/executed."""
    return folder / f"{hashlib.sha256(text_of(notebook).encode()).hexdigest()[:16]}.ipynb"


def _executed(notebook: Any, kept: Path) -> Any:
    import nbformat
    from nbclient.exceptions import CellExecutionError

    path = executed_copy(kept, notebook)
    if not path.is_file():
        kept.mkdir(parents=True, exist_ok=True)
        try:
            execute(notebook)
        except CellExecutionError as error:
            raise RuntimeError(str(error)) from error
        write_whole(path, json.dumps(notebook))
    return nbformat.read(path, as_version=4)


def still(notebook: Any) -> Any:
    """The notebook for a page that runs nothing: widgets are their stills, a progress bar is its last line."""
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        if "outputs" in cell:
            cell["outputs"] = _joined(cell["outputs"])
        for output in cell.get("outputs", ()):
            if "data" in output:
                output["data"].pop(VIEW, None)
            if output.output_type == "stream":
                output["text"] = "\n".join(line.rpartition("\r")[2] for line in output["text"].split("\n"))
    return notebook


def set_live(notebook: Any, stem: str, live: LiveExplorers) -> None:
    """Put an explorer that moves in the page where a cell shows a still of one."""
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            found = STILL.search(output.get("data", {}).get("text/html", ""))
            if found is None:
                continue
            image = found[0]
            parts = live.of_cell(stem, cell.source, image)
            if parts is not None:
                output["data"] = {"text/html": parts}
                break


def _joined(outputs: list[Any]) -> list[Any]:
    """A stream that came in pieces is one: a progress bar's pieces write over each other."""
    found: list[Any] = []
    for output in outputs:
        last = found[-1] if found else {}
        if output["output_type"] == "stream" and output["name"] == last.get("name"):
            last["text"] += output["text"]
        else:
            found.append(output)
    return found
