"""What a worker and its supervisor say to each other.

They are joined by a pair of sockets, on which each says one word a line: the worker `ready` when it answers, `alive`
once a second, and `failed` with the reason where it cannot begin; the supervisor `retire`, where another is in its
place, and `stop`, where all end. Where the supervisor is gone without a word, so are its workers.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

READY, ALIVE, FAILED = b"ready", b"alive", b"failed"
RETIRE, STOP = b"retire", b"stop"
BEAT_SECONDS = 1.0

_WORKER = "app.serve.worker"


def command(number: int, folder: Path, channel: int, sockets: Sequence[int]) -> list[str]:
    """What starts a worker that inherits these descriptors; `number` and `folder` are those of `Worker`."""
    listeners = [f"--socket={descriptor}" for descriptor in sockets]
    # -P: the folder that `serve` was called in may hold another `app`.
    return [
        *(sys.executable, "-P", "-m", _WORKER),
        *(f"--number={number}", f"--folder={folder}", f"--channel={channel}", *listeners),
    ]
