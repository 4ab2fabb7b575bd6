"""Every error that a caller may see. Resolvers raise them; `app.execution` and `app.http` render them.

    WaybillError                       code, message, HTTP status where the protocol has one
    ├── NotAuthenticated               UNAUTHENTICATED          no credential, or one that is not accepted
    │   ├── StorefrontKeyRequired      on the customer surface: no key of a shop
    │   ├── StorefrontKeyInvalid       a key that is none, or is switched off
    │   ├── CustomerNotLoggedIn        no customer of the key's channel asks
    │   └── AccountSuspended           a good token of a customer who may not use it
    ├── Forbidden                      FORBIDDEN                a credential that does not reach this far
    ├── ValidationError                VALIDATION_ERROR         an argument that breaks a rule; names the argument
    ├── MalformedInput                 VALIDATION_ERROR         a form whose fields break rules; names all of them
    ├── Conflict                       CONFLICT                 somebody else writes here at this moment
    │   └── VersionConflict            CONFLICT                 the row is not the one that was read; tells its version
    ├── IdempotencyKeyReused           IDEMPOTENCY_KEY_REUSED   the key stands for another request
    ├── TooManyAttempts                TOO_MANY_ATTEMPTS        logins beyond a limit
    ├── RateLimitExceeded              RATE_LIMIT_EXCEEDED      a key has asked too often
    │   └── PointsSpent                RATE_LIMIT_EXCEEDED      the viewer has not the points that it costs
    ├── NotFound                       the row does not exist, or is not the caller's: nobody can tell which
    │   ├── ShipmentNotFound           SHIPMENT_NOT_FOUND_ERROR
    │   ├── ShipmentItemNotFound       SHIPMENT_ITEM_NOT_FOUND_ERROR
    │   ├── TrackAndTraceNotFound      TRACK_AND_TRACE_NOT_FOUND_ERROR
    │   ├── CarrierNotFound            CARRIER_NOT_FOUND_ERROR
    │   ├── OrderNotFound              ORDER_NOT_FOUND
    │   ├── OrderItemNotFound          ORDER_ITEM_NOT_FOUND
    │   ├── OrderAddressNotFound       ORDER_ADDRESS_NOT_FOUND_ERROR
    │   ├── OrderStatusNotFound        ORDER_STATUS_NOT_FOUND_ERROR
    │   ├── WebhookEndpointNotFound    WEBHOOK_ENDPOINT_NOT_FOUND
    │   ├── WebhookDeliveryNotFound    WEBHOOK_DELIVERY_NOT_FOUND
    │   ├── ShopNotFound               SHOP_NOT_FOUND
    │   ├── CustomerOrderNotFound      NOT_FOUND
    │   └── CustomerShipmentNotFound   NOT_FOUND
    ├── CarrierAlreadyExists           CARRIER_ALREADY_EXISTS_ERROR         the name of another carrier
    ├── CarrierInUse                   CARRIER_DELETE_ERROR                 a carrier that codes refer to
    ├── OrderStepNotAllowed            ORDER_STATUS_TRANSITION_NOT_ALLOWED  a status that cannot follow the present one
    ├── CredentialsInvalid             USER_NOT_FOUND_ERROR     a login by an e-mail or a password that is not good
    ├── RefreshTokenInvalid            EXCHANGE_REFRESH_TOKEN_ERROR  one that is none, expired or used
    ├── PasswordLinkInvalid            PASSWORD_LINK_INVALID    a link that is none, expired or used
    ├── OrderLinkRefused               ORDER_LINK_REFUSED       no order of that number, postal code and e-mail
    ├── InvalidOrderId                 INVALID_ORDER_ID         a text that is no order's id
    ├── InvalidShipmentId              INVALID_SHIPMENT_ID      a text that is no shipment's id
    ├── MissingId                      MISSING_ID               an empty id
    ├── InvalidPagination              invalid-pagination       first and last out of bounds, or both of them
    ├── InvalidCursor                  INVALID_CURSOR           broken, or of another list
    ├── CursorExpired                  CURSOR_EXPIRED           of changes that are not kept any more
    ├── ServiceUnavailable             not the caller's fault, nor a defect: the same request is good later
    │   ├── TimedOut                   TIMEOUT                  it took longer than it may
    │   ├── ReadOnly                   READ_ONLY                the database takes no writes
    │   ├── Unavailable                UNAVAILABLE              the database is not there, or cannot work
    │   ├── Overloaded                 OVERLOADED               too many ask at the same time
    │   └── OutcomeUnknown             OUTCOME_UNKNOWN          nobody knows whether a write was done
    └── RequestRefused                 refused before GraphQL ran: malformed, over a limit, wrong media type

The codes are the names of the contracts (rows B-9, C-8, C-21 and C-23). Anything that is not a `WaybillError` is a
defect of this service: the caller learns "Internal server error" and a request id, the log learns the rest.
"""

