"""Who listens, for as long as their credentials are good.

What a credential stands for is looked up again before anything is told by it, and a few times a second for those to
whom nothing is told: a connection must not outlive the right to it.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from enum import Enum, auto
from typing import Protocol

import sql
from app.auth.storefront_key import HEADER, Storefront, find_storefront
from app.auth.token import Tokens
from app.auth.viewer import KEY_HEADER, TOKEN_HEADER, Kind, Viewer, authenticate, claims_of
from app.errors import NotAuthenticated, ServiceUnavailable
from app.postgres.database import Database
from sql import Visibility

CUSTOMER_SESSION = sql.load("customer_session")

_CHECK_SECONDS = 0.5
# So many are checked before the loop does something else.
_AT_ONCE = 100
_OURS = Visibility.everything()
_STOREFRONT = HEADER.encode()

Headers = Sequence[tuple[bytes, bytes]]


class Ending(Enum):
    """Why a session is over."""

    REVOKED = auto()  # or expired
    STOPPED = auto()  # with the service: it may begin anew elsewhere


TRANSPORTS = ("websocket", "events", "parts")


class Listener(Protocol):
    def wake(self) -> None: ...


class Session:
    """The credentials of a connection, and what they stand for now. `headers` have their names in lower case.
    `address` is the client's.

    `transport` is one of `TRANSPORTS`.

    `viewer` is None without a credential, and where it was `refused`. `on_end` is called once, when there is an
    `ending`; `listeners` are woken then, and when the viewer is another one.
    """

    __slots__ = ("address", "ending", "headers", "listeners", "on_end", "refused", "storefront", "transport", "viewer")

    def __init__(self, headers: Headers, transport: str, address: str) -> None:
        self.headers = headers
        self.address = address
        self.transport = transport
        self.viewer: Viewer | None = None
        self.refused: NotAuthenticated | None = None
        self.storefront = Storefront()
        self.on_end: Callable[[], None] = lambda: None
        self.ending: Ending | None = None
        self.listeners: list[Listener] = []

    def wake(self) -> None:
        for listener in self.listeners:
            listener.wake()

    def end(self, ending: Ending) -> None:
        if self.ending is None:
            self.ending = ending
            self.on_end()
            self.wake()


class Sessions:
    """Those of one process. `most` may be kept, and `most_of_viewer` of one viewer.

    `closes` counts the WebSockets that ended, by their codes.

    `db` is there while the application runs.
    """

    db: Database

    def __init__(self, tokens: Tokens, *, most: int, most_of_viewer: int) -> None:
        self.closes: Counter[str] = Counter()
        self._tokens = tokens
        self._most = most
        self._most_of_viewer = most_of_viewer
        self._kept: dict[Session, str] = {}
        self._by_subject: Counter[str] = Counter()
        self._by_transport: Counter[str] = Counter()
        self._task: asyncio.Task[None] | None = None
        self._is_stopping = False

    def count_of(self, transport: str) -> int:
        """How many are kept that have this transport."""
        return self._by_transport[transport]

    def has_room(self, session: Session) -> bool:
        return len(self._kept) < self._most and self._by_subject[_subject_of(session)] < self._most_of_viewer

    @contextmanager
    def kept(self, session: Session) -> Iterator[None]:
        """Looks after a session, that is looked up, within the block."""
        subject = self._kept[session] = _subject_of(session)
        self._by_subject[subject] += 1
        self._by_transport[session.transport] += 1
        if self._task is None:
            self._task = asyncio.create_task(self._look_after())
        if self._is_stopping:
            session.end(Ending.STOPPED)
        try:
            yield
        finally:
            del self._kept[session]
            self._by_subject[subject] -= 1
            self._by_transport[session.transport] -= 1
            if not self._by_subject[subject]:
                del self._by_subject[subject]

    def stop(self) -> None:
        """Ends all: the service is about to."""
        self._is_stopping = True
        for session in list(self._kept):
            session.end(Ending.STOPPED)

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def check(self, session: Session) -> bool:
        """Whether it is good still; it ends where not. What the database cannot tell now stays as it was."""
        with suppress(ServiceUnavailable):
            before = session.viewer
            await self.look_up(session)
            if session.refused is not None or session.storefront.refusal is not None:
                session.end(Ending.REVOKED)
            elif session.viewer != before:
                session.wake()
        return session.ending is None

    async def look_up(self, session: Session) -> None:
        """Finds out what the credentials stand for. Raises `ServiceUnavailable`."""
        await self._look_up_storefront(session)
        try:
            session.viewer, session.refused = await self._viewer_of(session), None
        except NotAuthenticated as refused:
            session.viewer, session.refused = None, refused.with_traceback(None)

    async def _viewer_of(self, session: Session) -> Viewer | None:
        fields = dict(reversed(session.headers))
        return await authenticate(session.headers, fields, self.db, self._tokens, session.address)

    async def _look_up_storefront(self, session: Session) -> None:
        keys = [value.decode("latin-1") for name, value in session.headers if name == _STOREFRONT]
        if keys:
            storefront = await find_storefront(keys, self.db, session.address)
            if isinstance(storefront.refusal, ServiceUnavailable):
                raise storefront.refusal
            session.storefront = storefront

    async def _look_after(self) -> None:
        while True:
            await asyncio.sleep(_CHECK_SECONDS)
            with_viewer = [session for session in self._kept if session.viewer is not None]
            customers = [session for session in with_viewer if _is_customer_alone(session)]
            for place, session in enumerate(with_viewer):
                if not _is_customer_alone(session):
                    await self.check(session)
                if place % _AT_ONCE == 0:
                    await asyncio.sleep(0)
            if customers:
                with suppress(ServiceUnavailable):
                    await self._check_customers(customers)

    async def _check_customers(self, sessions: Sequence[Session]) -> None:
        """All by one statement: theirs are rows, which nothing tells of. Their tokens are verified like everybody's."""
        ids = {session.viewer.session_id for session in sessions if session.viewer is not None}
        rows = await self.db.fetch(CUSTOMER_SESSION.good, _OURS, session_ids=list(ids))
        good = {row["id"] for row in rows}
        for place, session in enumerate(sessions):
            await self._look_up_storefront(session)
            is_good = session.viewer is not None and session.viewer.session_id in good and self._is_believed(session)
            if not is_good or session.storefront.refusal is not None:
                session.end(Ending.REVOKED)
            if place % _AT_ONCE == 0:
                await asyncio.sleep(0)

    def _is_believed(self, session: Session) -> bool:
        try:
            claims_of(dict(session.headers)[TOKEN_HEADER], self._tokens)
        except NotAuthenticated:
            return False
        return True


def _is_customer_alone(session: Session) -> bool:
    """A customer without the key of a portal, which would have to be good as well."""
    is_customer = session.viewer is not None and session.viewer.kind is Kind.CUSTOMER
    return is_customer and all(name != KEY_HEADER for name, _ in session.headers)


def _subject_of(session: Session) -> str:
    return "" if session.viewer is None else session.viewer.subject
