"""The nodes of a document, all of them or its fragments.

They are read in less time than graphql-core's visitor and `keys` take.
"""

from collections.abc import Iterator

from graphql import DocumentNode, FragmentDefinitionNode, NameNode, Node


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


def fragments_of(document: DocumentNode) -> dict[str, FragmentDefinitionNode]:
    """Its fragments by name."""
    return {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
