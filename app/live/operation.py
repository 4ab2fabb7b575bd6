"""An operation of any kind whose answers go on: one of a query or a mutation, one to each event of a subscription."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import NamedTuple

import orjson
from graphql import GraphQLError, OperationType
from starlette.types import Scope

from app.errors import ServiceUnavailable, TimedOut, WaybillError
from app.execution.document import RequestErrors
from app.execution.errors import internal, log_defect, render
from app.execution.execute import Answer, refuse
from app.http.deadline import Deadlines, Ending, Work
from app.http.graphql import GraphQLEndpoint, GraphQLRequest
from app.http.mutation import RenderedAnswer
from app.http.overload import LoadShedder, kind_of
from app.http.rate_limit import Admission
from app.http.reply import dump
from app.http.state import STATE, State
from app.live.session import Session
from app.live.subscription import Refused, Subscription, Subscriptions
from app.telemetry import Requests


class Text(NamedTuple):
    """An answer as JSON; `cursor` is where to go on behind it, empty where nothing comes."""

    text: bytes
    cursor: str = ""


def text_of(answer: Answer) -> bytes:
    return answer.text if isinstance(answer, RenderedAnswer) else dump(answer.body)


class Operations:
    """Runs those of one process whose answers do not go the way of an HTTP request."""

    def __init__(
        self,
        subscriptions: Subscriptions,
        admission: Admission,
        deadlines: Deadlines,
        shedder: LoadShedder,
        requests: Requests,
    ) -> None:
        self._shedder = shedder
        self.subscriptions = subscriptions
        self._admission = admission
        self._deadlines = deadlines
        self._requests = requests

    async def answers(
        self, endpoint: GraphQLEndpoint, request: GraphQLRequest, session: Session, scope: Scope
    ) -> AsyncGenerator[Text]:
        """The answers, for as long as somebody takes them and the session goes on.

        `scope` is that of the connection. Raises `Refused` for what did not run.
        """
        begun = await self._begin(endpoint, request, session, scope)
        if isinstance(begun, Answer):
            yield Text(text_of(begun))
            return
        async with aclosing(begun.news()) as news:
            async for each in news:
                yield Text(each.text, each.cursor)
                del each  # the next may be long in coming

    async def _begin(
        self, endpoint: GraphQLEndpoint, request: GraphQLRequest, session: Session, scope: Scope
    ) -> Answer | Subscription:
        """The answer to a query or a mutation, or the subscription. Raises `Refused`."""
        started = time.perf_counter()
        scope = {**scope, "type": "http", "method": "POST", "headers": session.headers}
        work = Work(self._deadlines, asyncio.current_task(), started)
        state = scope[STATE] = State(scope, work)
        outcome = "failed"
        try:
            kind = kind_of(scope["path"], state.fields)
            if kind is not None and not self._shedder.admit(work, kind):
                await self._shedder.wait(work, kind)
            begun = await self._run(endpoint, request, session, scope, state)
            outcome = "errors" if isinstance(begun, Answer) and "errors" in begun.body else "ok"
            return begun
        except Refused:
            outcome = "refused"
            raise
        except RequestErrors as errors:
            outcome = "refused"
            raise Refused(refuse(errors, state.request_id)) from None
        except WaybillError as error:
            outcome = "unavailable" if isinstance(error, ServiceUnavailable) else "refused"
            raise Refused(_told(error, state.request_id)) from None
        except asyncio.CancelledError:
            outcome = "aborted"
            if not work.take_back_if(Ending.LATE):
                raise
            outcome = "unavailable"
            raise Refused(_told(TimedOut(reason="deadline"), state.request_id)) from None
        except Exception as error:
            raise Refused(_told(error, state.request_id)) from None
        finally:
            work.end()
            self._requests.record(outcome, time.perf_counter() - started)

    async def _run(
        self, endpoint: GraphQLEndpoint, request: GraphQLRequest, session: Session, scope: Scope, state: State
    ) -> Answer | Subscription:
        if one_too_many := await self._admission.refuse(scope, speaks_graphql=True):
            errors = orjson.loads(bytes(one_too_many.body))["errors"]
            raise Refused(Answer({"errors": errors}, ran=False))
        operation = await endpoint.prepare(request, scope, state)
        if operation.kind is OperationType.SUBSCRIPTION and not endpoint.is_validated(state):
            return await self.subscriptions.open(request, operation, session, state)
        answer = await endpoint.run(request, operation, scope, state)
        if not answer.ran:
            raise Refused(answer)
        return answer


def _told(error: Exception, request_id: str) -> Answer:
    if not isinstance(error, WaybillError):  # its words are for the log
        log_defect(error, request_id)
        defect = {"message": "Internal server error", "extensions": internal(request_id)}
        return Answer({"errors": [defect]}, ran=False, defects=1)
    errors, defects = render([GraphQLError(str(error), original_error=error)], request_id)
    return Answer({"errors": errors}, ran=False, defects=defects)
