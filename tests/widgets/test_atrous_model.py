"""What the atrous explorer shows: three equal forms, the cells their taps read, and a pool5 that is not exact."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from dlseg.atrous import insert_holes
from dlseg.widgets import atrous_explorer
from dlseg.widgets.atrous_explorer import CELLS, cell_marks, reached
from dlseg.widgets.atrous_model import FILTERS, convolutions, filter_taps, pools, window

MAP = np.random.default_rng(0).normal(size=(24, 24)).astype(np.float32)
TOLERANCE = 1e-5  # float32 sums of up to 49 products in another order


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 7])
def test_filters_are_means_or_add_up_to_nothing(name: str, kernel: int) -> None:
    taps = filter_taps(name, kernel)
    assert taps.shape == (kernel, kernel)
    wanted = 1 if name == "mean" or kernel == 1 else 0
    assert taps.sum() == pytest.approx(wanted, abs=1e-6)
    if name == "upper minus lower":
        assert np.array_equal(taps, filter_taps("left minus right", kernel).T)


@pytest.mark.parametrize(("kernel", "rate", "stride"), [(3, 2, 1), (1, 6, 4), (7, 6, 2), (4, 3, 3), (2, 1, 1)])
def test_three_forms_and_their_costs(kernel: int, rate: int, stride: int) -> None:
    taps = filter_taps(FILTERS[1], kernel)
    forms = convolutions(MAP, taps, rate, stride)
    pad = (kernel - 1) * rate // 2
    wanted = F.conv2d(
        torch.from_numpy(MAP)[None, None],
        torch.from_numpy(taps)[None, None],
        stride=stride,
        padding=pad,
        dilation=rate,
    )[0, 0].numpy()
    extent = (kernel - 1) * rate + 1
    for form, each in zip(forms, (kernel**2, kernel**2, extent**2), strict=True):
        np.testing.assert_allclose(form.output, wanted, atol=TOLERANCE)
        assert form.macs == each * wanted.size
        assert form.difference(forms[0]) < TOLERANCE


@pytest.mark.parametrize(("kernel", "rate", "stride"), [(3, 2, 1), (2, 3, 2), (5, 1, 4)])
def test_the_taps_drawn_are_the_cells_that_count(kernel: int, rate: int, stride: int) -> None:
    """By gradient: an output depends on the cells that its taps read, and on no other."""
    w, x = window(kernel, rate, stride), torch.zeros(1, 1, 24, 24, requires_grad=True)
    out = F.conv2d(x, torch.ones(1, 1, kernel, kernel), stride=stride, padding=w.padding, dilation=rate)
    for unit in ((0, 0), (2, 3)):
        (gradient,) = torch.autograd.grad(out[0, 0, unit[0], unit[1]], x, retain_graph=True)
        cells = {(int(r), int(c)) for r, c in gradient[0, 0].nonzero()}
        assert cells == {(r, c) for r, c in reached(w, unit) if 0 <= r < 24 and 0 <= c < 24}


def test_the_released_pool5_differs_and_the_one_with_holes_does_not() -> None:
    before, (truth, exact, released) = pools(MAP, filter_taps("centre minus surround", 3))
    # the slow truth once more, by hand: 2×2 maxima of conv5's map two cells apart
    for r, c in ((0, 0), (5, 9)):
        assert truth.output[r, c] == pytest.approx(before[r : r + 3 : 2, c : c + 3 : 2].max(), abs=TOLERANCE)
        assert released.output[r, c] == pytest.approx(before[r : r + 3, c : c + 3].max(), abs=TOLERANCE)
    assert exact.difference(truth) < TOLERANCE < 0.1 < released.difference(truth)


def test_cells_are_marked_with_a_rim_left_free() -> None:
    mask = cell_marks((4, 5), [(1, 2), (-1, 0), (3, 9)], 10, 0.2)
    assert mask.shape == (40, 50) and mask.sum() == 36 and mask[12:18, 22:28].all()


def test_what_is_looked_at_follows_the_click() -> None:
    explorer = atrous_explorer(MAP)
    explorer.pictures[1].set_state({"picked": [3.5 / 24, 20.5 / 24, 1]})  # as the page does
    answer = explorer.answer
    assert answer.unit == (3, 20) and answer.taps == reached(window(3, 2, 1), (3, 20))
    holes = {(r, c) for r in range(1, 6) for c in range(18, 23)} - set(answer.taps)
    assert set(answer.holes) == holes and answer.difference < TOLERANCE
    whole = insert_holes(torch.ones(1, 1, 3, 3), 2)[0, 0]
    assert len(answer.holes) == int((whole == 0).sum())
    assert list(explorer.pictures[2].mark) == [3.5 / 24, 20.5 / 24]
    assert explorer.pictures[0].status == "24 × 24 cells"
    explorer.controls["layer"].value = "pool5"
    assert len(explorer.answer.taps) == 4 and len(explorer.answer.extra) == 5 and explorer.answer.difference > 0.1
    explorer.close()


def test_the_middle_of_a_large_map_is_shown() -> None:
    large = np.arange(40 * 31, dtype=np.float32).reshape(40, 31)
    explorer = atrous_explorer(large)
    assert np.array_equal(explorer.answer.map, large[8 : 8 + CELLS, 3 : 3 + CELLS])
    explorer.close()


@pytest.mark.parametrize("layer", ["a convolution", "pool5"])
@pytest.mark.parametrize("place", [(0.5, 0.5), (0.01, 0.99)])
def test_the_terms_add_up_to_the_output(layer: str, place: tuple[float, float]) -> None:
    """Also at the map's corner, where some taps read zeros."""
    explorer = atrous_explorer(MAP)
    explorer.state = replace(explorer.state, layer=layer, kernel=5, rate=3, row=place[0], column=place[1])
    answer = explorer.answer
    products = [weight * cell for weight, cell in answer.terms]
    total = max(products) if layer == "pool5" else sum(products)
    assert total == pytest.approx(answer.output, abs=TOLERANCE)
    assert f"<b>{answer.output:.3f}</b>" in explorer.sum.value
    assert explorer.sum.value.count("<td>") == len(answer.taps)
    explorer.close()
