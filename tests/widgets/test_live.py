"""The newest value wins: driven step by step through events, never by sleeping and hoping."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlseg.widgets.live import BUSY_AFTER, Live

Overtaken = Callable[[], bool]
WAIT = 20.0  # seconds after which a test that hangs gives up


class Screen:
    """Where pictures and errors of a Live land."""

    def __init__(self) -> None:
        self.shown: list[tuple[int, str]] = []
        self.errors: list[Exception] = []
        self.busy: list[bool] = []

    def live(self, compute: Callable[[int, Overtaken], Iterator[tuple[int, str]]]) -> Live:
        return Live(compute, [self.shown.append], self.errors.append, self.busy.append)


def preview_then_full(state: int, overtaken: Overtaken) -> Iterator[tuple[int, str]]:
    yield state, "preview"
    yield state, "full"


@pytest.fixture
def screen() -> Screen:
    return Screen()


def test_preview_then_full(screen: Screen) -> None:
    live = screen.live(preview_then_full)
    live.submit(7)
    assert live.wait_idle(WAIT)
    assert screen.shown == [(7, "preview"), (7, "full")] and live.error is None
    live.close()


def test_states_that_come_while_one_is_computed_are_skipped_but_for_the_newest(screen: Screen) -> None:
    started, go = threading.Event(), threading.Event()

    def compute(state: int, overtaken: Overtaken) -> Iterator[tuple[int, str]]:
        started.set()
        assert go.wait(WAIT)
        yield from preview_then_full(state, overtaken)

    live = screen.live(compute)
    live.submit(0)
    assert started.wait(WAIT)
    for state in range(1, 100):
        live.submit(state)
    go.set()
    assert live.wait_idle(WAIT)
    # 0 had begun: its first picture is shown, its second is not; of the rest only the newest is computed at all
    assert screen.shown == [(0, "preview"), (99, "preview"), (99, "full")]
    live.close()


def test_work_is_dropped_where_it_asks(screen: Screen) -> None:
    reached, go, told = threading.Event(), threading.Event(), []

    def compute(state: int, overtaken: Overtaken) -> Iterator[tuple[int, str]]:
        yield state, "preview"
        if state == 0:
            reached.set()
            assert go.wait(WAIT)
        told.append((state, overtaken()))
        if not overtaken():
            yield state, "full"

    live = screen.live(compute)
    live.submit(0)
    assert reached.wait(WAIT)
    live.submit(1)
    go.set()
    assert live.wait_idle(WAIT)
    assert told == [(0, True), (1, False)] and screen.shown == [(0, "preview"), (1, "preview"), (1, "full")]
    live.close()


def test_a_fast_drag_does_not_starve_the_display(screen: Screen) -> None:
    """Even where every state is overtaken before its first picture is ready, pictures keep coming."""
    live: Live

    def compute(state: int, overtaken: Overtaken) -> Iterator[tuple[int, str]]:
        if state < 20:
            live.submit(state + 1)
        yield from preview_then_full(state, overtaken)

    live = screen.live(compute)
    live.submit(0)
    while not (screen.shown and screen.shown[-1] == (20, "full")):
        assert live.wait_idle(WAIT)
    assert screen.shown == [*[(state, "preview") for state in range(21)], (20, "full")]
    live.close()


def test_after_an_error_the_next_state_works(screen: Screen, capfd: pytest.CaptureFixture[str]) -> None:
    def compute(state: int, overtaken: Overtaken) -> Iterator[tuple[int, str]]:
        if state == 13:
            raise ZeroDivisionError("forced")
        yield state, "full"

    live = screen.live(compute)
    live.submit(13)
    assert live.wait_idle(WAIT)
    assert [str(error) for error in screen.errors] == ["forced"] and isinstance(live.error, ZeroDivisionError)
    live.submit(14)
    assert live.wait_idle(WAIT)
    assert screen.shown == [(14, "full")] and live.error is None
    live.close()
    assert capfd.readouterr().err == ""


def test_a_display_that_fails_is_an_error_too(capfd: pytest.CaptureFixture[str]) -> None:
    def show(picture: object) -> None:
        raise OSError("no screen")

    def fail(error: Exception) -> None:
        raise OSError("no screen for errors either")

    live = Live(preview_then_full, [show], fail)
    live.submit(1)
    assert live.wait_idle(WAIT) and str(live.error) == "no screen"
    live.close()
    assert capfd.readouterr().err == ""


def test_long_work_says_that_it_is_busy_and_short_work_does_not(screen: Screen) -> None:
    marked = threading.Event()

    def compute(state: int, overtaken: Overtaken) -> Iterator[tuple[int, str]]:
        if state:
            assert marked.wait(WAIT)
        yield state, "full"

    def busy(working: bool) -> None:
        screen.busy.append(working)
        if working:
            marked.set()

    live = Live(compute, [screen.shown.append], screen.errors.append, busy)
    live.submit(1)  # cannot end before the mark is up
    assert live.wait_idle(WAIT + BUSY_AFTER) and screen.busy == [True, False]
    live.close()


def test_close_ends_the_thread_and_drops_the_work(screen: Screen) -> None:
    before, started = threading.active_count(), threading.Event()

    def compute(state: int, overtaken: Overtaken) -> Iterator[tuple[int, str]]:
        yield state, "preview"
        started.set()
        end = time.monotonic() + WAIT
        while not overtaken():  # closing overtakes
            assert time.monotonic() < end
            time.sleep(0.001)
        yield state, "full"

    live = screen.live(compute)
    live.submit(1)
    assert started.wait(WAIT)
    live.close()
    assert screen.shown == [(1, "preview")] and threading.active_count() == before
    live.submit(2)  # a late event of an old view
    live.close()
    assert screen.shown == [(1, "preview")]


def test_waiting_on_its_own_thread_is_refused(screen: Screen) -> None:
    def compute(state: int, overtaken: Overtaken) -> Iterator[tuple[int, str]]:
        live.wait_idle()
        yield state, "full"

    live = screen.live(compute)
    live.submit(1)
    assert live.wait_idle(WAIT)
    assert "own thread" in str(screen.errors[0])
    live.close()


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=40))
def test_whatever_comes_the_last_picture_is_the_newest_states(states: list[int]) -> None:
    screen = Screen()

    def compute(state: int, overtaken: Overtaken) -> Iterator[tuple[int, str]]:
        if state == 5:
            raise ValueError("forced")
        yield from preview_then_full(state, overtaken)

    live = screen.live(compute)
    for state in states:
        live.submit(state)
    assert live.wait_idle(WAIT)
    if states[-1] == 5:
        assert isinstance(live.error, ValueError)
    else:
        assert screen.shown[-1] == (states[-1], "full") and live.error is None
    assert len(screen.shown) <= 2 * len(states)
    live.close()
