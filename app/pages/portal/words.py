"""What the codes of the schema are called in front of people, and in which colour: `good`, `warn`, `bad` or none."""

from collections.abc import Mapping

from app.pages.language import N_

SHIPMENT_STATUSES: Mapping[str, tuple[str, str]] = {
    "CREATED": (N_("Created"), ""),
    "PROCESSING": (N_("In preparation"), ""),
    "IN_TRANSIT": (N_("On the way"), ""),
    "OUT_FOR_DELIVERY": (N_("Out for delivery"), ""),
    "PARTIALLY_DELIVERED": (N_("Partly delivered"), "warn"),
    "DELIVERED": (N_("Delivered"), "good"),
    "FAILED_DELIVERY": (N_("Delivery failed"), "warn"),
    "EXCEPTION": (N_("Needs attention"), "bad"),
    "CANCELED": (N_("Canceled"), "soft"),
}
SUB_STATUSES: Mapping[str, str] = {
    "ADDRESS_PROBLEM": N_("problem with the address"),
    "AT_PICKUP_POINT": N_("at a pick-up point"),
    "COLLECTED": N_("collected"),
    "CUSTOMS": N_("at customs"),
    "DAMAGED": N_("damaged"),
    "DELAYED": N_("delayed"),
    "LEFT_IN_SAFE_PLACE": N_("left in a safe place"),
    "LEFT_WITH_NEIGHBOR": N_("left with a neighbor"),
    "LOST": N_("lost"),
    "NOT_HOME": N_("nobody was home"),
    "PAYMENT_DUE": N_("payment due"),
    "PICKED_UP": N_("picked up by the carrier"),
    "REFUSED": N_("refused by the receiver"),
    "RETURNED": N_("back at the sender"),
    "RETURN_TO_SENDER": N_("on its way back"),
}
FULFILLMENT_STATUSES: Mapping[str, tuple[str, str]] = {
    "UNFULFILLED": (N_("Not shipped"), ""),
    "PARTIALLY_SHIPPED": (N_("Partly shipped"), "warn"),
    "SHIPPED": (N_("Shipped"), ""),
    "PARTIALLY_DELIVERED": (N_("Partly delivered"), "warn"),
    "DELIVERED": (N_("Delivered"), "good"),
    "CANCELED": (N_("Canceled"), "soft"),
}
