"""The nodes of a document, read in less time than graphql-core's visitor and `keys` take."""

from collections.abc import Iterator

from graphql import NameNode, Node


def nodes_of(root: Node) -> Iterator[Node]:
    """It and all below it but names, which are half of them and have nothing below."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        yield node
        for value in vars(node).values():
            if isinstance(value, Node):
                if type(value) is not NameNode:
                    waiting.append(value)
            elif type(value) is tuple or type(value) is list:
                waiting.extend(value)