import re
from typing import Any, ClassVar

# In characters. An answer must not grow with what it quotes of its request.
LONGEST_MESSAGE = 1_000
LONGEST_QUOTATION = 100

_LONGEST_WORD = LONGEST_QUOTATION + 20  # with what stands around a quotation
_LONG_WORD = re.compile(rf"(?<!\S)\S{{{_LONGEST_WORD + 1},}}")


def shorten(message: str) -> str:
    """The message, without the middle of its long words, and without its end where it is long all the same."""
    if len(message) <= _LONGEST_WORD:
        return message
    message = _LONG_WORD.sub(lambda word: quotable(word[0]), message)
    return message if len(message) <= LONGEST_MESSAGE else f"{message[: LONGEST_MESSAGE - 1]}…"


def quotable(text: str) -> str:
    """What a message quotes of a value: all of it, or its beginning and its end."""
    return text if len(text) <= LONGEST_QUOTATION else f"{text[: LONGEST_QUOTATION - 10]}…{text[-9:]}"


class WaybillError(Exception):
    """An error that is the caller's to read.

    `code` goes to `extensions.code`; `extensions` go beside it; `status` is used where the answer is not GraphQL.
    """

    code: ClassVar[str]
    status: ClassVar[int] = 400

    def __init__(self, message: str, **extensions: Any) -> None:
        self.message = shorten(message)
        super().__init__(self.message)
        self.extensions = {"code": self.code, **extensions}


class NotAuthenticated(WaybillError):
    code = "UNAUTHENTICATED"
    status = 401

    def __init__(self, message: str = "A valid API key or access token is required.") -> None:
        super().__init__(message)


class StorefrontKeyRequired(NotAuthenticated):
    """`kind` is what the shop API calls it (C-4)."""

    kind = "missing_key"

    def __init__(self) -> None:
        super().__init__("X-STOREFRONT-KEY header is required for this operation")


class StorefrontKeyInvalid(NotAuthenticated):
    """`kind` is what the shop API calls it (C-5)."""

    kind = "invalid_key"

    def __init__(self) -> None:
        super().__init__("Invalid API key")


class CustomerNotLoggedIn(NotAuthenticated):
    """C-7: without a token, and with one that is unknown, expired, revoked or of another channel."""

    def __init__(self) -> None:
        super().__init__("Customer is not logged in.")


class AccountSuspended(NotAuthenticated):
    """Reads like any other refusal; only the shop of `channel_id` may be told the reason."""

    def __init__(self, channel_id: int) -> None:
        super().__init__()
        self.channel_id = channel_id


class Forbidden(WaybillError):
    code = "FORBIDDEN"
    status = 403


class ValidationError(WaybillError):
    """`argument` is the dotted path of the refused argument, such as `input.createdAt.lessThan` or `input.ids.0`."""

    code = "VALIDATION_ERROR"

    def __init__(self, argument: str, rule: str) -> None:
        super().__init__(f"{argument} {rule}", argument=argument, path=argument, rule=rule)


class MalformedInput(WaybillError):
    """`texts` are whole sentences, one for each fault (C-41)."""

    code = "VALIDATION_ERROR"

    def __init__(self, *texts: str) -> None:
        super().__init__(" ".join(texts))


class Conflict(WaybillError):
    """The same request may succeed when it is sent again."""

    code = "CONFLICT"
    status = 409


class VersionConflict(Conflict):
    """`version` is the present one of the row."""

    def __init__(self, version: int) -> None:
        rule = f"must be the present version, which is {version}"
        super().__init__(f"ifVersion {rule}", path="ifVersion", rule=rule, version=version)


