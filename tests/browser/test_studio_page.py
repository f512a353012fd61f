"""The studio as one HTML file: opened from the disk, with no server, no network and no Python behind it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from dlseg.crf import CRFParams, DenseCRF
from dlseg.widgets.webpage import studio_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PARAMS = CRFParams(5, 30, 12, 3, 1)
CLASSES = ["background", "cat </script>", "dog"]
READY = "window.dlsegStudio && dlsegStudio.result() && dlsegStudio.idle()"


def problem() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two coloured discs on noise; the network sees them blurred and shifted."""
    rng = np.random.default_rng(3)
    ys, xs = np.mgrid[:60, :80]
    truth = np.zeros((60, 80), np.uint8)
    image = rng.integers(150, 200, (60, 80, 3))
    probs = np.full((3, 60, 80), 0.3)  # of background; the discs follow
    for label, (y, x, colour) in {1: (28, 22, (190, 60, 40)), 2: (32, 58, (40, 70, 190))}.items():
        disc = (ys - y) ** 2 + (xs - x) ** 2 < 15**2
        truth[disc] = label
        image[disc] = np.array(colour) + rng.integers(-25, 25, (int(disc.sum()), 3))
        probs[label] = 0.05 + 0.9 * np.exp(-((ys - y - 3) ** 2 + (xs - x - 3) ** 2) / 300)
    truth[29:31, 40] = 255
    return image.astype(np.uint8), (probs / probs.sum(0)).astype(np.float32), truth


@pytest.fixture
def page(chromium: Browser, tmp_path: Path) -> Iterator[Page]:
    image, probs, truth = problem()
    path = tmp_path / "a folder, ärger" / "studio.html"
    path.parent.mkdir()
    path.write_text(studio_page(image, probs, CLASSES, truth, PARAMS, title="Two discs"), encoding="utf-8")
    context = chromium.new_context(viewport={"width": 1280, "height": 720}, offline=True, reduced_motion="reduce")
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda line: wrong.append(line.text) if line.type == "error" else None)
    page.goto(path.as_uri())
    page.wait_for_function(READY)
    yield page
    context.close()
    assert not wrong


def labels(page: Page) -> np.ndarray:
    page.wait_for_function(READY)
    found: list[int] = page.evaluate("Array.from(dlsegStudio.result().labels)")
    return np.array(found).reshape(page.evaluate("[dlsegStudio.result().height, dlsegStudio.result().width]"))


def wanted(**changed: Any) -> np.ndarray:
    image, probs, _ = problem()
    from dataclasses import replace

    # the page carries probabilities in half precision
    return DenseCRF(image, probs=probs.astype(np.float16).astype(np.float32)).label(replace(PARAMS, **changed))


def test_first_picture_is_the_librarys(page: Page) -> None:
    assert (labels(page) == wanted()).mean() >= 0.999
    assert page.title() == "Two discs"
    # 100 % but for a few pixels: what the page measures is what is in the picture
    assert float(page.locator("table tr").last.locator("td").nth(1).text_content() or "0") > 90


def test_a_slider_by_keyboard_moves_the_picture(page: Page) -> None:
    page.locator("#studio-sigma_alpha").focus()
    for _ in range(10):
        page.keyboard.press("ArrowLeft")
    page.locator("#studio-w1").focus()
    page.keyboard.press("Home")
    page.wait_for_function("dlsegStudio.state.params.w1 === 0")
    assert (labels(page) == wanted(w1=0, sigma_alpha=20)).mean() >= 0.999


def test_numbers_under_the_cursor_by_mouse_and_keyboard(page: Page) -> None:
    crf = page.locator("canvas").nth(2)
    box = crf.bounding_box()
    assert box
    crf.hover(position={"x": box["width"] * 22.5 / 80, "y": box["height"] * 28.5 / 60})
    reading = page.locator("[aria-live]")
    assert "row 28, column 22" in (reading.text_content() or "")
    assert "after: cat </script>" in (reading.text_content() or "")
    crf.focus()
    page.keyboard.press("ArrowUp")
    assert "row 29, column 40" in (reading.text_content() or "") and "truth: void" in (reading.text_content() or "")


def test_a_click_shows_the_ties(page: Page) -> None:
    image = page.locator("canvas").first
    box = image.bounding_box()
    assert box
    image.click(position={"x": box["width"] * 22.5 / 80, "y": box["height"] * 28.5 / 60})
    page.get_by_text("ties of row 28, column 22").wait_for()


def test_pinned_result_stays(page: Page) -> None:
    before = labels(page)
    page.get_by_role("button", name="pin", exact=True).click()
    page.evaluate("dlsegStudio.set({iterations: 0})")
    after = labels(page)
    assert (before != after).any() and (after == wanted(iterations=1) * 0 + problem()[1].argmax(0)).all()
    pinned = page.evaluate("Array.from(dlsegStudio.state.pin.labels)")
    assert (np.array(pinned).reshape(before.shape) == before).all()


