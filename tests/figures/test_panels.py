"""Stills are compared by the pixels inside their panels and the words in them, never by how a font draws."""

import threading
from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.axes import Axes

from dlseg.figures import Bar, Chart, Panel, Still, colour_labels, heat_panel, label_panel, overlay, panels

CLASSES = ("background", "stool", "cup")
IMAGE = np.random.default_rng(3).integers(0, 256, (24, 32, 3), dtype=np.uint8)
LABELS = np.zeros((24, 32), np.uint8)
LABELS[4:12, 4:20], LABELS[12:20, 20:30], LABELS[20:, :] = 1, 2, 255


def inside(figure: Still, index: int, shape: tuple[int, int]) -> np.ndarray:
    """A panel's own pixels as drawn: the middle of each of its cells."""
    drawn = figure.pixels(dpi=150)
    box = figure.axes[index].get_window_extent()
    rows = drawn.shape[0] - (box.y0 + box.height * (1 - (np.arange(shape[0]) + 0.5) / shape[0]))
    columns = box.x0 + box.width * (np.arange(shape[1]) + 0.5) / shape[1]
    return drawn[np.floor(rows).astype(int)][:, np.floor(columns).astype(int)]


def words(figure: Still) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def test_each_panel_shows_its_picture_and_title() -> None:
    flat = Panel("flat", colour_labels(LABELS))
    figure = panels([Panel("the image", IMAGE), label_panel("truth", IMAGE, LABELS), flat])
    for index, wanted in enumerate([IMAGE, overlay(IMAGE, LABELS), colour_labels(LABELS)]):
        assert np.array_equal(inside(figure, index, LABELS.shape), wanted)
    assert [axes.get_title() for axes in figure.axes] == ["the image", "truth", "flat"]


def test_a_line_parts_objects_whose_colours_look_alike() -> None:
    """Of VOC's palette, 4 and 12 are two blues; 1 and 2 are red and green."""
    image = np.full((8, 8, 3), 90, np.uint8)
    for first, second, parted in [(4, 12, True), (1, 2, False), (4, 0, False), (4, 255, False), (4, 4, False)]:
        labels = np.full((8, 8), first)
        labels[:, 4:] = second
        drawn, plain = label_panel("", image, labels).picture, overlay(image, labels)
        assert (drawn[:, 3] == 255).all() == parted
        assert np.array_equal(np.delete(drawn, 3, axis=1), np.delete(plain, 3, axis=1))
        assert parted or np.array_equal(drawn, plain)


def test_a_changed_pixel_changes_the_still() -> None:
    other = LABELS.copy()
    other[0, 0] = 2
    first, second = (panels([label_panel("", IMAGE, labels)], CLASSES).pixels() for labels in (LABELS, other))
    assert (first != second).any()


def test_the_legend_names_only_what_is_there() -> None:
    assert words(panels([label_panel("", IMAGE, LABELS)], CLASSES)) == ["background", "stool", "cup", "void"]
    assert words(panels([label_panel("", IMAGE, np.where(LABELS == 1, 1, 0))], CLASSES)) == ["background", "stool"]
    assert words(panels([Panel("", IMAGE)], CLASSES)) == []
    assert words(panels([label_panel("", IMAGE, np.full_like(LABELS, 9))], CLASSES)) == ["9"]


def test_panels_do_not_overlap_and_nothing_is_cut_off() -> None:
    figure = panels([Panel(f"panel {n}", IMAGE, (0, 1)) for n in range(5)], CLASSES, columns=3)
    figure.pixels()
    boxes = [axes.get_tightbbox() for axes in figure.axes] + [figure.legends[0].get_window_extent()]
    for number, box in enumerate(boxes):
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.width and box.y1 <= figure.bbox.height
        for other in boxes[number + 1 :]:
            assert box.x1 <= other.x0 or other.x1 <= box.x0 or box.y1 <= other.y0 or other.y1 <= box.y0


def test_the_scales_stand_in_the_order_of_the_panels() -> None:
    values = np.zeros((24, 32))
    figure = panels([heat_panel(name, values, Bar(name, 0.0, 1.0)) for name in ("first", "second", "third")])
    figure.pixels()
    bars = sorted(figure.axes[3:], key=lambda axes: -axes.get_window_extent().y0)  # from the top down
    assert [axes.get_xlabel() for axes in bars] == ["first", "second", "third"]


def test_threads_may_draw_side_by_side() -> None:
    wanted = panels([label_panel("a", IMAGE, LABELS)], CLASSES).pixels()
    got: list[np.ndarray] = []

    def draw() -> None:
        got.append(panels([label_panel("a", IMAGE, LABELS)], CLASSES).pixels())

    threads = [threading.Thread(target=draw) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 4 and all(np.array_equal(picture, wanted) for picture in got)


def test_no_panel_is_an_error() -> None:
    with pytest.raises(ValueError, match="pictures: got none, expected at least one panel"):
        panels([])


def test_notes_and_charts_stand_beside_pictures(readable: Callable[[Still], None]) -> None:
    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [2, 4])

    noted = Panel("noted", IMAGE, keys=(("rim", (230, 159, 0)),), note="first line\nsecond line")
    figure = panels([noted, Chart("curve", draw), label_panel("labels", IMAGE, LABELS)], CLASSES)
    assert [axes.get_title() for axes in figure.axes] == ["noted", "curve", "labels"]
    assert figure.axes[1].lines[0].get_ydata().tolist() == [2, 4]
    assert words(figure) == ["background", "stool", "cup", "void", "rim"]
    assert [text.get_text() for text in figure.axes[0].texts] == ["first line\nsecond line"]
    readable(figure)
