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
from app.execution.errors import log_defect, render
from app.execution.execute import Answer, refuse
from app.http.deadline import Deadlines, Ending, Work
from app.http.graphql import GraphQLEndpoint, GraphQLRequest
from app.http.mutation import RenderedAnswer
from app.http.rate_limit import Admission
from app.http.reply import dump
from app.http.state import STATE, State
from app.live.session import Session
from app.live.subscription import Refused, Subscriptions
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
        self, subscriptions: Subscriptions, admission: Admission, deadlines: Deadlines, requests: Requests
    ) -> None:
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
        started = time.perf_counter()
        scope = {**scope, "type": "http", "method": "POST", "headers": session.headers}
        work = Work(self._deadlines, asyncio.current_task(), started)
        state = scope[STATE] = State(scope, work)
        outcome = "failed"
        try:
            if one_too_many := await self._admission.refuse(scope, speaks_graphql=True):
                outcome = "refused"
                errors = orjson.loads(bytes(one_too_many.body))["errors"]
                raise Refused(Answer({"errors": errors}, ran=False))
            operation = endpoint.prepare(request, state)
            if operation.kind is not OperationType.SUBSCRIPTION:
                answer = await endpoint.run(request, operation, scope, state)
                outcome = "errors" if "errors" in answer.body else "ok"
                if not answer.ran:
                    raise Refused(answer)
                yield Text(text_of(answer))
                return
            subscription = await self.subscriptions.open(request, operation, session)
            outcome = "ok"
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
        except Refused:
            raise
        except Exception as error:
            log_defect(error, state.request_id, path=scope["path"])
            raise Refused(_told(error, state.request_id)) from None
        finally:
            work.end()
            self._requests.record(outcome, time.perf_counter() - started)
        async with aclosing(subscription.news()) as news:
            async for each in news:
                yield Text(each.text, each.cursor)


def _told(error: Exception, request_id: str) -> Answer:
    errors, defects = render([GraphQLError(str(error), original_error=error)], request_id)
    return Answer({"errors": errors}, ran=False, defects=defects)
