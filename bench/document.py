"""Documents of a portal's size that are all different."""

import random
from collections.abc import Iterator

# Like q1: a page of a portal's list, with everything that hangs on a shipment.
_FIELDS = {
    "shipment": "id status orderId expectedDeliveryAt createdAt lastModifiedAt version",
    "item": "id name sku quantity orderItemId shipmentId version createdAt lastModifiedAt",
    "order_item": "id name sku quantity price priceNet productId supplier manufacturer eanCode tax discount",
    "code": "id code carrierId shipmentId createdAt lastModifiedAt trackingUrl",
    "carrier": "id name type trackAndTraceURL logo createdAt",
    "page": "itemsFound page pages offset start end",
}
_CHOSEN = 0.8
_ALIASED = 0.2
_MOST_ALIASES = 25


def documents(count: int, seed: int) -> Iterator[str]:
    """Different ones, always the same for a seed. Each has some 40 fields, of these some under names of its own."""
    chance = random.Random(seed)
    for number in range(count):
        aliases = 0

        def some(kind: str, number: int = number) -> str:
            nonlocal aliases
            chosen: list[str] = []
            for name in _FIELDS[kind].split():
                if chosen and chance.random() > _CHOSEN:
                    continue
                if aliases < _MOST_ALIASES and chance.random() < _ALIASED:
                    aliases += 1
                    name = f"{name}_{seed}_{number}: {name}"
                chosen.append(name)
            return " ".join(chosen)

        yield (
            f"query Shipments{number}_{seed}($input: ShipmentSearchInput) {{ shipments(input: $input) {{ items {{"
            f" {some('shipment')}"
            f" items {{ {some('item')} orderItem {{ {some('order_item')} }} }}"
            f" trackAndTraces {{ {some('code')} carrier {{ {some('carrier')} }} }}"
            f" }} {some('page')} }} }}"
        )
