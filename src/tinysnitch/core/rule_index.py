"""An index of rules by their keys: finding what matches costs the same for ten rules as for a hundred thousand.

A tree, one level for each dimension of rule_keys.py. A leaf is a list; when it outgrows LEAF_SIZE it is split
by the next dimension into one child for each key. A look-up follows only the keys that the connection has.
"""

import msgspec

from tinysnitch.core.rule import Rule
from tinysnitch.core.rule_keys import DIMENSIONS, ConnectionKeys, RuleKeys

LEAF_SIZE = 8


class Entry(msgspec.Struct, eq=False):
    """A rule in the index."""

    rule: Rule
    keys: RuleKeys


class _Split(msgspec.Struct, eq=False):
    depth: int  # index into DIMENSIONS
    children: dict[object, "_Node"]  # none of them empty


_Node = list[Entry] | _Split


class RuleIndex:
    def __init__(self) -> None:
        self._root: _Node = []

    def add(self, entry: Entry) -> None:
        self._root = _added(self._root, 0, entry)

    def remove(self, entry: Entry) -> None:
        self._root = _removed(self._root, entry)

    def find(self, keys: ConnectionKeys) -> list[Entry]:
        """Every entry that has all its keys among these."""
        found: list[Entry] = []
        nodes = [self._root]
        while nodes:
            node = nodes.pop()
            if isinstance(node, list):
                _collect(node, keys, found)
                continue
            children = node.children
            nodes += [children[key] for key in keys[node.depth] if key in children]
        return found


def _collect(entries: list[Entry], keys: ConnectionKeys, found: list[Entry]) -> None:
    for entry in entries:
        for key, wanted in zip(entry.keys, keys, strict=True):
            if key not in wanted:
                break
        else:
            found.append(entry)


def _added(node: _Node, depth: int, entry: Entry) -> _Node:
    """The node with the entry in it: the same one, or the one that takes its place."""
    if isinstance(node, list):
        node.append(entry)
        return node if len(node) <= LEAF_SIZE or depth == len(DIMENSIONS) else _split(node, depth)
    key = entry.keys[node.depth]
    node.children[key] = _added(node.children.get(key, []), depth + 1, entry)
    return node


def _removed(node: _Node, entry: Entry) -> _Node:
    """The node without the entry; a split without children becomes an empty leaf."""
    if isinstance(node, list):
        node.remove(entry)
        return node
    key = entry.keys[node.depth]
    child = _removed(node.children[key], entry)
    if child:
        node.children[key] = child
    else:
        del node.children[key]
    return node if node.children else []


def _split(entries: list[Entry], depth: int) -> _Split:
    split = _Split(depth, {})
    for entry in entries:
        _added(split, depth, entry)
    return split
