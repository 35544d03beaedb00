"""Requests to stop, from a keyboard or a batch system."""

from __future__ import annotations

import signal
from collections.abc import Callable

import click

# Batch systems ask with these for a clean end; not every system has the second.
_END = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGUSR1") if hasattr(signal, name))


def interrupt_on_request() -> None:
    """Let what a batch system sends end the process as Ctrl-C does."""
    for number in _END:
        signal.signal(number, signal.default_int_handler)


class stop_on_request:  # noqa: N801 - reads as a verb where it is used
    """Turn the first Ctrl-C, SIGTERM or SIGUSR1 into a question that the loop asks; a second one ends at once."""

    def __enter__(self) -> Callable[[], bool]:
        """Return the question."""
        self._asked = False
        self._before = {number: signal.signal(number, self._ask) for number in (signal.SIGINT, *_END)}
        return lambda: self._asked

    def _ask(self, _number: int, _frame: object) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
        click.echo("\nstopping after this step; once more ends at once", err=True)

    def __exit__(self, *error: object) -> None:
        """Let the signals mean again what they meant."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
