"""A figure reads well on light and on dark ground, and what its colours stand for stays."""

import re
from base64 import b64decode
from collections.abc import Callable
from io import BytesIO

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from dlseg.figures import (
    Bar,
    Chart,
    Panel,
    confusion_figure,
    figure_html,
    heat_panel,
    holes_1d,
    label_panel,
    lattice_figure,
    panels,
    schedule_figure,
    table2_chart,
    trimap_figure,
)
from dlseg.figures.themes import EXACT_BYTES, publish, split, webp
from dlseg.networks.table2 import table2
from dlseg.training import Recipe

GROUNDS = ("#111111", "#212121", "#131416")  # JupyterLab's dark notebook and its panels, the book's dark page
# what `invert(1) hue-rotate(180deg)` does to a colour, by the filter effects specification
TURN = np.array([[-0.574, 1.430, 0.144], [0.426, 0.430, 0.144], [0.426, 1.430, -0.856]])

rng = np.random.default_rng(0)
IMAGE = rng.integers(0, 256, (60, 80, 3), np.uint8)
LABELS = np.zeros((60, 80), np.uint8)
LABELS[:30, :40], LABELS[50:] = 1, 255


def pictured() -> Figure:
    heat = heat_panel("heat", LABELS / 255.0, Bar("value", 0.0, 1.0))
    chart = Chart("curve", lambda axes: axes.plot([1, 3, 2]))
    return panels(
        [Panel("photo", IMAGE, note="a note"), label_panel("labels", IMAGE, LABELS), heat, chart], ["none", "cup"]
    )


def plotted() -> Figure:
    figure = Figure(figsize=(5, 2.2))
    axes = figure.add_subplot()
    axes.plot([1, 3, 2], label="yours")
    axes.axhline(2, ls=":", color="grey", label="chance")
    axes.set_xlabel("step"), axes.set_title("loss"), axes.legend()
    return figure


FIGURES: dict[str, Callable[[], Figure]] = {
    "panels": pictured,
    "a plot of matplotlib": plotted,
    "lattice": lambda: lattice_figure(IMAGE[0], 30, 20.0, 20.0),
    "holes": holes_1d,
    "schedule": lambda: schedule_figure({"poly": Recipe.shapes()}),
    "confusion": lambda: confusion_figure(np.eye(3, dtype=int) + 1, ["a", "b", "c"]),
    "trimap": lambda: trimap_figure({"with CRF": {1: 0.5, 5: 0.7}}),
    "table 2": lambda: table2_chart(table2(), "deeplab-largefov"),
}


def luminance(rgb: np.ndarray) -> float:
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def contrast(one: np.ndarray, other: np.ndarray) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def turned(colour: str) -> np.ndarray:
    return np.clip(TURN @ (1 - np.array(to_rgb(colour))), 0, 1)


def over(layer: np.ndarray, ground: np.ndarray) -> np.ndarray:
    share = layer[..., 3:] / 255.0
    return layer[..., :3] * share + ground * (1 - share)


@pytest.mark.parametrize("name", FIGURES)
def test_words_stand_out_on_light_and_on_dark_ground(name: str) -> None:
    figure = FIGURES[name]()
    figure.canvas.draw()
    written = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip()]
    on_pictures = {id(text) for axes in figure.axes if axes.images for text in axes.texts if name == "confusion"}
    assert written
    for text in (text for text in written if id(text) not in on_pictures):
        colour = text.get_color()
        assert contrast(np.array(to_rgb(colour)), np.ones(3)) >= 4.5, f"{text.get_text()} on white"
        for ground in GROUNDS:
            assert contrast(turned(colour), np.array(to_rgb(ground))) >= 4.5, f"{text.get_text()} on {ground}"


