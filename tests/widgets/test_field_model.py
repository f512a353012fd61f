"""What the field explorer shows, against the library that it asks and a gradient taken by hand."""

import threading
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dlseg.networks import create
from dlseg.receptive_field import cost, receptive_field
from dlseg.widgets import field_explorer
from dlseg.widgets.field_explorer import FIELD, Unit
from dlseg.widgets.field_model import NETS, full_net, layers, seen, stack

IMAGE = np.random.default_rng(0).integers(0, 256, (90, 110, 3), dtype=np.uint8)


def test_sizes_and_costs_are_those_of_the_full_network() -> None:
    result = seen("deeplab-alexnet", "release", "conv3", IMAGE, (0.5, 0.5))
    net = create("deeplab-alexnet", 21, 1.0, "release")
    fields, spent = {f.name: f for f in receptive_field(net, (90, 110))}, cost(net, (90, 110))
    assert result.layer == fields["conv3"] and result.cost == spent["conv3"]
    assert (result.parameters, result.macs) == (spent.parameters, spent.macs)
    assert result.units == spent["conv3"].size[1:] and result.box == fields["conv3"].box(*result.unit)


@pytest.mark.parametrize("layer", ["conv1_2", "pool3", "conv5_2"])
def test_no_pixel_outside_the_box_counts(layer: str) -> None:
    result = seen("deeplab-largefov", "paper", layer, IMAGE, (0.45, 0.55))
    top, left, bottom, right = (max(0, edge) for edge in result.box)
    outside = result.field.copy()
    outside[top : bottom + 1, left : right + 1] = 0
    assert result.field.max() == 1 and not outside.any()


def test_taps_look_where_the_layer_below_has_its_cells() -> None:
    result = seen("deeplab-largefov", "paper", "fc6", IMAGE, (0.5, 0.5))
    rows = sorted({row for row, _ in result.taps})
    assert len(result.taps) == 9 and np.diff(rows).tolist() == [96, 96]  # 3 taps, rate 12, stride 8
    first = seen("deeplab-largefov", "paper", "conv1_1", IMAGE, (0.0, 0.0))
    assert first.taps[0] == (-1.0, -1.0) and first.taps[-1] == (1.0, 1.0)


def test_half_of_the_field_lies_within_its_radius() -> None:
    result = seen("deeplab", "paper", "conv4_3", IMAGE, (0.5, 0.5))
    rows, columns = np.indices(result.field.shape)
    middle = [(axis * result.field).sum() / result.field.sum() for axis in (rows, columns)]
    distance = np.hypot(rows - middle[0], columns - middle[1])
    share = result.field[distance <= result.radius].sum() / result.field.sum()
    inner = result.field[distance < result.radius - 1e-6].sum() / result.field.sum()
    assert inner < 0.5 <= share + 1e-6


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("geometry", ["paper", "release"])
def test_every_layer_on_offer_can_be_looked_at(name: str, geometry: str) -> None:
    for layer in layers(name, geometry)[::6]:
        assert seen(name, geometry, layer, IMAGE, (1.0, 0.0)).field.shape == IMAGE.shape[:2]


def test_a_layer_that_the_next_network_lacks_gives_way_to_fc6() -> None:
    explorer = field_explorer(image=IMAGE)
    explorer.controls["geometry"].value = "release"
    explorer.controls["layer"].value = "pool5a"
    assert explorer.answer.layer.name == "pool5a"
    before = explorer.chart.data
    assert before["chosen"] == 3 and before["rows"][3] == "LargeFOV"
    explorer.controls["net"].value = "deeplab-7x7"
    assert explorer.state.layer == "fc6" and explorer.answer.layer.name == "fc6"
    assert "pool5a" not in explorer.controls["layer"].options and explorer.state.net == "deeplab-7x7"
    assert explorer.chart.data["chosen"] == 0 and "134.3 M" in explorer.numbers.value
    explorer.close()


def test_the_stack_is_every_layers_field_and_marks_the_one_looked_at() -> None:
    rows = stack("deeplab-largefov", "paper", (306, 306))
    net = full_net("deeplab-largefov", "paper")
    fields = {field.name: field for field in receptive_field(net, (306, 306))}
    assert [row[0] for row in rows] == list(layers("deeplab-largefov", "paper"))
    for name, _, _, field, stride in rows:
        assert (field, stride) == (fields[name].size[0], fields[name].stride[0])
    explorer = field_explorer()
    assert explorer.stack.value.count("dlseg-chosen") == 1 and "rate 12" in explorer.stack.value
    explorer.close()


def test_the_field_alone_fills_its_picture_and_a_click_on_it_means_its_pixel() -> None:
    explorer = field_explorer(image=IMAGE)
    explorer.state = replace(explorer.state, layer="conv2_1", zoom=FIELD)
    answer = explorer.answer
    theory, effect = explorer._draw(answer)
    top, left, times = theory.ruler
    rows, columns = np.nonzero(effect.layer.values == 1)  # the field's rim
    box = (rows.min() // times + top, columns.min() // times + left, rows.max() // times + top)
    assert box == (answer.box[0], answer.box[1], answer.box[2])
    assert answer.layer.size[0] * times > 0.5 * theory.image.shape[0], "it is large"
    assert theory.ring == pytest.approx((0.5, 0.5), abs=0.05) and not theory.ringed
    side = theory.image.shape[0]
    within = (44 - int(top)) * int(times), (55 - int(left)) * int(times)
    assert np.array_equal(theory.image[within], IMAGE[44, 55])
    before = answer.unit
    row, column = ((value - start + 0.5) * times / side for value, start in ((48, top), (58, left)))
    explorer._ask(explorer._picked(0, row, column))
    stride, centre = answer.layer.stride[0], answer.layer.centre[0]
    assert explorer.answer.unit != before
    assert explorer.answer.unit == (round((48.5 - centre) / stride), round((58.5 - centre) / stride))
    explorer.close()


def test_while_another_network_is_computed_nothing_of_the_old_one_is_said() -> None:
    explorer = field_explorer(image=IMAGE)
    start, go, answer = threading.Event(), threading.Event(), explorer._answer

    def slow(state: Unit) -> Any:
        start.set()
        assert go.wait(60)
        return answer(state)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(explorer, "_answer", slow)
        explorer.state = replace(explorer.state, net="deeplab")
        assert start.wait(60)
        end = time.monotonic() + 60
        while explorer.numbers.value != "working …" and time.monotonic() < end:
            time.sleep(0.05)
        assert [picture.title for picture in explorer.pictures] == ["fc6 of deeplab: working …"] * 2
        assert explorer.numbers.value == explorer.stack.value == "working …"
        go.set()
        assert explorer.answer.net == "deeplab"
    assert explorer.pictures[0].title == "fc6 sees 308 × 308 px" and "65.1 M" in explorer.numbers.value
    explorer.close()
