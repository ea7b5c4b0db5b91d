"""An index of rules by their keys: finding those that match costs the same for ten rules as for ten thousand.

It is a tree with one level for each dimension of rule_keys.py. A leaf is a list; when it outgrows LEAF_SIZE it is split
by the next dimension, into one child for each key. A look-up follows only the keys that the connection has.

Beside the tree there is a list of each program's rules, for those who look for what was answered about a program. Rules
that deny something to all programs are in none: they may be a hundred thousand, and nobody looks for them there.
"""

from collections.abc import Hashable, Iterable
from operator import contains

import msgspec

from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.rule_keys import DIMENSIONS, PROGRAM, ConnectionKeys, RuleKeys, keys_of
from tinysnitch.core.rules.rule import Rule

LEAF_SIZE = 8


class Entry(msgspec.Struct, eq=False):
    """A rule in a leaf, with its keys."""

    rule: Rule
    keys: RuleKeys


class _Split(msgspec.Struct, eq=False):
    depth: int  # index into DIMENSIONS
    children: dict[object, "_Node"]  # none of them empty


_Node = list[Entry] | _Split


class RuleIndex:
    """A set of rules."""

    def __init__(self) -> None:
        self._root: _Node = []
        self._of_program: dict[Hashable, list[Rule]] = {}  # by the program's key, None for any program; oldest first

    def add(self, rule: Rule) -> bool:
        """False: the rule was there already."""
        entry = Entry(rule, keys_of(rule))
        if self._holds(entry):
            return False
        self._root = _added(self._root, 0, entry)
        if _is_listed(entry):
            self._of_program.setdefault(entry.keys[PROGRAM], []).append(rule)
        return True

    def remove(self, rule: Rule) -> bool:
        """False: the rule was not there."""
        entry = Entry(rule, keys_of(rule))
        if not self._holds(entry):
            return False
        self._root = _removed(self._root, entry)
        if _is_listed(entry):
            listed = self._of_program[entry.keys[PROGRAM]]
            listed.remove(rule)
            if not listed:
                del self._of_program[entry.keys[PROGRAM]]
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
                found += [entry.rule for entry in node if all(map(contains, keys, entry.keys))]
            else:
                children = node.children
                nodes += [children[key] for key in keys[node.depth] if key in children]
        return found

    def find_of_program(self, keys: Iterable[Hashable], limit: int) -> list[Rule] | None:
        """Every rule whose program has one of these keys, but for denials for any program. None: more than `limit`."""
        listed = [self._of_program[key] for key in keys if key in self._of_program]
        return None if sum(map(len, listed)) > limit else [rule for rules in listed for rule in rules]

    def _holds(self, entry: Entry) -> bool:
        node = self._root
        while isinstance(node, _Split):
            node = node.children.get(entry.keys[node.depth], [])
        return entry.rule in [each.rule for each in node]


def _is_listed(entry: Entry) -> bool:
    return entry.keys[PROGRAM] is not None or entry.rule.verdict is not Verdict.DENY


def _added(node: _Node, depth: int, entry: Entry) -> _Node:
    """Add the entry to the node; returns the node, or the one that takes its place."""
    if isinstance(node, _Split):
        key = entry.keys[node.depth]
        node.children[key] = _added(node.children.get(key, []), depth + 1, entry)
        return node
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
    return [each for each in node if each.rule != entry.rule]


def _split(entries: list[Entry], depth: int) -> _Split:
    split = _Split(depth, {})
    for entry in entries:
        _added(split, depth, entry)
    return split
