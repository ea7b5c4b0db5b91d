"""Our netfilter rules, in and out: one transaction a family, our own chains, and other people's rules untouched.

Adding again replaces what our chains hold and puts the jumps to them first again: so a new daemon takes over after a
kill.
"""

import re
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

from tinysnitch.core.errors import SnitchError
from tinysnitch.kernel import iptables
from tinysnitch.kernel.netfilter_rules import Family, RuleSet, RuleWriter, chain_name
from tinysnitch.kernel.nf_tables import (
    delete_chain,
    delete_rule,
    delete_table,
    list_chains,
    list_rules,
    read_generation,
)
from tinysnitch.kernel.saved_rules import (
    TABLES,
    chains_of,
    holds,
    is_chain_empty,
    is_table_empty,
    render_addition,
    render_removal,
    stands,
    tables_in,
)

_BUILT_IN = ("INPUT", "OUTPUT", "POSTROUTING")  # chains that our jumps are in
# `nat filter/INPUT,OUTPUT mangle/`: of tables that we touch with the built-in chains, unless an older build wrote it.
_REMARK = re.compile(r'--comment "tables before: ([a-zA-Z,/ ]*)"')
# Of such a table, with a rule that only nft can make (`ct state`), iptables-save prints no more than this.
_UNREADABLE = re.compile(r"^# Table `(\w+)' is incompatible", re.MULTILINE)
# A line of ours for a rule in such a table: iptables-restore knows no handles.
_BY_HANDLE = re.compile(r"^-D (\S+) handle (\w+) (\d+) -j .*\n", re.MULTILINE)
_TRIES = 20  # each about 10 ms
_IF_INET6 = Path("/proc/thread-self/net/if_inet6")


class Netfilter:
    def __init__(
        self,
        label: str,
        queues: tuple[int, int],
        program_path: Callable[[str], Path] | None,
        scope: str | None = None,
    ) -> None:
        """`label` names our chains; `program_path` None: the degraded mode; `scope`: cgroup path below the mount."""
        self._label = label
        self._queues = queues
        self._program_path = program_path
        self._scope = scope
        self._before: dict[Family, str] = {}  # the tables that were there, while no remark in our chains says so
        self._has_security: dict[Family, bool] = {}  # whether that table took our rules

    def add(self) -> None:
        """All families or none. What an earlier daemon left stays when it cannot be renewed: closed, not open."""
        was_present = self.is_present()
        try:
            self.add_again()
        except SnitchError:
            if not was_present:
                with suppress(SnitchError):  # the first error tells more
                    self.remove()
            raise
        for family in _families():  # only now, so that nothing passes between
            self._remove_elsewhere(family)

    def add_again(self) -> None:
        """After others took them away. Of a family that cannot be loaded the other one does not suffer."""
        with ExitStack() as all_of_them:
            for family in reversed(_families()):
                all_of_them.callback(self._add, family)

    def remove(self) -> None:
        """Right also when nothing is there, or half of it. What cannot be removed keeps nothing else."""
        with ExitStack() as undo:
            for family in _families():
                undo.callback(iptables.insist, partial(self._remove, family))
                undo.callback(self._remove_elsewhere, family)

    def is_present(self) -> bool:
        return any(map(self._is_in, _families()))

    def stands(self) -> bool:
        """Whether what an earlier one of us left closes each family, with BPF or without.

        One killed while adding may have come to one family alone. And while nobody guards them, others may flush the
        rules (`iptables -t mangle -F`): the chains are still there then, and let everything through.
        """
        return all(
            self._stands_in(family, _save(family)) or self._stands_in(family, _save_elsewhere(family)[1])
            for family in _families()
        )

    def is_whole(self) -> bool:
        """Whether all that `add` loaded is there: our chains with as many rules, and the jumps to them.

        A family that came since then (modprobe ipv6) is missing, too.
        """
        return self._has_security.keys() >= set(_families()) and all(
            holds(_save(family), self._build(family, "", has_security=has_security))
            for family, has_security in self._has_security.items()
        )

    def lacks_security(self) -> bool:
        """Whether a family got our rules without those of the security table."""
        return not all(self._has_security.values())

    def _is_in(self, family: Family) -> bool:
        chain = f":{chain_name(self._label, 'OUT')} "
        return chain in _save(family) or chain in _save_elsewhere(family)[1]

    def _stands_in(self, family: Family, saved: str) -> bool:
        has_security = bool(chains_of(saved, "security", self._label))
        jumps = self._build(family, "", has_security=has_security).jumps
        return stands(saved, self._label, jumps)

    def _add(self, family: Family) -> None:
        """Not every kernel has the security table; what it catches besides is a rule of others before our REJECT."""
        try:
            self._load(family, has_security=True)
        except SnitchError:
            has_security = iptables.has_table(family, "security")
            iptables.insist(partial(self._load, family, has_security=has_security))

    def _load(self, family: Family, *, has_security: bool) -> None:
        saved = _save(family)  # each time: iptables-restore commits table by table, so half may be there
        known = _REMARK.search(saved)  # of an earlier one of us, whose tables are ours as well
        before = known.group(1) if known else self._before.setdefault(family, _find_before(family, saved))
        addition = render_addition(self._build(family, before, has_security=has_security), saved, self._label)
        iptables.restore(family, _BY_HANDLE.sub("", addition))
        _delete_by_handle(family, addition)  # only now, so that nothing passes between
        self._has_security[family] = has_security

    def _build(self, family: Family, before: str, *, has_security: bool) -> RuleSet:
        writer = RuleWriter(
            family=family,
            label=self._label,
            queues=self._queues,
            program_path=self._program_path,
            scope=self._scope,
            has_security=has_security,
        )
        return writer.build(f"tables before: {before}")

    def _remove(self, family: Family) -> None:
        saved = _save(family)
        known = _REMARK.search(saved)
        if known:
            self._before[family] = known.group(1)  # should this try fail half-way, the next one finds no remark
        if family in self._before:
            self._delete_tables(family)
            saved = _save(family)
        removal = render_removal(saved, self._label)
        if removal:
            _delete_by_handle(family, removal)
            iptables.restore(family, _BY_HANDLE.sub("", removal))
            self._delete_tables(family)  # of which another one of us had a part until now
            self._delete_chains(family)
        self._before.pop(family, None)

    def _delete_tables(self, family: Family) -> None:
        """iptables-nft makes a table when it is first touched: take away those that came with us, with all of ours.

        At once: a firewall that starts meanwhile would take the empty ones for the machine's, and leave them.
        """
        before = self._before.get(family)
        if before is not None and iptables.uses_nf_tables(family):
            for table in TABLES:
                if table not in _parse_before(before):
                    is_empty = partial(is_table_empty, table=table, label=self._label)
                    _delete_if(is_empty, family, partial(delete_table, family, table))

    def _delete_chains(self, family: Family) -> None:
        """Likewise of built-in chains in tables that were there: each packet would go through them for nothing."""
        before = self._before.get(family)
        if before is not None and iptables.uses_nf_tables(family):
            for table, chains in _parse_before(before).items():
                for chain in _BUILT_IN:
                    if chains is not None and chain not in chains:
                        is_empty = partial(is_chain_empty, table=table, chain=chain)
                        _delete_if(is_empty, family, partial(delete_chain, family, table, chain))

    def _remove_elsewhere(self, family: Family) -> None:
        """What was added when `iptables` was the other backend: nobody may be there any more to answer it."""
        backend, saved = _save_elsewhere(family)
        removal = render_removal(saved, self._label)
        if removal:
            iptables.restore(family, removal, backend)


