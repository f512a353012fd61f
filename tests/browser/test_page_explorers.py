"""The explorers as HTML files, offline and without Python: what they show is what the library computes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import numpy as np
import pytest

from dlseg.datasets import load
from dlseg.datasets.voc import palette
from dlseg.evaluation import ConfusionMatrix
from dlseg.networks.architectures import GeometryName
from dlseg.receptive_field import cost, receptive_field
from dlseg.widgets import training_explorer, webpage
from dlseg.widgets.atrous_model import FILTERS, convolutions, filter_taps
from dlseg.widgets.field_model import NETS, full_net
from dlseg.widgets.pooling_model import best_labels, first_centre, moved, scores_at

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    Open = Callable[..., Page]

SCENE = 32


@pytest.fixture
def opened(chromium: Browser, tmp_path: Path) -> Iterator[Open]:
    """Opens a page with these parts of explorers; at the end nothing may have gone wrong in it."""
    contexts, wrong = [], list[str]()

    def show(parts: str, width: int = 1280, **settings: str) -> Page:
        path = tmp_path / "Ordner, ärger" / "page.html"
        path.parent.mkdir(exist_ok=True)
        path.write_text(webpage.page("An explorer", parts), encoding="utf-8")
        context = chromium.new_context(viewport={"width": width, "height": 800}, offline=True, **settings)  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda line: wrong.append(line.text) if line.type == "error" else None)
        page.goto(path.as_uri())
        page.wait_for_function("document.querySelector('.dlseg')?.dlseg")
        return page

    yield show
    for context in contexts:
        context.close()
    assert not wrong


def feature_map() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(13, 17)).astype(np.float32)


def test_atrous_output_is_the_librarys(opened: Open) -> None:
    features = feature_map()
    page = opened(webpage.atrous_parts(features))
    for name, kernel, rate, stride in product(FILTERS, (1, 2, 3, 5), (1, 2, 3), (1, 2, 3)):
        out = page.evaluate(
            """([filter, kernel, rate, stride]) => {
                const {dlseg} = document.querySelector('.dlseg');
                Object.assign(dlseg.state, {filter, kernel, rate, stride});
                dlseg.draw();
                const {rows, columns, values} = dlseg.output();
                return {shape: [rows, columns], values: [...values]};
            }""",
            [name, kernel, rate, stride],
        )
        native = convolutions(features, filter_taps(name, kernel), rate, stride)[0].output
        assert tuple(out["shape"]) == native.shape
        np.testing.assert_allclose(np.reshape(out["values"], native.shape), native, atol=2e-6, rtol=0)
        # the three ways agree in the page too
        far = page.locator("table").last.locator("tr td:last-child").all_inner_texts()
        assert far[0] == "–" and max(map(float, far[1:])) < 1e-12


def test_atrous_by_mouse_and_keyboard(opened: Open) -> None:
    features = feature_map()
    page = opened(webpage.atrous_parts(features))
    page.get_by_label("kernel (taps)").focus()
    page.keyboard.press("ArrowLeft")
    page.get_by_label("rate (cells)").press("Home")
    page.get_by_label("filter").select_option("mean")
    canvas = page.locator("canvas").last
    box = canvas.bounding_box()
    assert box is not None
    canvas.click(position={"x": box["width"] * 2.5 / 17, "y": box["height"] * 1.5 / 13})
    native = convolutions(features, filter_taps("mean", 2), 1, 1)[0].output
    terms = page.locator("table").first
    assert terms.locator("tr").count() == 3 and terms.locator("td").count() == 6
    assert f"= {native[1, 2]:.3f}" in page.locator(".note", has_text="the sum of 4 products").inner_text()
    canvas.press("ArrowRight")
    assert page.locator(".reading").inner_text() == f"output, row 1, column 3: {native[1, 3]:.3f}"


def test_fields_are_exact(opened: Open) -> None:
    image = np.zeros((230, 306, 3), np.uint8)
    page = opened(webpage.field_parts(image))
    for net, geometry in product(NETS, get_args(GeometryName)):
        got = page.evaluate(
            """([net, geometry]) => {
                const {dlseg} = document.querySelector('.dlseg');
                Object.assign(dlseg.state, {net, geometry, layer: 'fc6', at: [0.25, 0.5]});
                dlseg.draw();
                const layers = dlseg.fields().map((l) => [l.name, l.size, l.stride, l.centre, l.cells]);
                return {layers, ...dlseg.chosen()};
            }""",
            [net, geometry],
        )
        fields = {f.name: f for f in receptive_field(full_net(net, geometry), (230, 306))}
        spent = cost(full_net(net, geometry), (230, 306))
        for name, size, stride, centre, cells in got["layers"]:
            f = fields[name]
            assert (f.size[0], f.stride[0], f.centre[0], spent[name].size[1]) == (size, stride, centre, cells)
        assert tuple(got["box"]) == fields["fc6"].box(*got["unit"])


def test_an_fc6_of_ones_own(opened: Open) -> None:
    page = opened(webpage.field_parts(np.zeros((306, 306, 3), np.uint8)))
    page.get_by_label("network").select_option("your own fc6")
    page.get_by_label("fc6's rate (cells)").press("End")
    assert "3 × 3 taps, 16 apart" in page.locator(".note").first.inner_text()
    assert f"{2 * 16 * 8 + 32} pixels" in page.locator(".note").first.inner_text()
    page.get_by_role("button", name="pool3").click()
    assert page.locator("figcaption").inner_text() == "pool3 sees 44 × 44 px"


def test_pooling_is_the_librarys(opened: Open) -> None:
    sample = load("shapes", "val")[SCENE]
    assert sample.label is not None
    page = opened(webpage.pooling_parts(sample.image, sample.label, farthest=3))
    for right, stride in ((0, 32), (-3, 16), (2, 8), (3, 32)):
        got = page.evaluate(
            """([right, stride]) => {
                const {dlseg} = document.querySelector('.dlseg');
                Object.assign(dlseg.state, {right, stride});
                dlseg.draw();
                const {shown} = dlseg.state;
                return {best: [...dlseg.best()], truth: [...dlseg.truth()], score: dlseg.score(1, 2), shown};
            }""",
            [right, stride],
        )
        label = moved(sample.label, 0, right, "constant", constant_values=255)
        scores = scores_at(moved(sample.image, 0, right), stride)
        best = best_labels(label, scores.shape[1:], stride, first_centre(stride))
        assert (np.array(got["truth"]) == label.ravel()).all()
        # two classes with equal shares differ by rounding
        assert (np.array(got["best"]) == best.ravel()).mean() >= 0.999
        step = max(float(np.ptp(scores_at(moved(sample.image, 0, n), stride))) for n in range(-3, 4)) / 255
        assert abs(got["score"] - scores[got["shown"] - 1, 1, 2]) <= 2 * step
        words = page.locator(".note", has_text="mean IoU").inner_text()
        ours = ConfusionMatrix(255).update(best, label).mean_iou("nan")
        assert abs(float(words.split("mean IoU ")[1].split(" %")[0]) - 100 * ours) < 0.2


def test_training_shows_what_the_network_said(opened: Open) -> None:
    val = load("shapes", "val")
    explorer = training_explorer(first=20)
    try:
        snapshots = explorer.trainer.snapshots
        held_out = [val[n] for n in range(0, len(val), len(val) // 12)][:2]
        page = opened(webpage.training_parts(explorer.trainer, held_out, val.classes))
    finally:
        explorer.close()
    page.get_by_label("after iteration").press("Home")
    page.get_by_label("image that was never trained on").select_option("2")
    for press, snapshot in (("Home", snapshots[0]), ("ArrowRight", snapshots[1])):
        page.get_by_label("after iteration").press(press)
        colours = palette()[snapshot.labels[1]].reshape(-1, 3)
        page.wait_for_function(
            """(wanted) => {
                const canvas = document.querySelectorAll('canvas')[2];
                const shown = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
                return shown.length / 4 === wanted.length
                    && wanted.every((rgb, i) => rgb.every((value, c) => value === shown[4 * i + c]));
            }""",
            arg=colours.tolist(),
        )
        assert f"mean IoU {100 * snapshot.mean_iou:.1f} %" in page.locator(".note").first.inner_text()


def test_tables_sort_and_find_rows(opened: Open) -> None:
    page = opened(webpage.table_1_parts())
    page.get_by_role("button", name="mean IOU, %").click()
    assert page.locator("td").first.inner_text() == "DeepLab-MSc-CRF-LargeFOV"
    assert page.locator("th[aria-sort=descending]").count() == 1
    for part in ("MSc", "CRF", "LargeFOV"):
        page.get_by_label(f"with {part}").check()
    assert page.get_by_role("status").inner_text() == "DeepLab-MSc-CRF-LargeFOV: 68.70 %"
    page.get_by_label("with 7x7").check()
    assert page.get_by_role("status").inner_text() == "The paper has no such row."


@pytest.mark.parametrize("width, scheme", [(390, "light"), (390, "dark"), (1280, "dark")])
def test_fits_a_phone_and_a_dark_page(opened: Open, width: int, scheme: str) -> None:
    """Nothing is wider than the window; several explorers live in one page; text stands out from its ground."""
    sample = load("shapes", "val")[SCENE]
    assert sample.label is not None
    parts = [
        webpage.atrous_parts(feature_map(), name="a"),
        webpage.field_parts(sample.image, name="b"),
        webpage.pooling_parts(sample.image, sample.label, farthest=1, name="c"),
        webpage.table_2_parts(name="d"),
    ]
    page = opened("\n".join(parts), width=width, color_scheme=scheme)
    assert page.evaluate("[...document.querySelectorAll('.dlseg')].every((e) => e.dlseg)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    ink, paper = page.evaluate(
        """() => {
            const style = getComputedStyle(document.querySelector('.dlseg'));
            return [style.color, style.backgroundColor];
        }"""
    )
    assert (ink, paper) == (
        ("rgb(236, 236, 236)", "rgb(22, 24, 25)") if scheme == "dark" else ("rgb(28, 28, 28)", "rgb(255, 255, 255)")
    )


@pytest.mark.parametrize(
    "features", [np.zeros((3, 9)), np.full((9, 9), np.nan), np.zeros(90), np.full((9, 9), np.inf)]
)
def test_a_map_is_looked_at(features: np.ndarray) -> None:
    with pytest.raises(ValueError, match="features: got shape"):
        webpage.atrous_parts(features.astype(np.float32))
