"""What a request carries from layer to layer: one object in its ASGI scope, made by `Exchange` before all else."""

import random
import re
from collections.abc import Mapping

from starlette.types import Scope

from app.auth.storefront_key import Storefront
from app.documents.registry import Identity
from app.http.deadline import Work
from app.postgres.transaction import IdempotencyKey
from app.tracing import Trail

Header = tuple[bytes, bytes]

# Where it is in a scope, and where a server puts the whole body and the task that answers; see `app.http.protocol`.
STATE = "waybill.state"
BODY = "waybill.body"
TASK = "waybill.task"
# The path at which a request is answered, where Starlette has not found it.
ROUTE = "waybill.route"

ID_HEADER = b"x-request-id"
_ID_BITS = 128
# Letters, digits and a few signs: an id that came from outside goes into the log and back into a header.
_SANE_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")

_NO_STOREFRONT = Storefront()


class State:
    """One request. `fields` are its headers by name; of one that comes twice the first counts.

    `work` is ended when the deadline says so, and when its caller leaves. `body` is there where the server has it
    whole, packed or not. What a step adds to `answer_headers` goes into the answer, whoever gives it. `Admission` sets
    `storefront`, and whoever has found out who asks leaves the `identity` for the next; `operation` (a name) and
    `outcome` (see `Telemetry`) are for the log, empty where there is none; `trail` is what its statements came to, and
    `points` what it cost, or may cost as long as it has no answer; 0 where that is not counted.
    """

    __slots__ = (
        "answer_headers",
        "body",
        "fields",
        "idempotency_key",
        "identity",
        "operation",
        "outcome",
        "points",
        "request_id",
        "storefront",
        "trail",
        "work",
    )

    answer_headers: list[Header]
    body: bytes | None
    fields: Mapping[bytes, bytes]
    idempotency_key: IdempotencyKey | None
    identity: Identity | None
    operation: str | None
    outcome: str
    points: int
    request_id: str
    storefront: Storefront
    trail: Trail
    work: Work

    def __init__(self, scope: Scope, work: Work) -> None:
        self.fields = dict(reversed(scope["headers"]))
        request_id = self.fields.get(ID_HEADER, b"")
        if not _SANE_ID.fullmatch(request_id):
            request_id = new_id()
        self.request_id = request_id.decode()
        self.answer_headers = [(ID_HEADER, request_id)]
        self.work = work
        self.body = scope.pop(BODY, None)
        self.storefront = _NO_STOREFRONT
        self.idempotency_key = None
        self.identity = None
        self.operation = None
        self.outcome = ""
        self.points = 0
        self.trail = Trail()


def state_of(scope: Scope) -> State:
    """The state of a request whose answer has begun."""
    state: State = scope[STATE]
    return state


def new_id() -> bytes:
    """An id must be unique and may be guessed; the system's own randomness costs a system call."""
    return b"%032x" % random.getrandbits(_ID_BITS)
