"""Random tests: the same examples every time, or other ones for as long as `make fuzz` says."""

import logging
import os
import random
import time
from collections.abc import Callable

from hypothesis import HealthCheck, seed, settings

MINUTES = float(os.environ.get("FUZZ_MINUTES") or 0)
SEED = int(os.environ.get("FUZZ_SEED") or random.randrange(10**6))


def fuzz(make: Callable[[], Callable[[], None]], *, examples: int, share: float, title: str) -> bool:
    """Runs what `make` gives, a function under `given`; whether at random, and not the same as ever.

    By `make fuzz` it runs again and again, for the `share` of the minutes that is this test's. Each round has a seed,
    from FUZZ_SEED on, which is printed: the round can be had again by it.
    """
    if not MINUTES:
        _settings(examples, derandomize=True)(make())()
        return False
    logging.disable(logging.ERROR)  # of what fails on purpose
    end, rounds = time.monotonic() + MINUTES * 60 * share, 0
    while not rounds or time.monotonic() < end:
        print(f"{title}: seed {SEED + rounds}, {examples * rounds:,} examples so far", flush=True)
        seed(SEED + rounds)(_settings(examples, derandomize=False)(make()))()
        rounds += 1
    print(f"{title}: {examples * rounds:,} examples, seeds {SEED} to {SEED + rounds - 1}", flush=True)
    return True


def _settings(examples: int, *, derandomize: bool) -> settings:
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=derandomize,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
