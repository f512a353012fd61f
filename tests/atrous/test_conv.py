"""Three forms of one convolution, against a loop that says what the hole algorithm is."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from dlseg.atrous import atrous_conv2d, insert_holes

METHODS = ("native", "sample", "zeros")


def slow(x: Tensor, weight: Tensor, bias: Tensor | None, *, rate: int, stride: int, padding: int) -> Tensor:
    """Every output by hand: sum over taps of filter × map, the map zero outside."""
    kh, kw = weight.shape[2:]
    height, width = (
        (n + 2 * padding - (k - 1) * rate - 1) // stride + 1 for n, k in ((x.shape[2], kh), (x.shape[3], kw))
    )
    out = x.new_zeros(x.shape[0], weight.shape[0], height, width)
    for i in range(height):
        for j in range(width):
            for a in range(kh):
                for b in range(kw):
                    y, z = i * stride + a * rate - padding, j * stride + b * rate - padding
                    if 0 <= y < x.shape[2] and 0 <= z < x.shape[3]:
                        out[:, :, i, j] += x[:, :, y, z] @ weight[:, :, a, b].T
    return out if bias is None else out + bias[:, None, None]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_three_forms_equal_the_loop(data: st.DataObject) -> None:
    draw = data.draw
    kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    rate, stride, padding = draw(st.integers(1, 4)), draw(st.integers(1, 3)), draw(st.integers(0, 5))
    need = [max(1, (k - 1) * rate + 1 - 2 * padding) for k in kernel]
    size = [n + draw(st.integers(0, 6)) for n in need]
    torch.manual_seed(draw(st.integers(0, 99)))
    x = torch.randn(draw(st.integers(1, 2)), 2, *size, dtype=torch.float64)
    weight = torch.randn(3, 2, *kernel, dtype=torch.float64)
    bias = torch.randn(3, dtype=torch.float64) if draw(st.booleans()) else None
    truth = slow(x, weight, bias, rate=rate, stride=stride, padding=padding)
    for method in METHODS:
        ours = atrous_conv2d(x, weight, bias, rate=rate, stride=stride, padding=padding, method=method)
        # sums of at most 32 products of order one: rounding stays under 1e-14
        torch.testing.assert_close(ours, truth, rtol=0, atol=1e-13)


def test_gradients_agree() -> None:
    x, weight = torch.randn(2, 3, 9, 8).double(), torch.randn(4, 3, 3, 2).double()
    grads = []
    for method in METHODS:
        a, b = x.clone().requires_grad_(), weight.clone().requires_grad_()
        atrous_conv2d(a, b, rate=2, padding=1, method=method).square().sum().backward()
        grads.append((a.grad, b.grad))
    for a, b in grads[1:]:
        torch.testing.assert_close((a, b), grads[0], rtol=1e-12, atol=1e-12)


@given(st.integers(1, 5), st.integers(1, 5), st.integers(1, 5))
def test_holes(kh: int, kw: int, rate: int) -> None:
    weight = torch.randn(2, 3, kh, kw)
    holes = insert_holes(weight, rate)
    assert holes.shape == (2, 3, kh + (kh - 1) * (rate - 1), kw + (kw - 1) * (rate - 1))
    assert torch.equal(holes[:, :, ::rate, ::rate], weight)
    assert int((holes != 0).sum()) == int((weight != 0).sum())


def test_figure_1() -> None:
    """Kernel 3 with input stride 2 and output stride 1 on a line of ones to nine."""
    line = torch.arange(1.0, 10.0).view(1, 1, 1, 9)
    kernel = torch.tensor([1.0, 10.0, 100.0]).view(1, 1, 1, 3)
    for method in METHODS:
        out = atrous_conv2d(line, kernel, rate=2, method=method).flatten()
        assert out.tolist() == [1 * a + 10 * (a + 2) + 100 * (a + 4) for a in range(1, 6)]


def test_inputs_stay_as_they_were() -> None:
    x, weight, bias = torch.randn(1, 2, 6, 6), torch.randn(2, 2, 3, 3), torch.randn(2)
    before = [t.clone() for t in (x, weight, bias)]
    for method in METHODS:
        atrous_conv2d(x, weight, bias, rate=2, method=method)
    assert all(torch.equal(a, b) for a, b in zip((x, weight, bias), before, strict=True))


@pytest.mark.usefixtures("as_users_see_it")
@pytest.mark.parametrize(
    "change, words",
    [
        ({"rate": 0}, "rate: got 0, expected a whole number >= 1"),
        ({"stride": 0}, "stride: got 0, expected a whole number >= 1"),
        ({"padding": -1}, "padding: got -1, expected a whole number >= 0"),
        (
            {"x": torch.zeros(1, 3, 8, 8)},
            r"x, weight: got \(1, 3, 8, 8\) and \(4, 2, 3, 3\), expected .* with the same I",
        ),
        ({"bias": torch.zeros(3)}, r"bias: got \(3,\), expected \(4,\), one number per filter"),
        ({"rate": 4}, "x: got 8×8 cells with padding 0, expected no less than the filter covers at rate 4, 9×9"),
    ],
)
def test_mistakes_are_named(change: dict, words: str) -> None:
    arguments = {"x": torch.zeros(1, 2, 8, 8), "weight": torch.zeros(4, 2, 3, 3), **change}
    for method in METHODS:
        with pytest.raises(ValueError, match=words):
            atrous_conv2d(method=method, **arguments)


def test_holes_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="rate: got "):
        insert_holes(torch.zeros(1, 1, 3, 3), 0)
    with pytest.raises(ValueError, match=r"weight: got shape \(1, 1, 0, 3\), expected \(O, I, k, k\) with k >= 1"):
        insert_holes(torch.zeros(1, 1, 0, 3), 2)


def test_sampling_is_not_torchs_dilation() -> None:
    """The sampled form reads the map itself: the same columns as torch's unfold, an implementation apart."""
    x, weight = torch.randn(1, 2, 10, 9), torch.randn(3, 2, 3, 3)
    columns = F.unfold(x, 3, dilation=3, padding=2)
    expected = (weight.flatten(1) @ columns).reshape(1, 3, 8, 7)
    ours = atrous_conv2d(x, weight, rate=3, padding=2, method="sample")
    torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5)
