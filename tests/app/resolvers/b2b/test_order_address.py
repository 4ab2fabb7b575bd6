import pytest

from tests.conftest import GraphQL


async def test_order_addresses_are_those_of_the_order_and_type(graphql: GraphQL) -> None:
    document = "query($type: AddressType) { orderAddresses(orderId: 2075, type: $type) { id orderId type } }"
    every = (await graphql(document))["data"]["orderAddresses"]
    delivery = (await graphql(document, {"type": "delivery"}))["data"]["orderAddresses"]
    assert [address["id"] for address in every] == sorted(address["id"] for address in every)
    assert delivery == [address for address in every if address["type"] == "delivery"]
    assert delivery


async def test_order_address_is_found_within_its_order_alone(graphql: GraphQL) -> None:
    document = "query($id: Int!, $order: Int!) { orderAddress(id: $id, orderId: $order) { id city } }"
    [first, *_] = (await graphql("{ orderAddresses(orderId: 2075) { id city } }"))["data"]["orderAddresses"]
    assert (await graphql(document, {"id": first["id"], "order": 2075}))["data"]["orderAddress"] == first
    answer = await graphql(document, {"id": first["id"], "order": 1})
    assert answer["errors"][0]["extensions"]["code"] == "ORDER_ADDRESS_NOT_FOUND_ERROR"


@pytest.mark.parametrize("viewer", ["outsider", "daughter"])
@pytest.mark.parametrize("order", [2075, 999])
async def test_order_addresses_of_an_order_that_is_not_there_or_not_yours(
    graphql: GraphQL, viewer: str, order: int
) -> None:
    answer = await graphql("query($o: Int!) { orderAddresses(orderId: $o) { id } }", {"o": order}, viewer=viewer)
    [error] = answer["errors"]
    assert (error["message"], error["extensions"]) == (f'Order "{order}" not found.', {"code": "ORDER_NOT_FOUND"})
