"""What clients are told about lists: those in the folder, and those that rules name but that do not exist."""

from collections import Counter
from collections.abc import Iterable

from tinysnitch.core.policy.references import BUILT_IN_LISTS
from tinysnitch.core.rules.rule import RemoteKind, Rule
from tinysnitch.daemon.rules.lists import HeldList, ListLoader
from tinysnitch.protocol.messages import ListEntry, ListState

_NS = 1_000_000_000


def list_entries(lists: ListLoader, rules: Iterable[Rule]) -> list[ListEntry]:
    uses = Counter(rule.remote.text for rule in rules if rule.remote.kind is RemoteKind.LIST)
    held = lists.held()
    return [
        _entry(str(lists.folder / name), name, uses[name], held.get(name))
        for name in sorted({*held, *uses} - BUILT_IN_LISTS)
    ]


def _entry(path: str, name: str, rules: int, held: HeldList | None) -> ListEntry:
    if held is None:
        return ListEntry(list=name, path=path, rules=rules, state=ListState.MISSING)
    if held.compiled is None:
        state = ListState.LOADING if held.is_loading else ListState.MISSING
        return ListEntry(list=name, path=path, rules=rules, state=state, problem=held.problem)
    summary = held.compiled.summary
    return ListEntry(
        list=name,
        path=path,
        rules=rules,
        state=ListState.LOADING if held.is_loading else ListState.LOADED,
        problem=held.problem,
        names=summary.names,
        addresses=summary.addresses,
        networks=summary.networks,
        bad_lines=summary.bad_lines,
        bad_examples=summary.bad_examples,
        updated=summary.stamp.mtime_ns / _NS,
        source=summary.source,
    )
