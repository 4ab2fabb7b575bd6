from collections import Counter

from graphql import NameNode, Node, Visitor, parse, visit

from app.execution.nodes import nodes_of

TEXT = """
query A($ids: [ID!]! = ["a", "b"] @skip(if: true), $o: In = {a: {b: [1, 2]}}) @include(if: $x) {
  a: field(list: [1, [2.5, E]], o: {k: "s", n: null, v: $c}) { ...F ... on T @skip(if: $y) { b } ... { c } }
}
fragment F on T { d @include(if: false) }
"""


class Everything(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.kinds: Counter[str] = Counter()

    def enter(self, node: Node, *_: object) -> None:
        if not isinstance(node, NameNode):
            self.kinds[node.kind] += 1


def test_each_node_but_names_is_met_once() -> None:
    document, everything = parse(TEXT), Everything()
    visit(document, everything)
    assert Counter(node.kind for node in nodes_of(document)) == everything.kinds
