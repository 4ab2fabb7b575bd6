"""Answers the requests to a page, and says in words what went wrong with one."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from app.errors import RateLimitExceeded, RequestRefused, ServiceUnavailable, TimedOut
from app.execution.errors import log_defect, log_fault
from app.http.body import refusal_headers
from app.http.deadline import Ending
from app.http.reply import retry_after
from app.http.state import state_of
from app.pages.visit import PageProblem, Refused, Site, Visit


@dataclass(frozen=True)
class Page:
    """Where a page is, and what answers it. One that `takes_forms` is posted to as well; a stream `goes_on`.

    `handle` raises `PageProblem` where there is something else to be said, and what `Visit.ask` does.
    """

    path: str
    handle: Callable[[Visit], Awaitable[Response]]
    takes_forms: bool = False
    goes_on: bool = False


class PageEndpoint:
    """An ASGI application that answers one page. See `Visit`."""

    def __init__(self, page: Page, site: Site) -> None:
        self._page = page
        self._site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        state = state_of(scope)
        visit = Visit(scope, receive, self._site)
        try:
            if scope["method"] != "POST" and not self._page.goes_on:
                state.work.watch(scope, receive)
            response, outcome = await self._page.handle(visit), "ok"
            if self._page.goes_on:
                state.work.lift()
        except PageProblem as problem:
            outcome = "refused"
            response = visit.render(f"shared/{problem.template}", problem.status, problem.headers)
        except Refused as refused:
            outcome = "failed" if refused.status == 500 else "refused"
            response = visit.render("shared/problem", refused.status)
        except RequestRefused as error:
            outcome = "refused"
            status = error.http_status
            response = visit.render("shared/problem", status, refusal_headers(error))
        except RateLimitExceeded as error:
            outcome = "refused"
            response = visit.render("shared/problem", error.status, {"retry-after": str(error.seconds)})
        except ServiceUnavailable as error:
            log_fault(error, state.request_id)
            outcome = "unavailable"
            response = visit.render("shared/problem", error.status, retry_after(error))
        except asyncio.CancelledError:
            if not state.work.take_back_if(Ending.LATE):
                state.outcome = "aborted"
                raise
            outcome = "unavailable"
            response = visit.render("shared/problem", 503, retry_after(TimedOut()))
        except Exception as error:
            outcome = "failed"
            log_defect(error, state.request_id, path=self._page.path)
            response = visit.render("shared/problem", 500)
        state.outcome = outcome
        await response(scope, receive, send)


def route(page: Page, app: ASGIApp) -> Route:
    return Route(page.path, app, methods=["GET", "POST"] if page.takes_forms else ["GET"])