@pytest.mark.parametrize("name", FIGURES)
def test_both_layers_together_are_the_figure(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    figure = FIGURES[name]()
    engine, size = figure.get_layout_engine(), figure.get_size_inches().tolist()
    figure.set_dpi(80)
    figure.canvas.draw()
    if engine is not None:
        monkeypatch.setattr(engine, "execute", lambda figure: None)  # a layout moves a little with every drawing
    kept, ink = split(figure, 80)
    assert not (kept[..., 3].astype(bool) & ink[..., 3].astype(bool)).any(), "each pixel is kept once"
    assert ink[..., 3].any() and not ink[0, 0, 3], "ink without a ground"
    assert figure.patch.get_visible() and all(axes.patch.get_visible() for axes in figure.axes if axes.axison)
    assert figure.get_layout_engine() is engine and figure.get_size_inches().tolist() == size
    if engine is None:
        return  # cut to what it shows
    figure.canvas.draw()
    wanted = np.asarray(figure.canvas.buffer_rgba())[..., :3]
    assert (
        np.abs(over(ink, over(kept, np.full(3, 255.0))) - wanted).max() <= 4
    )  # their eight bits are rounded apart


def test_pictures_their_scale_and_their_key_keep_their_colours() -> None:
    figure = pictured()
    kept, ink = split(figure, 80)
    figure.set_dpi(80)
    figure.canvas.draw()

    def of(layer: np.ndarray, box: object) -> np.ndarray:
        left, bottom, right, top = (round(edge) for edge in box.extents)  # type: ignore[attr-defined]
        return layer[len(layer) - top + 2 : len(layer) - bottom - 2, left + 2 : right - 2, 3]

    photo, labels, heat, chart, scale = (axes.get_window_extent() for axes in figure.axes)
    keys = [handle.get_window_extent() for handle in figure.legends[0].legend_handles]
    for box in (photo, labels, heat, scale, *keys):
        assert of(kept, box).all() and not of(ink, box).any()
    assert not of(kept, chart).any() and of(ink, chart).any(), "a curve is drawn for its ground"
    for words in [axes.title for axes in figure.axes[:4]] + figure.legends[0].texts:
        assert of(ink, words.get_window_extent()).any() and not of(kept, words.get_window_extent()).any()


@pytest.mark.parametrize("name", FIGURES)
def test_a_saved_notebook_does_not_grow_by_it(name: str) -> None:
    figure = FIGURES[name]()
    plain = BytesIO()
    figure.savefig(plain, format="png", dpi=160)
    page = figure_html(figure)
    assert len(page) * 3 / 4 < plain.tell() + 2000, "as large as one plain picture"
    sizes = [Image.open(BytesIO(b64decode(data))).size for data in re.findall(r'base64,([^"]+)"', page)]
    assert len(set(sizes)) == 1 and sizes[0][0] == pytest.approx(
        2 * int(re.findall(r'width="(\d+)"', page)[0]), abs=2
    )


def test_a_plot_is_cut_to_what_it_shows_and_no_word_is_cut_off() -> None:
    figure = Figure(figsize=(3, 1))
    axes = figure.add_subplot()
    shown = axes.imshow(LABELS)
    plain = split(figure, 80)[1].shape
    axes.set_xlabel("below the figure's edge"), axes.set_title("above")
    kept, ink = split(figure, 80)
    figure.set_dpi(80)
    figure.canvas.draw()
    reach = figure.get_tightbbox().height * 80
    assert ink.shape[0] == pytest.approx(reach + 2 * 0.08 * 80, abs=2) and ink.shape[0] > max(plain[0], 80)
    assert kept[..., 3].astype(bool).sum() == pytest.approx(np.prod(shown.get_window_extent().size), rel=0.1)
    rows = np.flatnonzero(ink[..., 3].any(1))
    assert 3 <= rows[0] <= 10 and 3 <= len(ink) - 1 - rows[-1] <= 10, "words end before the edge"


def test_titles_over_four_panels_with_two_scales_are_not_cut_off() -> None:
    score, wrong = Bar("score", 0.0, 1.0), Bar("difference", -1.0, 1.0, "RdBu_r")
    maps = [heat_panel(title, LABELS[:, :60] / 255.0, score) for title in ("image", "exact", "released")]
    _, ink = split(panels([*maps, heat_panel("difference", LABELS[:, :60] / 255.0, wrong)]), 80)
    assert not ink[0, :, 3].any() and not ink[-1, :, 3].any()


def test_its_words_are_its_titles_and_only_said_once() -> None:
    page = figure_html(panels([Panel('"photo" <b>', IMAGE), label_panel("labels", IMAGE, LABELS)]))
    assert re.findall('alt="([^"]*)"', page) == ["&quot;photo&quot; &lt;b&gt;, labels", ""]
    assert 'alt="other"' in figure_html(plotted(), "other") and "<script" not in page


def test_drawn_is_exact_and_photographs_may_lose_a_little() -> None:
    _, ink = split(plotted(), 100)
    assert np.array_equal(
        np.asarray(Image.open(BytesIO(webp(ink))).convert("RGBA"))[ink[..., 3] > 0], ink[ink[..., 3] > 0]
    )
    noise = rng.integers(0, 256, (250, 400, 3), np.uint8)
    assert len(webp(noise, 60_000)) <= 60_000 < len(webp(noise, 10_000_000))
    assert len(webp(ink)) < EXACT_BYTES


def test_what_takes_no_html_gets_a_small_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    got: list[dict[str, str]] = []
    monkeypatch.setattr("IPython.display.publish_display_data", got.append)
    publish(pictured())
    (bundle,) = got
    small = Image.open(BytesIO(b64decode(bundle["image/png"]))).convert("RGB")
    width = int(re.search(r'width="(\d+)"', bundle["text/html"])[1])
    assert abs(small.size[0] - width) <= 1 and small.getpixel((0, 0)) == (255, 255, 255)
    assert len(bundle["image/png"]) < len(bundle["text/html"])
