"""Every error that a caller may see. Resolvers raise them; `app.execution` and `app.http` render them.

    WaybillError                       code, message, HTTP status where the protocol has one
    ├── NotAuthenticated               UNAUTHENTICATED          no credential, or one that is not accepted
    ├── Forbidden                      FORBIDDEN                a credential that does not reach this far
    ├── ValidationError                VALIDATION_ERROR         an argument that breaks a rule; names the argument
    ├── NotFound                       the row does not exist, or is not the caller's: nobody can tell which
    │   ├── ShipmentNotFound           SHIPMENT_NOT_FOUND_ERROR
    │   ├── ShipmentItemNotFound       SHIPMENT_ITEM_NOT_FOUND_ERROR
    │   ├── TrackAndTraceNotFound      TRACK_AND_TRACE_NOT_FOUND_ERROR
    │   ├── CarrierNotFound            CARRIER_NOT_FOUND_ERROR
    │   ├── OrderNotFound              ORDER_NOT_FOUND
    │   ├── OrderAddressNotFound       ORDER_ADDRESS_NOT_FOUND_ERROR
    │   └── OrderStatusNotFound        ORDER_STATUS_NOT_FOUND_ERROR
    └── RequestRefused                 refused before GraphQL ran: malformed, over a limit, wrong media type

The codes are the names of the B2B contract (row B-9). Anything that is not a `WaybillError` is a defect of this
service: the caller learns "Internal server error" and a request id, the log learns the rest.
"""

from typing import Any, ClassVar


class WaybillError(Exception):
    """An error that is the caller's to read.

    `code` goes to `extensions.code`; `extensions` go beside it; `status` is used where the answer is not GraphQL.
    """

    code: ClassVar[str]
    status: ClassVar[int] = 400

    def __init__(self, message: str, **extensions: Any) -> None:
        super().__init__(message)
        self.message = message
        self.extensions = {"code": self.code, **extensions}


class NotAuthenticated(WaybillError):
    code = "UNAUTHENTICATED"
    status = 401

    def __init__(self, message: str = "A valid API key or access token is required.") -> None:
        super().__init__(message)


class Forbidden(WaybillError):
    code = "FORBIDDEN"
    status = 403


class ValidationError(WaybillError):
    """`argument` is the dotted path of the refused argument, such as `input.createdAt.lessThan`."""

    code = "VALIDATION_ERROR"

    def __init__(self, argument: str, rule: str) -> None:
        super().__init__(f"{argument} {rule}", argument=argument)


class NotFound(WaybillError):
    """Raised from an empty row alone, so that not-yours and not-there cannot differ."""

    noun: ClassVar[str]
    status = 404

    def __init__(self, key: object) -> None:
        super().__init__(f'{self.noun} "{key}" not found.')


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


class OrderAddressNotFound(NotFound):
    code, noun = "ORDER_ADDRESS_NOT_FOUND_ERROR", "Order address"


class OrderStatusNotFound(NotFound):
    code, noun = "ORDER_STATUS_NOT_FOUND_ERROR", "Order status"


class RequestRefused(WaybillError):
    """The request never reached a resolver. `status` is the HTTP status of the refusal."""

    code = "BAD_REQUEST"

    def __init__(self, message: str, *, status: int = 400, code: str = "BAD_REQUEST", **extensions: Any) -> None:
        super().__init__(message, **extensions)
        self.http_status = status
        self.extensions["code"] = code
