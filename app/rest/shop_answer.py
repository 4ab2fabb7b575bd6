"""What the REST endpoints answer with: the members of each object, in their order, with their types.

The endpoints pick the members from rows and the OpenAPI document takes its schemas from here, so neither can say what
the other does not. A member is a column in camelCase; dates are text such as `2025-01-15T10:30:00+00:00` (C-30), money
is a number in the currency of the order, with the prefix `base` in that of the channel, or null where nobody knows the
rate (decision 23).
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from app.auth.credentials import EMAIL, LONGEST_EMAIL, LONGEST_PASSWORD_BYTES, SHORTEST_PASSWORD

Flag = Annotated[int, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=0)]
Id = Annotated[int, Meta(ge=1)]
OrderStatus = Literal["pending", "processing", "completed", "canceled", "closed", "fraud"]
ShipmentStatus = Literal["pending", "shipped", "delivered", "cancelled"]
Instant = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]


class ShopAnswer(Struct, rename="camel", forbid_unknown_fields=True):
    @classmethod
    def of(cls, row: Mapping[str, Any], **beside: Any) -> dict[str, Any]:
        """The object of a row; `beside` are the members that no column holds."""
        members = {"id": row["_id"], **beside} if "_id" in row else beside
        return {
            member: members[column] if column in members else row[column]
            for member, column in zip(cls.__struct_encode_fields__, cls.__struct_fields__, strict=True)
        }


class OrderItem(ShopAnswer):
    """A line of an order. Prices are without tax, for one; totals for the line."""

    id: Id
    sku: str
    type: str
    name: str
    product_id: int | None
    product_type: str
    qty_ordered: Count
    qty_shipped: Count
    qty_invoiced: Count
    qty_canceled: Count
    qty_refunded: Count
    price: float
    base_price: float | None
    total: float
    base_total: float | None
    discount_percent: float
    discount_amount: float
    tax_percent: float
    tax_amount: float
    price_incl_tax: float
    total_incl_tax: float


class Address(ShopAnswer):
    """Where the bill or the goods of an order go."""

    id: Id
    address_type: Literal["billing", "shipping"]
    first_name: str
    last_name: str
    gender: str | None
    company_name: str | None
    address: str
    city: str
    state: str | None
    country: str
    postcode: str | None
    email: str | None
    phone: str | None
    vat_id: str | None


class Payment(ShopAnswer):
    """How an order is paid. Its id is the order's."""

    id: Id
    method: str
    method_title: str


class OrderShipmentItem(ShopAnswer):
    """How much of an order's line a shipment holds; parts of a bundle are packs as far as they make them up."""

    id: Id
    order_item_id: Id
    qty: Count
    weight: float | None


class OrderShipment(ShopAnswer):
    """A shipment as its order shows it."""

    id: Id
    shipping_number: str | None
    carrier_title: str | None
    carrier_code: str | None
    track_number: str | None
    total_qty: Count
    total_weight: float | None
    email_sent: bool
    created_at: Instant
    updated_at: Instant
    items: list[OrderShipmentItem]


class Order(ShopAnswer):
    """An order in full."""

    id: Id
    increment_id: str
    status: OrderStatus
    channel_name: str
    is_guest: Flag
    customer_email: str
    customer_first_name: str
    customer_last_name: str
    shipping_method: str | None
    shipping_title: str | None
    coupon_code: str | None
    is_gift: Flag
    total_item_count: Count
    total_qty_ordered: Count
    base_currency_code: str
    channel_currency_code: str
    order_currency_code: str
    grand_total: float
    base_grand_total: float | None
    grand_total_invoiced: float
    base_grand_total_invoiced: float | None
    grand_total_refunded: float
    base_grand_total_refunded: float | None
    sub_total: float
    base_sub_total: float | None
    tax_amount: float
    base_tax_amount: float | None
    discount_amount: float
    base_discount_amount: float | None
    shipping_amount: float
    base_shipping_amount: float | None
    created_at: Instant
    updated_at: Instant
    items: list[OrderItem]
    addresses: list[Address]
    payment: Payment | None
    shipments: list[OrderShipment]
    sub_total_invoiced: float
    sub_total_incl_tax: float
    shipping_amount_incl_tax: float
    customer_id: Id
    channel_id: Id


