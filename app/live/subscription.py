"""One subscription: what it asks for, how far it has been told, and what it is told next."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Hashable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import TypeVar

import orjson
from graphql import GraphQLError

from app.auth.viewer import Viewer
from app.context import Context
from app.errors import CursorExpired, InvalidCursor, ServiceUnavailable
from app.execution.document import Operation, RequestErrors
from app.execution.errors import render
from app.execution.execute import Answer, Engine, refuse
from app.http.budget import Budgets
from app.http.graphql import GraphQLRequest
from app.http.state import State
from app.live.audience import Audience, News
from app.live.hub import Hub
from app.live.session import Session, Sessions
from app.postgres.consistency import Consistency
from app.postgres.replicas import Replicas
from app.resolvers.feed import Event, Mark, Subscribed, mark_of, refuse_gone
from app.resolvers.place import Place

_RETRY_SECONDS = 0.5

T = TypeVar("T")

# The context of a session as it is now.
OpenContext = Callable[[Session], Context]


class Refused(Exception):
    """A subscription cannot begin, or go on; `answer` says why."""

    def __init__(self, answer: Answer) -> None:
        super().__init__("refused")
        self.answer = answer


class Subscriptions:
    """Opens those of one process. `replicas` are what callers may read from who ask about what they were told."""

    replicas: Replicas | None = None

    def __init__(
        self, engine: Engine, hub: Hub, sessions: Sessions, budgets: Budgets, open_context: OpenContext
    ) -> None:
        self._told: Consistency | None = None
        self.engine = engine
        self._budgets = budgets
        self.hub = hub
        self.sessions = sessions
        self.open_context = open_context

    async def open(
        self,
        request: GraphQLRequest,
        operation: Operation,
        session: Session,
        state: State,
        last_event_id: str | None = None,
    ) -> "Subscription":
        """`last_event_id` is a cursor that goes before the one of the arguments.

        It costs what one of its events may, once. Raises `Refused`, and `RateLimitExceeded` for lack of points.
        """
        try:
            points = self.engine.documents.estimate(operation, request.variables).points
        except RequestErrors as refusal:
            raise Refused(refuse(refusal, state.request_id)) from None
        watch, mark = await self.ask(request, operation, session)
        await self._budgets.take(self.open_context(session).payer, points, state)
        if last_event_id is not None:
            context = self.open_context(session)
            try:
                mark = mark_of(last_event_id)
                await refuse_gone(context, mark.place)
            except (CursorExpired, InvalidCursor, ServiceUnavailable) as error:
                errors, _ = render([GraphQLError(str(error), original_error=error)], context.request_id)
                raise Refused(Answer({"errors": errors}, ran=False)) from None
        return Subscription(self, request, operation, session, Subscribed(watch, mark))

    async def ask(self, request: GraphQLRequest, operation: Operation, session: Session) -> Subscribed:
        """What the field of the subscription says of what it watches. Raises `Refused`."""
        context = self.open_context(session)
        found = await self.engine.source(operation, request.variables, context, context.request_id)
        if isinstance(found, Answer):
            raise Refused(found)
        subscribed: Subscribed = found
        return subscribed

    async def execute(
        self, request: GraphQLRequest, operation: Operation, session: Session, events: Sequence[Event]
    ) -> Sequence[Answer]:
        """The answers to events, which share what is read for them. Raises `ServiceUnavailable`."""
        context = self.open_context(session)
        answers = await asyncio.gather(
            *(
                self.engine.run_event(operation, request.variables, context, context.request_id, event)
                for event in events
            )
        )
        for answer in answers:
            if answer.fault is not None:
                raise answer.fault
        state = None if self.replicas is None else await self.replicas.present()
        if state is None:
            return answers
        self._told = state if self._told is None else max(self._told, state)
        return [_with_state(answer, state) for answer in answers]

    def telling(self, viewer: Viewer) -> None:
        """A viewer is told what was executed by now, and reads no less from here on."""
        if self.replicas is not None and self._told is not None:
            self.replicas.writes.note(viewer.subject, self._told)


def _with_state(answer: Answer, state: Consistency) -> Answer:
    extensions = {**answer.body.get("extensions", {}), "consistency": str(state)}
    return replace(answer, body={**answer.body, "extensions": extensions})


class Subscription:
    """`news` goes on until the credentials of the session end, or nobody asks for more."""

    def __init__(
        self,
        subscriptions: Subscriptions,
        request: GraphQLRequest,
        operation: Operation,
        session: Session,
        subscribed: Subscribed,
    ) -> None:
        self._subscriptions = subscriptions
        self._request = request
        self._operation = operation
        self._session = session
        self._watch, self._mark = subscribed
        self._is_woken = False
        self._waking: asyncio.Future[None] | None = None  # where it waits; an event takes four times the memory

    def wake(self) -> None:
        self._is_woken = True
        if self._waking is not None and not self._waking.done():
            self._waking.set_result(None)

    async def _wait(self) -> None:
        if not self._is_woken:
            self._waking = asyncio.get_running_loop().create_future()
            await self._waking
            self._waking = None

    async def news(self) -> AsyncGenerator[News]:
        """What is told, in order, for as long as the session goes on: who ends it calls `wake`.

        Raises `Refused` where its viewer may not ask any more.
        """
        hub, session = self._subscriptions.hub, self._session
        session.listeners.append(self)
        try:
            mark = self._mark or Mark(await _insistently(hub.newest))
            is_up_to_date = False
            while session.ending is None:
                viewer = session.viewer
                assert viewer is not None  # noqa: S101  nobody else subscribes
                async with self._member_of(self._key()) as audience:
                    while session.ending is None and session.viewer == viewer:
                        self._is_woken = False
                        if is_up_to_date and not mark.held and mark.place >= audience.since:
                            news: Sequence[News] = audience.after(mark.place, self)
                            if not news:
                                # What was told to this audience is not told again as to a member of another one.
                                mark = Mark(max(mark.place, hub.told))
                                await self._wait()
                            elif await self._is_still(viewer):
                                self._subscriptions.telling(viewer)
                                for each in news:
                                    yield each
                                mark = Mark(each.place)
                                hub.sent += len(news)
                                del each  # the next may be long in coming
                            news = ()
                            continue
                        async with hub.catching_up(viewer.subject):
                            try:
                                news, reached, is_told = await self._past(audience, mark, is_up_to_date)
                            except ServiceUnavailable:
                                await asyncio.sleep(_RETRY_SECONDS)
                                continue
                            if news and not await self._is_still(viewer):
                                continue
                            self._subscriptions.telling(viewer)
                            for each in news:
                                yield each
                            mark, is_up_to_date = reached, is_told
                            hub.sent += len(news)
                            news = each = ()  # type: ignore[assignment]  # the next may be long in coming
                if session.ending is None:
                    # It may see, or do, something else by now: whether it may ask at all is asked again.
                    await self._subscriptions.ask(self._request, self._operation, session)
        finally:
            session.listeners.remove(self)

    async def _is_still(self, viewer: Viewer) -> bool:
        """Whether the session is that viewer's at this moment."""
        return await self._subscriptions.sessions.check(self._session) and self._session.viewer == viewer

    async def _past(self, audience: Audience, mark: Mark, is_up_to_date: bool) -> tuple[Sequence[News], Mark, bool]:
        """Some of what comes after a mark, the mark after it, and whether all of the past was told.

        Raises `ServiceUnavailable`.
        """
        since, hub = audience.since, self._subscriptions.hub
        changes = await hub.after(mark.place)
        if changes:
            news, place = await audience.told(changes, mark)
            held = await hub.still_held(mark.held, place) if mark.held else ()
            return news, Mark(place, held), is_up_to_date
        if mark.held:  # which have been committed, and come as soon as they have their positions
            reached = await hub.newest()
            return [], mark._replace(held=await hub.still_held(mark.held, reached)), is_up_to_date
        place = max(mark.place, since)
        return [] if is_up_to_date else [await audience.up_to_date(place)], Mark(place), True

    @asynccontextmanager
    async def _member_of(self, key: Hashable) -> AsyncIterator[Audience]:
        hub = self._subscriptions.hub
        audience = await _insistently(partial(hub.join, key, self._audience))
        audience.members.add(self)
        try:
            yield audience
        finally:
            audience.leave(self)
            hub.leave(key, audience)

    def _key(self) -> Hashable:
        """Those who have the same ask the same, see as far and may do the same."""
        viewer, request = self._session.viewer, self._request
        assert viewer is not None  # noqa: S101  nobody else subscribes
        # As text: of bytes orjson keeps the whole of its buffer.
        variables = orjson.dumps(request.variables, option=orjson.OPT_SORT_KEYS).decode()
        return request.query, request.operation_name, variables, viewer.kind, viewer.visibility, viewer.permissions

    def _audience(self, since: Place) -> Audience:
        viewer = self._session.viewer
        assert viewer is not None  # noqa: S101  nobody else subscribes
        # Of a session that may end before the audience does: who asks is what its members have in common.
        session = Session(self._session.headers, self._session.transport, self._session.address)
        session.viewer, session.storefront = viewer, self._session.storefront
        execute = partial(self._subscriptions.execute, self._request, self._operation, session)
        return Audience(self._watch, viewer.visibility, execute, since)


async def _insistently(ask: Callable[[], Awaitable[T]]) -> T:
    """What the database tells, whenever it is there."""
    while True:
        try:
            return await ask()
        except ServiceUnavailable:
            await asyncio.sleep(_RETRY_SECONDS)
