"""Which loop a module's tests run on."""

import asyncio
from collections.abc import Callable, Mapping

import pytest

from tests.quiet_loop import QuietLoop

ON_QUIET_LOOP = {"test_protocol.py"}


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"loop": QuietLoop if item.path.name in ON_QUIET_LOOP else asyncio.new_event_loop}
