"""An index of rules by their keys: finding those that match costs the same for ten rules as for a hundred thousand.

It is a tree with one level for each dimension of rule_keys.py. A leaf is a list; when it outgrows LEAF_SIZE it is split
by the next dimension, into one child for each key. A look-up follows only the keys that the connection has.
A leaf of one rule may be the rule itself, whose keys are made when they are needed: of a hundred thousand rules nearly
all are alone with their remote, and their keys took half of all memory.
"""

from collections.abc import Hashable, Iterable

import msgspec

from tinysnitch.core.model.tables import BoundedTable
from tinysnitch.core.policy.rule_keys import DIMENSIONS, ConnectionKeys, RuleKeys, keys_of, remote_key
from tinysnitch.core.rules.rule import Rule

LEAF_SIZE = 8
_KEPT_ENTRIES = 4096
_WHERE = ("remote", "ports")


class Entry(msgspec.Struct, eq=False):
    """A rule in a leaf, with its keys."""

    rule: Rule
    keys: RuleKeys


class _Split(msgspec.Struct, eq=False):
    depth: int  # index into DIMENSIONS
    children: dict[object, "_Node"]  # none of them empty


_Node = Rule | list[Entry] | _Split
_Wanted = tuple[frozenset[Hashable] | None, ...]  # None: any key


class RuleIndex:
    """A set of rules."""

    def __init__(self) -> None:
        self._root: _Node = []
        self._entries: BoundedTable[int, Entry] = BoundedTable(_KEPT_ENTRIES)  # of leaves that are a rule, by its id

    def add(self, rule: Rule) -> bool:
        """False: the rule was there already."""
        if isinstance(self._root, _Split):  # by remote; a rule whose remote is new needs no other keys
            remote = remote_key(rule.remote)
            if remote not in self._root.children:
                self._root.children[remote] = rule
                return True
        entry = Entry(rule, keys_of(rule))
        if self._holds(entry):
            return False
        self._root = _added(self._root, 0, entry)
        return True

    def remove(self, rule: Rule) -> bool:
        """False: the rule was not there."""
        entry = Entry(rule, keys_of(rule))
        if not self._holds(entry):
            return False
        self._root = _removed(self._root, entry)
        self._entries.clear()  # they keep references to rules, to removed ones too
        return True

    def __contains__(self, rule: Rule) -> bool:
        return self._holds(Entry(rule, keys_of(rule)))

    def find(self, keys: ConnectionKeys) -> list[Rule]:
        """Every rule whose keys are all among these."""
        found: list[Rule] = []
        nodes = [self._root]
        while nodes:
            node = nodes.pop()
            if isinstance(node, list):
                _collect(node, keys, found)
            elif isinstance(node, Rule):
                _collect((self._entry_of(node),), keys, found)
            else:
                children = node.children
                nodes += [children[key] for key in keys[node.depth] if key in children]
        return found

    def find_wherever(self, keys: ConnectionKeys, limit: int) -> list[Rule] | None:
        """Every rule whose keys but remote and ports are among these. None: that takes more than `limit` steps."""
        wanted = tuple(None if name in _WHERE else own for name, own in zip(DIMENSIONS, keys, strict=True))
        found: list[Rule] = []
        nodes = [self._root]
        while nodes:
            node = nodes.pop()
            if isinstance(node, _Split):
                if wanted[node.depth] is None and len(node.children) > limit:
                    return None  # instead of making a list of them all
                nodes += _children_among(node, wanted[node.depth])
            else:
                entries = node if isinstance(node, list) else [self._entry_of(node)]
                found += [entry.rule for entry in entries if _is_among(entry.keys, wanted)]
            limit -= 1
            if len(nodes) > limit:
                return None
        return found

    def _holds(self, entry: Entry) -> bool:
        node = self._root
        while isinstance(node, _Split):
            node = node.children.get(entry.keys[node.depth], [])
        return entry.rule == node if isinstance(node, Rule) else any(entry.rule == each.rule for each in node)

    def _entry_of(self, rule: Rule) -> Entry:
        entry = self._entries.find(id(rule))
        if entry is None:
            entry = Entry(rule, keys_of(rule))
            self._entries.put(id(rule), entry)
        return entry


def _is_among(keys: RuleKeys, wanted: _Wanted) -> bool:
    return all(own is None or key in own for key, own in zip(keys, wanted, strict=True))


def _children_among(split: _Split, wanted: frozenset[Hashable] | None) -> list[_Node]:
    if wanted is None:
        return list(split.children.values())
    return [split.children[key] for key in wanted if key in split.children]


def _collect(entries: Iterable[Entry], keys: ConnectionKeys, found: list[Rule]) -> None:
    for entry in entries:
        for key, wanted in zip(entry.keys, keys, strict=True):
            if key not in wanted:
                break
        else:
            found.append(entry.rule)


def _added(node: _Node, depth: int, entry: Entry) -> _Node:
    """Add the entry to the node; returns the node, or the one that takes its place."""
    if isinstance(node, _Split):
        key = entry.keys[node.depth]
        child = node.children.get(key)
        node.children[key] = entry.rule if child is None else _added(child, depth + 1, entry)
        return node
    if isinstance(node, Rule):
        return [Entry(node, keys_of(node)), entry]
    node.append(entry)
    return node if len(node) <= LEAF_SIZE or depth == len(DIMENSIONS) else _split(node, depth)


def _removed(node: _Node, entry: Entry) -> _Node:
    """Remove the entry, which has to be there; returns the node, or an empty leaf in place of an empty split."""
    if isinstance(node, _Split):
        key = entry.keys[node.depth]
        child = _removed(node.children[key], entry)
        if child:
            node.children[key] = child
        else:
            del node.children[key]
        return node if node.children else []
    return [] if isinstance(node, Rule) else [each for each in node if each.rule != entry.rule]


def _split(entries: list[Entry], depth: int) -> _Split:
    split = _Split(depth, {})
    for entry in entries:
        _added(split, depth, entry)
    return split
