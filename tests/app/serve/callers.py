"""Those who ask a real service again and again, and count what they are answered."""

import asyncio
from collections import Counter

import httpx

from tests.conftest import FAR_TOO_LONG

QUERY = {"query": "{ __typename }"}


class Callers:
    """Asks again and again on connections that are kept alive, and counts the answers by status.

    Each rests for so many seconds between two requests: less leaves no processor for what is started meanwhile, and a
    connection that rests may be closed just as it is used again, which must not happen either. Whoever finds nobody
    stops. One whose connection breaks is counted as `broken`, and asks again.
    """

    def __init__(self, site: str, number: int, rest: float = 0.0) -> None:
        self.seen: Counter[int | str] = Counter()
        self._site = site
        self._rest = rest
        self._enough = asyncio.Event()
        self._calling = [asyncio.create_task(self._call()) for _ in range(number)]

    async def _call(self) -> None:
        async with httpx.AsyncClient(timeout=FAR_TOO_LONG) as client:
            while not self._enough.is_set():
                try:
                    response = await client.post(f"{self._site}/graphql", json=QUERY)
                    self.seen[response.status_code] += 1
                    await asyncio.sleep(self._rest)
                except httpx.ConnectError:
                    self.seen["not there"] += 1
                    return
                except httpx.TransportError:
                    self.seen["broken"] += 1

    async def until(self, answers: int) -> None:
        wanted = self.seen[200] + answers
        async with asyncio.timeout(FAR_TOO_LONG):
            while self.seen[200] < wanted:  # noqa: ASYNC110  answers set no event
                await asyncio.sleep(0.01)

    async def end(self) -> None:
        self._enough.set()
        await asyncio.gather(*self._calling)
