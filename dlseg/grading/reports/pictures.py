"""Own result beside the reference, as one small picture: curves for 1-D, maps for 2-D and more."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

MAX_SIDE, HUGE = 256, 1e30


def comparison(own: Any, reference: Any) -> str:
    """A PNG as a data address, or '' where the pair has no picture (numbers, text, other kinds)."""
    left, right = map(_drawable, _most_different(own, reference))
    if left is None or right is None:
        return ""
    return _address(_curves(left, right) if right.ndim == 1 and left.ndim == 1 else _maps(left, right))


def _most_different(own: Any, reference: Any) -> tuple[Any, Any]:
    """Of two stacks of maps of the same shape the two maps that differ most; any other pair as it is."""
    arrays = isinstance(own, np.ndarray) and isinstance(reference, np.ndarray)
    if not arrays or own.shape != reference.shape or own.ndim < 3 or not own.size or own.dtype.kind not in "biuf":
        return own, reference
    with np.errstate(invalid="ignore", over="ignore"):
        apart = np.nan_to_num(np.abs(own.astype(np.float64) - reference.astype(np.float64)), nan=np.inf)
    index = np.unravel_index(int(apart.reshape(*own.shape[:-2], -1).max(-1).argmax()), own.shape[:-2])
    return own[index], reference[index]


def single(value: Any) -> Figure | None:
    """One result as a figure, or None where it has no picture: what a right answer looks like."""
    value = value.detach().cpu().numpy() if hasattr(value, "detach") else value
    drawn = _drawable(value)
    if drawn is None:
        return None
    figure = _figure(5.0 if drawn.ndim == 1 else 3.2, 2.2)
    axes = figure.add_subplot()
    if drawn.ndim == 1:
        axes.plot(drawn, "o-", color="#0072b2", markersize=5)
        axes.set_xlabel("index")
        axes.set_ylabel("value")
    else:
        figure.colorbar(axes.imshow(drawn, interpolation="nearest", aspect="auto"), ax=axes)
        axes.set_title(f"right: {drawn.shape[0]}×{drawn.shape[1]}", fontsize=9)
    return figure


def _address(figure: Figure) -> str:
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=80)
    return "data:image/png;base64," + base64.b64encode(data.getvalue()).decode()


def _drawable(value: Any) -> np.ndarray | None:
    """The first 2-D slice (or the curve) of an array of numbers, not larger than a picture needs."""
    array = np.asarray(value) if isinstance(value, np.ndarray) else None
    if array is None or array.ndim == 0 or array.size < 2 or array.dtype.kind not in "biuf":
        return None
    while array.ndim > 2:
        if not len(array):
            return None
        array = array[0]
    array = array[tuple(slice(0, MAX_SIDE) for _ in array.shape)].astype(np.float64)
    # beyond what can be drawn is drawn at the edge
    return np.clip(np.where(np.isfinite(array), array, np.nan), -HUGE, HUGE) if array.size else None


def _curves(own: np.ndarray, reference: np.ndarray) -> Figure:
    figure = _figure(6.4, 2.2)
    axes = figure.add_subplot()
    axes.plot(reference, "o-", color="#0072b2", markersize=5, label="reference")
    axes.plot(own, "x--", color="#d55e00", markersize=6, label="yours")
    axes.set_xlabel("index")
    axes.set_ylabel("value")
    axes.legend(loc="upper right", fontsize=8)
    return figure


def _maps(own: np.ndarray, reference: np.ndarray) -> Any:
    own, reference = np.atleast_2d(own), np.atleast_2d(reference)
    same = own.shape == reference.shape
    figure = _figure(7.2 if same else 5.0, 2.4)
    panels = [("yours", own, "viridis"), ("reference", reference, "viridis")]
    panels += [("yours − reference", own - reference, "PuOr")] if same else []
    ends = _range(own, reference)
    row = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (title, values, colours) in zip(row, panels, strict=True):
        reach = max(float(np.nanmax(np.abs(values), initial=0)), 1e-12) if colours == "PuOr" else 0
        low, high = (-reach, reach) if colours == "PuOr" else ends
        shown = axes.imshow(values, cmap=colours, vmin=low, vmax=high, aspect="auto", interpolation="nearest")
        axes.set_title(f"{title}  {values.shape[0]}×{values.shape[1]}", fontsize=9)
        axes.tick_params(labelsize=7)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(nbins=5, integer=True))
        figure.colorbar(shown, ax=axes, fraction=0.05).ax.tick_params(labelsize=7)
    return figure


def _range(own: np.ndarray, reference: np.ndarray) -> tuple[float, float]:
    """The reference's range: a wild answer must not wash it out."""
    values = reference if np.isfinite(reference).any() else own
    low, high = float(np.nanmin(values, initial=np.inf)), float(np.nanmax(values, initial=-np.inf))
    return (low, high) if low < high else (low - 0.5, low + 0.5) if np.isfinite(low) else (0.0, 1.0)


def _figure(width: float, height: float) -> Figure:
    return Figure(figsize=(width, height), layout="constrained")


def bars(heights: list[int], labels: list[str], xlabel: str, ylabel: str) -> str:
    """A bar chart as a data address."""
    figure = _figure(6.4, 2.4)
    axes = figure.add_subplot()
    axes.bar(range(len(heights)), heights, color="#0072b2", width=0.9)
    axes.set_xticks(range(len(labels)), labels, fontsize=8)
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.spines[["top", "right"]].set_visible(False)
    return _address(figure)
