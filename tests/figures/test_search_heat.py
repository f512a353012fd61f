"""The search's heat maps say the numbers that they were given."""

import numpy as np
import pytest

from dlseg.crf import CRFParams, SearchResult, Trial
from dlseg.figures.search_heat import search_heat


@pytest.fixture
def result() -> SearchResult:
    trials = [Trial(None, 0.5, 0.4, 0.9)]
    for w1 in (5, 10):
        for alpha in (50, 60):
            for beta in (3, 4, 5):
                good = 0.5 + 0.01 * beta - 0.001 * alpha + 0.002 * w1
                trials.append(Trial(CRFParams(w1, alpha, beta), good, good - 0.1, 0.9))
    trials.append(Trial(CRFParams(10, 45, 6), 0.7, 0.5, 0.9, 1))
    return SearchResult(tuple(trials), 20, len(trials))


def test_titles_cells_and_the_best(result: SearchResult) -> None:
    figure = search_heat(result)
    whole, band = (axes for axes in figure.axes if axes.get_title())
    assert whole.get_title() == "mean IoU: 50.0 → 70.0 %"
    assert band.get_title() == "mean IoU near boundaries: 40.0 → 50.0 %"
    assert len(whole.patches) == 6
    assert sorted({(patch.get_x() + 0.5, patch.get_y() + 5) for patch in whole.patches})[0] == (3, 50)
    assert whole.texts[0].get_text() == "w1 10, σα 45, σβ 6"
    crosses = [c for c in whole.collections if len(c.get_paths()[0].vertices) == 4]
    assert len(crosses) == 1  # (60, 3): 0.5 + 0.03 - 0.06 + 0.02 is less than no CRF
    np.testing.assert_array_equal(crosses[0].get_offsets(), [[3, 60]])


def test_one_panel_where_no_boundaries_are_marked(result: SearchResult) -> None:
    plain = SearchResult(tuple(Trial(t.params, t.mean_iou, None, 0.9, t.round) for t in result.trials), 20, 0)
    assert [axes.get_title() for axes in search_heat(plain).axes if axes.get_title()] == ["mean IoU: 50.0 → 70.0 %"]
    assert search_heat(SearchResult(plain.trials[:2], 20, 0)).pixels().shape[2] == 3