class OrderEntry(ShopAnswer):
    """An order in a list."""

    id: Id
    increment_id: str
    status: OrderStatus
    channel_name: str
    customer_email: str
    customer_first_name: str
    customer_last_name: str
    shipping_method: str | None
    shipping_title: str | None
    coupon_code: str | None
    total_item_count: Count
    total_qty_ordered: Count
    grand_total: float
    base_grand_total: float | None
    sub_total: float
    base_sub_total: float | None
    tax_amount: float
    shipping_amount: float
    discount_amount: float
    base_currency_code: str
    order_currency_code: str
    created_at: Instant
    updated_at: Instant


class ShipmentItem(ShopAnswer):
    """What a shipment holds of one line of its order; parts of a bundle are packs as far as they make them up."""

    id: Id
    order_item_id: Id
    name: str
    sku: str
    qty: Count
    weight: float | None


class TrackingEvent(ShopAnswer):
    """What a carrier told last of a code."""

    status: str
    sub_status: str | None
    occurred_at: Instant
    location: str | None
    description: str | None


class Tracking(ShopAnswer):
    """A code of a shipment, and what its carrier says of the parcel; `url` is where it can be followed."""

    number: str
    carrier_code: str | None
    carrier_title: str | None
    url: str | None
    status: ShipmentStatus
    carrier_status: str | None
    sub_status: str | None
    expected_delivery_at: Instant | None
    last_event: TrackingEvent | None


class Shipment(ShopAnswer):
    """A shipment of an order. The tracking code and its carrier are those of the first code (C-33)."""

    id: Id
    order_id: Id
    status: ShipmentStatus
    track_number: str | None
    carrier_code: str | None
    carrier_title: str | None
    total_qty: Count
    total_weight: float | None
    email_sent: bool
    shipping_number: str | None
    created_at: Instant
    updated_at: Instant
    items: list[ShipmentItem]
    trackings: list[Tracking]
    shipping_address: Address | None
    billing_address: Address | None


class Login(Struct, forbid_unknown_fields=True):
    """The outcome of a login; `token` is the bearer token of a customer, empty where the login is refused."""

    id: Count
    _id: Count
    apiToken: str  # noqa: N815
    token: str
    success: bool
    message: str


class Logout(Struct, forbid_unknown_fields=True):
    """Whether the token is refused from now on."""

    success: bool
    message: str


class TokenCheck(ShopAnswer):
    """Whose token it is, empty where it is nobody's."""

    id: Count
    first_name: str
    last_name: str
    email: str
    is_valid: bool
    message: str


Email = Annotated[str, Meta(max_length=LONGEST_EMAIL, pattern=rf"^\s*{EMAIL.pattern}\s*$")]
Password = Annotated[str, Meta(min_length=SHORTEST_PASSWORD, max_length=LONGEST_PASSWORD_BYTES)]


class Credentials(Struct, rename="camel"):
    """What a customer logs in with. `deviceToken` has no meaning here."""

    email: Email
    password: Password
    device_token: str | None = None


class Problem(Struct, forbid_unknown_fields=True):
    """Every refusal."""

    message: str


class Outage(Struct, forbid_unknown_fields=True):
    """The database is not there, or takes too long."""

    message: str
    code: Literal["TIMEOUT", "READ_ONLY", "UNAVAILABLE", "OVERLOADED"]


class KeyProblem(Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """The storefront key is missing (401) or not good (403)."""

    message: str
    error: Literal["missing_key", "invalid_key"]
    header_name: str = ""
    key_type: str = ""


class RateProblem(Struct, forbid_unknown_fields=True):
    """Too many requests with this storefront key; `retry_after` is in seconds."""

    message: str
    error: Literal["rate_limit_exceeded"]
    retry_after: Id