def test_a_pin_says_whose_answer_it_keeps(page: Page) -> None:
    """Pressed while the next answer is computed, it keeps the one that is shown, with the settings of that one."""
    before = labels(page)
    page.evaluate("""() => {
      dlsegStudio.set({w1: 0});
      [...document.querySelectorAll("button")].find((b) => b.textContent === "pin").click();
    }""")
    after = labels(page)
    pinned = np.array(page.evaluate("Array.from(dlsegStudio.state.pin.labels)")).reshape(before.shape)
    assert (pinned == before).all() and (before != after).any()
    assert page.evaluate("dlsegStudio.state.pin.params.w1") == PARAMS.w1
    page.get_by_text("pinned: w1 5, σα 30, σβ 12, w2 3, σγ 1").wait_for()


def test_a_photo_of_ones_own_with_scribbles(page: Page) -> None:
    image, _, _ = problem()
    file = io.BytesIO()
    Image.fromarray(image).resize((160, 120), Image.Resampling.NEAREST).save(file, "PNG")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="own photo").click()
    chooser.value.set_files({"name": "two.png", "mimeType": "image/png", "buffer": file.getvalue()})
    page.wait_for_function("dlsegStudio.state.scribbles?.length === 19200")
    page.wait_for_function(READY)
    canvas = page.locator("canvas").first
    box = canvas.bounding_box()
    assert box

    def stroke(x: float, y: float) -> None:
        page.mouse.move(box["x"] + box["width"] * x / 80, box["y"] + box["height"] * y / 60)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * (x + 6) / 80, box["y"] + box["height"] * y / 60, steps=6)
        page.mouse.up()

    stroke(20, 28)
    page.get_by_label("label to draw").select_option("background")
    stroke(5, 5)
    stroke(36, 54)
    page.evaluate("dlsegStudio.set({w1: 10, sigma_alpha: 60, sigma_beta: 20})")
    found = labels(page)[::2, ::2]
    assert found[28, 22] == 1 and found[3, 3] == 0 and (found == 1)[20:36, 14:30].mean() > 0.9
    drawn = page.evaluate("dlsegStudio.state.scribbles.filter(v => v !== 255).length")
    page.get_by_role("button", name="undo").click()
    assert page.evaluate("dlsegStudio.state.scribbles.filter(v => v !== 255).length") < drawn


def test_a_file_that_is_no_picture_is_said(page: Page) -> None:
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="own photo").click()
    chooser.value.set_files({"name": "notes.txt", "mimeType": "text/plain", "buffer": b"no picture"})
    page.get_by_text("notes.txt: not a picture that this browser can read").wait_for()
    assert (labels(page) == wanted()).mean() >= 0.999


def test_many_random_events(page: Page) -> None:
    """The newest value wins, nothing piles up, and the last answer belongs to the last value."""
    rng = np.random.default_rng(0)
    for _ in range(150):
        name, low, high = [("w1", 0, 20), ("sigma_alpha", 2, 80), ("sigma_beta", 2, 40)][rng.integers(3)]
        page.evaluate(
            "([name, value]) => { const s = document.getElementById('studio-' + name); s.value = value;"
            " s.dispatchEvent(new Event('input')); }",
            [name, int(rng.integers(low, high))],
        )
    page.locator("#studio-w1").dispatch_event("change")
    page.wait_for_function(READY)
    params = page.evaluate("dlsegStudio.state.params")
    assert (labels(page) == wanted(**{k: params[k] for k in ("w1", "sigma_alpha", "sigma_beta")})).mean() >= 0.999


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (1920, 1080), (390, 844)])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits(page: Page, width: int, height: int, scheme: Any) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": height})
    page.wait_for_function(READY)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    if width > 1000:  # sliders, results and numbers at once
        bottoms = page.evaluate(
            "['#studio-iterations', 'canvas', 'table']"
            ".map(s => document.querySelector(s).getBoundingClientRect().bottom)"
        )
        assert max(bottoms) <= height


def test_without_scripts_there_is_the_still() -> None:
    image, probs, truth = problem()
    page = studio_page(image, probs, CLASSES, truth, still="<img alt='still' src='x.png'>")
    assert "<noscript><img alt='still' src='x.png'>" in page


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"classes": CLASSES[:2]}, "probs: got shape"),
        ({"truth": np.zeros((3, 3), int)}, "truth: got shape"),
        ({"params": CRFParams(sigma_alpha=(20, 30))}, "params.sigma_alpha: got"),
        ({"image": np.zeros((60, 80), np.uint8)}, "image: got"),
    ],
)
def test_what_cannot_be_a_page_is_refused(change: dict[str, Any], words: str) -> None:
    image, probs, truth = problem()
    with pytest.raises(Exception, match=words):
        studio_page(**{"image": image, "probs": probs, "classes": CLASSES, "truth": truth, **change})