class IdempotencyKeyReused(WaybillError):
    code = "IDEMPOTENCY_KEY_REUSED"
    status = 422

    def __init__(self) -> None:
        message = "The idempotency key stands for another request already."
        super().__init__(message, path="Idempotency-Key", rule="must be a new key for every request")


class TooManyAttempts(WaybillError):
    code = "TOO_MANY_ATTEMPTS"
    status = 429

    def __init__(self) -> None:
        super().__init__("Too many authentication attempts. Please try again later.")


class RateLimitExceeded(WaybillError):
    """`seconds` are those until it is worth asking again (C-46)."""

    code = "RATE_LIMIT_EXCEEDED"
    status = 429

    def __init__(self, seconds: int, **extensions: Any) -> None:
        super().__init__("Rate limit exceeded", **extensions)
        self.seconds = seconds


class PointsSpent(RateLimitExceeded):
    """`cost` says what the request may cost, as `requested`, and what there is."""

    def __init__(self, seconds: int, cost: dict[str, int]) -> None:
        super().__init__(seconds, cost=cost)


class NotFound(WaybillError):
    """Raised from an empty row alone, so that not-yours and not-there cannot differ.

    `path` is the dotted path of the argument that holds the key, named by what writes.
    """

    noun: ClassVar[str]
    status = 404

    def __init__(self, key: object, path: str | None = None) -> None:
        where = {} if path is None else {"path": path, "rule": "must exist"}
        super().__init__(f'{self.noun} "{quotable(str(key))}" not found.', **where)


class ShipmentNotFound(NotFound):
    code, noun = "SHIPMENT_NOT_FOUND_ERROR", "Shipment"


class ShipmentItemNotFound(NotFound):
    code, noun = "SHIPMENT_ITEM_NOT_FOUND_ERROR", "Shipment item"


class TrackAndTraceNotFound(NotFound):
    code, noun = "TRACK_AND_TRACE_NOT_FOUND_ERROR", "Track and trace"


class CarrierNotFound(NotFound):
    code, noun = "CARRIER_NOT_FOUND_ERROR", "Carrier"


class OrderNotFound(NotFound):
    code, noun = "ORDER_NOT_FOUND", "Order"


class OrderItemNotFound(NotFound):
    code, noun = "ORDER_ITEM_NOT_FOUND", "Order item"


class OrderAddressNotFound(NotFound):
    code, noun = "ORDER_ADDRESS_NOT_FOUND_ERROR", "Order address"


class OrderStatusNotFound(NotFound):
    code, noun = "ORDER_STATUS_NOT_FOUND_ERROR", "Order status"


class RefundNotFound(NotFound):
    code, noun = "REFUND_NOT_FOUND_ERROR", "Refund"


class WebhookEndpointNotFound(NotFound):
    code, noun = "WEBHOOK_ENDPOINT_NOT_FOUND", "Webhook endpoint"


class WebhookDeliveryNotFound(NotFound):
    code, noun = "WEBHOOK_DELIVERY_NOT_FOUND", "Webhook delivery"


class ShopNotFound(NotFound):
    code, noun = "SHOP_NOT_FOUND", "Shop"


class CustomerOrderNotFound(NotFound):
    code, noun = "NOT_FOUND", "Customer order with ID"


class CustomerShipmentNotFound(NotFound):
    code, noun = "NOT_FOUND", "Customer shipment with ID"


class CarrierAlreadyExists(WaybillError):
    """B-55."""

    code = "CARRIER_ALREADY_EXISTS_ERROR"
    status = 409

    def __init__(self, field: str) -> None:
        rule = f"must be the {field} of no other carrier"
        super().__init__(f"Another carrier has this {field}.", path=f"input.{field}", rule=rule)


class CarrierInUse(WaybillError):
    """B-55."""

    code = "CARRIER_DELETE_ERROR"
    status = 409

    def __init__(self) -> None:
        rule = "must be the id of a carrier that no code refers to"
        super().__init__("There are codes of this carrier.", path="id", rule=rule)


class OrderStepNotAllowed(WaybillError):
    """B-56."""

    code = "ORDER_STATUS_TRANSITION_NOT_ALLOWED"
    status = 409

    def __init__(self, status: str, next_status: str) -> None:
        rule = f"must be among the next statuses of {status}"
        super().__init__(f"{next_status} cannot follow {status}.", path="input.status", rule=rule)


