"""What statuses are called, and what there is to say of them, for whoever waits for a parcel."""

from typing import NamedTuple

from app.pages.language import N_


class Saying(NamedTuple):
    """`tone` is a class of the stylesheet: `good`, `warn`, `bad`, or none."""

    title: str
    sentence: str = ""
    tone: str = ""


STATUSES = {
    None: Saying(N_("Registered"), N_("The shop has registered this parcel.")),
    "CREATED": Saying(N_("Being prepared"), N_("The shop is getting this parcel ready.")),
    "PROCESSING": Saying(N_("Being packed"), N_("The goods are being picked and packed.")),
    "IN_TRANSIT": Saying(N_("On its way"), N_("The carrier has the parcel.")),
    "OUT_FOR_DELIVERY": Saying(N_("Out for delivery"), N_("The parcel is on the last leg to you."), "good"),
    "DELIVERED": Saying(N_("Delivered"), N_("The parcel has arrived."), "good"),
    "PARTIALLY_DELIVERED": Saying(N_("Partly delivered"), N_("Some of it has arrived; the rest is still under way.")),
    "CANCELED": Saying(N_("Canceled"), N_("This parcel will not be sent."), "bad"),
    "FAILED_DELIVERY": Saying(
        N_("Delivery did not succeed"), N_("The carrier could not deliver the parcel, and still has it."), "warn"
    ),
    "EXCEPTION": Saying(
        N_("There is a problem"), N_("Something went wrong on the way. The shop can tell you more."), "bad"
    ),
}
SUB_STATUSES = {
    "ADDRESS_PROBLEM": Saying(
        N_("Problem with the address"), N_("The carrier cannot find the address. Please ask the shop for help."), "bad"
    ),
    "AT_PICKUP_POINT": Saying(N_("Ready to be collected"), N_("The parcel waits for you at a pick-up point."), "good"),
    "COLLECTED": Saying(N_("Collected"), N_("The parcel was taken from the pick-up point."), "good"),
    "CUSTOMS": Saying(N_("At customs"), N_("The parcel is with the customs, or waits for papers."), "warn"),
    "DAMAGED": Saying(N_("Damaged"), N_("The parcel was damaged on the way. The shop can tell you more."), "bad"),
    "DELAYED": Saying(N_("Delayed"), N_("The parcel comes later than it should."), "warn"),
    "LEFT_IN_SAFE_PLACE": Saying(N_("Left in a safe place"), N_("The parcel was left in a safe place."), "good"),
    "LEFT_WITH_NEIGHBOR": Saying(N_("Left with a neighbour"), N_("A neighbour has taken the parcel."), "good"),
    "LOST": Saying(N_("Lost"), N_("The carrier cannot find the parcel. Please ask the shop for help."), "bad"),
    "NOT_HOME": Saying(
        N_("Nobody was home"), N_("Nobody was there to take the parcel. The carrier still has it."), "warn"
    ),
    "PAYMENT_DUE": Saying(
        N_("Payment is due"), N_("Something has to be paid before the parcel is handed over."), "warn"
    ),
    "PICKED_UP": Saying(N_("Taken over by the carrier"), N_("The carrier has taken the parcel over.")),
    "REFUSED": Saying(N_("Refused"), N_("The parcel was not accepted."), "bad"),
    "RETURNED": Saying(N_("Returned"), N_("The sender has the parcel again."), "bad"),
    "RETURN_TO_SENDER": Saying(N_("On its way back"), N_("The parcel is on its way back to the sender."), "bad"),
}

ORDERS = {
    "UNFULFILLED": N_("Your order is being prepared"),
    "PARTIALLY_SHIPPED": N_("Part of your order is on its way"),
    "SHIPPED": N_("Your order is on its way"),
    "PARTIALLY_DELIVERED": N_("Part of your order has arrived"),
    "DELIVERED": N_("Your order has arrived"),
    "CANCELED": N_("Your order was canceled"),
}
# By the words of the customer surface.
PROGRESS = {
    "unfulfilled": N_("Being prepared"),
    "partially_shipped": N_("Partly on its way"),
    "shipped": N_("On its way"),
    "partially_delivered": N_("Partly delivered"),
    "delivered": N_("Delivered"),
    "canceled": N_("Canceled"),
}
# Of one that is shipped, as far as it is, and of which nothing is on its way to the buyer.
OTHERWISE = N_("There is news of your order")

# The steps of a parcel, and how many of them it has taken by each status.
STEPS = (N_("Ordered"), N_("Packed"), N_("On its way"), N_("Out for delivery"), N_("Delivered"))
REACHED = {
    None: 0,
    "CREATED": 0,
    "PROCESSING": 1,
    "IN_TRANSIT": 2,
    "FAILED_DELIVERY": 3,
    "EXCEPTION": 2,
    "OUT_FOR_DELIVERY": 3,
    "PARTIALLY_DELIVERED": 3,
    "DELIVERED": 4,
}
UNDER_WAY = REACHED["IN_TRANSIT"]
# What goes back goes no further.
ENDS = frozenset({"RETURNED", "RETURN_TO_SENDER", "LOST", "REFUSED"})


def saying(status: str | None, sub_status: str | None) -> Saying:
    """The words for a status, or for what the carrier says beyond it."""
    return SUB_STATUSES.get(sub_status or "") or STATUSES.get(status, STATUSES[None])
