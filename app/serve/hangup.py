"""SIGHUP, which means two things: look again, and the terminal is gone."""

import os
import signal
from collections.abc import Callable


def on_hangup(reload: Callable[[], object]) -> None:
    """SIGHUP calls `reload`; but when it tells that the terminal we were started from is gone, we end."""
    terminals = [descriptor for descriptor in (0, 1, 2) if os.isatty(descriptor)]

    def handle(_number: int, _frame: object) -> None:
        if terminals and not any(map(os.isatty, terminals)):
            signal.raise_signal(signal.SIGTERM)
        else:
            reload()

    signal.signal(signal.SIGHUP, handle)