def _save(family: Family) -> str:
    """What iptables-save prints, with the tables that it cannot read: of their rules, where they are and lead to."""
    saved = iptables.save(family)
    unreadable = [table for table in _UNREADABLE.findall(saved) if table in TABLES]
    return saved + "".join(_render_unreadable(family, table) for table in unreadable)


def _render_unreadable(family: Family, table: str) -> str:
    rules = [f"-A {rule.chain} handle {table} {rule.handle} -j {rule.target}" for rule in list_rules(family, table)]
    return "\n".join([f"*{table}", *(f":{name} - [0:0]" for name in list_chains(family, table)), *rules, "COMMIT\n"])


def _delete_by_handle(family: Family, text: str) -> None:
    """What iptables-restore could not: it would have to read the rules before it."""
    for chain, table, handle in _BY_HANDLE.findall(text):
        delete_rule(family, table, chain, int(handle))


def _save_elsewhere(family: Family) -> tuple[str, str]:
    """The other backend, and what it holds; nothing where this kernel does not have it."""
    with suppress(SnitchError):
        backend = iptables.find_other_backend(family)
        if backend:
            return backend, iptables.save(family, backend)
    return "", ""


def _delete_if(is_empty: Callable[[str], bool], family: Family, delete: Callable[[int], bool]) -> None:
    """`delete` tells whether the generation of the rule set was still the one that was looked at.

    Whoever changes rules meanwhile may be another one of us that ends as well, and leaves what is empty to us.
    """
    for _ in range(_TRIES):
        generation = read_generation()
        if not is_empty(iptables.save(family)) or delete(generation):
            return


def _find_before(family: Family, saved: str) -> str:
    """The tables that are there, for the remark. (iptables-save prints all built-in chains, be they there or not.)"""
    is_made_by_touch = iptables.uses_nf_tables(family)
    words = [
        f"{table}/{','.join(name for name in list_chains(family, table) if name in _BUILT_IN)}"
        if is_made_by_touch and table in TABLES
        else table
        for table in tables_in(saved)
    ]
    return " ".join(words)


def _parse_before(remark: str) -> dict[str, list[str] | None]:
    """The tables; None: of their chains it was not told which were there."""
    words = [word.partition("/") for word in remark.split()]
    return {table: chains.split(",") if slash else None for table, slash, chains in words}


def _families() -> list[Family]:
    """Without IPv6 in the kernel (ipv6.disable=1) ip6tables fails, and no packet needs it."""
    return [Family.V4, *([Family.V6] if _IF_INET6.exists() else [])]