class CredentialsInvalid(WaybillError):
    """Nobody can tell whether the e-mail is a contact's. The vendor has one code for both, by this name (B-9)."""

    code = "USER_NOT_FOUND_ERROR"
    status = 401

    def __init__(self) -> None:
        super().__init__("Invalid email or password")


class RefreshTokenInvalid(WaybillError):
    code = "EXCHANGE_REFRESH_TOKEN_ERROR"
    status = 401

    def __init__(self) -> None:
        super().__init__("The refresh token is not good, or not any more: log in anew.")


class PasswordLinkInvalid(WaybillError):
    code = "PASSWORD_LINK_INVALID"

    def __init__(self) -> None:
        super().__init__("The link is not valid, or not any more. Please ask for another one.")


class OrderLinkRefused(WaybillError):
    """In the same words whatever is wrong: nobody learns which orders there are."""

    code = "ORDER_LINK_REFUSED"
    status = 404

    def __init__(self) -> None:
        super().__init__("There is no order of that number with that postal code or e-mail.")


class InvalidOrderId(WaybillError):
    code = "INVALID_ORDER_ID"


class InvalidShipmentId(WaybillError):
    code = "INVALID_SHIPMENT_ID"


class MissingId(WaybillError):
    code = "MISSING_ID"


class InvalidPagination(WaybillError):
    code = "invalid-pagination"


class InvalidCursor(WaybillError):
    """`path` is the argument that holds the cursor."""

    code = "INVALID_CURSOR"

    def __init__(self, path: str | None = None) -> None:
        where = {} if path is None else {"path": path, "rule": "must be a cursor that this list has given out"}
        super().__init__("The cursor is broken or belongs to another list or filter.", **where)


class CursorExpired(WaybillError):
    """What came next is not kept any more: a copy has to be made anew."""

    code = "CURSOR_EXPIRED"
    status = 410

    def __init__(self, export: str) -> None:
        """`export` is the path that a copy is made from."""
        super().__init__(
            f"Changes after this cursor are not kept any more. Make a new copy by GET {export}, and go on from its"
            " X-Changes-Cursor.",
            path="after",
            rule="must be a cursor of changes that are kept",
            export=export,
        )


class ServiceUnavailable(WaybillError):
    """The request could not be answered for lack of the database, or of time; whatever it asked for was not done.

    `retry_after` are the seconds after which it is worth sending again, None where waiting alone does not help.
    `reason` is for the log: a SQLSTATE, or the name of an exception.
    """

    status = 503
    retry_after: ClassVar[int | None] = None
    text: ClassVar[str]

    def __init__(self, message: str = "", *, reason: str = "") -> None:
        super().__init__(message or self.text)
        self.reason = reason


class TimedOut(ServiceUnavailable):
    code = "TIMEOUT"
    retry_after = 1
    text = "This took too long, and was given up."


class ReadOnly(ServiceUnavailable):
    code = "READ_ONLY"
    text = "The database can only be read at this moment."


class Unavailable(ServiceUnavailable):
    code = "UNAVAILABLE"
    retry_after = 5
    text = "The database is not available at this moment."


class Overloaded(ServiceUnavailable):
    code = "OVERLOADED"
    retry_after = 1
    text = "Too many requests are waiting for the database."


class Shed(Overloaded):
    """Refused before anything was done for it; see `app.http.overload`."""

    text = "There are too many requests at this moment."


class OutcomeUnknown(ServiceUnavailable):
    """A write whose commit was sent, and not answered. It does not say when to try again: first look what is there."""

    code = "OUTCOME_UNKNOWN"
    text = (
        "The database was lost while this was being completed: whether it was done is not known."
        " With its idempotency key it may be sent again; without one, look first."
    )


class RequestRefused(WaybillError):
    """The request never reached a resolver. `status` is the HTTP status of the refusal."""

    code = "BAD_REQUEST"

    def __init__(self, message: str, *, status: int = 400, code: str = "BAD_REQUEST", **extensions: Any) -> None:
        super().__init__(message, **extensions)
        self.http_status = status
        self.extensions["code"] = code
