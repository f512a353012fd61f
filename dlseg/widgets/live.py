"""The loop behind every explorer: the newest value wins, a preview comes first, nothing queues, errors are shown.

Slider callbacks return at once. One thread per explorer computes, so a cell that runs beside it, and JupyterLab's
sub-shells (which call back on threads of their own), never compute or draw at the same time as the explorer.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

State = TypeVar("State")
Answer = TypeVar("Answer")
BUSY_AFTER = 0.2  # seconds of work before the explorer says that it is working


class Live(Generic[State, Answer]):
    """Turns states into answers on one thread, and shows them.

    `compute(state, overtaken)` yields answers, a quick one first. At each yield, and where `overtaken()` is true,
    work is dropped for a newer state; but a state's first answer is always shown, or a fast drag would starve
    the display. Each of `show` is called with the answer, on the worker's thread, as are `fail(error)` and
    `busy(working)`; `busy(True)` only when the work takes more than 0.2 s. `latest` is the answer shown last.
    """

    def __init__(
        self,
        compute: Callable[[State, Callable[[], bool]], Iterator[Answer]],
        show: Sequence[Callable[[Answer], None]],
        fail: Callable[[Exception], None],
        busy: Callable[[bool], None] = lambda working: None,
    ) -> None:
        self._compute, self._show, self._fail, self._busy = compute, show, fail, busy
        self._change = threading.Condition()
        self._waiting: list[State] = []  # none or one: a newer state replaces the one that waits
        self._working = False
        self._closed = False
        self.latest: Answer | None = None
        self.error: Exception | None = None  # what the newest state ended with
        self._thread = threading.Thread(target=self._run, name="dlseg-explorer", daemon=True)
        self._thread.start()

    def submit(self, state: State) -> None:
        """Ask for a state's answers; returns at once. After `close` it does nothing: a late event is no error."""
        with self._change:
            if not self._closed:
                self._waiting = [state]
                self._change.notify_all()

    def wait_idle(self, timeout: float | None = None) -> bool:
        """Wait until the newest state's last answer is shown; False if `timeout` seconds were not enough."""
        if threading.current_thread() is self._thread:
            raise RuntimeError("wait_idle was called on the explorer's own thread, which would wait for itself")
        with self._change:
            return self._change.wait_for(lambda: self._closed or not (self._waiting or self._working), timeout)

    def close(self) -> None:
        """Drop the work under way and end the thread. Closing twice is fine."""
        with self._change:
            self._closed = True
            self._waiting.clear()
            self._change.notify_all()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _run(self) -> None:
        while (state := self._next()) is not None:
            timer = threading.Timer(BUSY_AFTER, self._guarded, (self._busy, True))
            timer.daemon = True
            timer.start()
            self.error = self._guarded(self._draw, state[0])
            timer.cancel()
            timer.join()
            if self.error is not None:
                self._guarded(self._fail, self.error)
            self._guarded(self._busy, False)
            with self._change:
                self._working = False
                self._change.notify_all()

    def _next(self) -> list[State] | None:
        with self._change:
            self._change.wait_for(lambda: self._waiting or self._closed)
            if self._closed:
                return None
            state, self._waiting, self._working = self._waiting, [], True
            return state

    def _draw(self, state: State) -> None:
        for number, answer in enumerate(self._compute(state, self._overtaken)):
            if self._closed or (number and self._waiting):
                return
            for show in self._show:
                show(answer)
            self.latest = answer
            if self._waiting:
                return

    def _overtaken(self) -> bool:
        return self._closed or bool(self._waiting)

    @staticmethod
    def _guarded(call: Callable[..., None], *values: object) -> Exception | None:
        """Call, and hand back what it raised: an error on this thread would otherwise go to stderr or nowhere."""
        try:
            call(*values)
        except Exception as error:
            return error
        return None
