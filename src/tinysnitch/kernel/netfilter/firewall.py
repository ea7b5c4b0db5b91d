"""Adds and removes our netfilter rules: one transaction for each family, in chains of our own; others' rules stay.

To add them again replaces the content of our chains and puts the jumps to them first: so a daemon takes over from a
killed one. `NetfilterNews` is readable whenever anybody has changed the nf_tables rule set of our network namespace.
The kernel tells of each transaction (nf_tables_commit_notify() in net/netfilter/nf_tables_api.c), but not of what
iptables-legacy changes.
"""

import re
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

from tinysnitch.core.model.errors import SnitchError
from tinysnitch.kernel.netfilter import iptables
from tinysnitch.kernel.netfilter.nf_tables import (
    delete_chain,
    delete_rule,
    delete_table,
    list_chains,
    list_rules,
    list_tables,
    read_generation,
)
from tinysnitch.kernel.netfilter.rules import Family, RuleSet, RuleWriter, chain_name
from tinysnitch.kernel.netfilter.saved_rules import (
    TABLES,
    chains_of,
    count_others,
    holds,
    is_chain_empty,
    is_table_empty,
    render_addition,
    render_removal,
    stands,
    tables_in,
)
from tinysnitch.kernel.netlink.socket import NETLINK_NETFILTER, NetlinkSocket
from tinysnitch.kernel.system.proc_place import PROC

_BUILT_IN = ("INPUT", "OUTPUT", "POSTROUTING")  # chains that our jumps are in
# `nat filter/INPUT,OUTPUT mangle/`: the tables before us; those that we touch with their built-in chains, unless an
# older build wrote the remark.
_REMARK = re.compile(r'--comment "tables before: ([a-zA-Z,/ ]*)"')
# All that iptables-save prints of a table that has a rule which only nft can make (`ct state`).
_UNREADABLE = re.compile(r"^# Table `(\w+)' is incompatible", re.MULTILINE)
# How we write that a rule in such a table is to be deleted: iptables-restore knows no handles.
_BY_HANDLE = re.compile(r"^-D (\S+) handle (\w+) (\d+) -j .*\n", re.MULTILINE)
_OF_IPTABLES = re.compile("ip6? (filter|nat|mangle|raw|security)")
_TRIES = 20  # each about 10 ms
_GROUPS = 1 << 7 - 1  # NFNLGRP_NFTABLES, include/uapi/linux/netfilter/nfnetlink.h
_IF_INET6 = Path(PROC, "thread-self/net/if_inet6")


class Netfilter:
    def __init__(
        self,
        label: str,
        queues: tuple[int, int],
        program_path: Callable[[str], Path] | None,
        cgroup: str | None = None,
    ) -> None:
        """`label` names our chains; `program_path` None: the degraded mode; `cgroup`: as in RuleWriter."""
        self._label = label
        self._queues = queues
        self._program_path = program_path
        self._cgroup = cgroup
        self._before: dict[Family, str] = {}  # the tables before us, until a remark in our chains says so
        self._has_security: dict[Family, bool] = {}  # whether that table took our rules

    def add(self) -> None:
        """For all families, or none. What an earlier daemon left stays if it cannot be replaced: closed, not open."""
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
        """Add what others removed. If one family fails, the other one is added all the same."""
        with ExitStack() as all_of_them:
            for family in reversed(_families()):
                all_of_them.callback(self._add, family)

    def remove(self) -> None:
        """Remove all that is there of ours. If something cannot be removed, the rest is all the same."""
        with ExitStack() as undo:
            for family in _families():
                undo.callback(iptables.insist, partial(self._remove, family))
                undo.callback(self._remove_elsewhere, family)

    def is_present(self) -> bool:
        return any(map(self._is_in, _families()))

    def stands(self) -> bool:
        """Whether the rules that an earlier daemon left are in force for each family, with BPF or without.

        A daemon that was killed while it added them may have come to one family alone. And while no daemon guards them,
        others may flush the rules (`iptables -t mangle -F`): then our chains are there, but let everything pass.
        """
        return all(
            self._stands_in(family, _save(family)) or self._stands_in(family, _save_elsewhere(family)[1])
            for family in _families()
        )

    def is_whole(self) -> bool:
        """Whether all that `add` loaded is there: our chains with as many rules, and the jumps to them.

        False also when a family came since then (modprobe ipv6).
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
        """Not every kernel has the security table: all it adds is to catch what others accept before our REJECT."""
        try:
            self._load(family, has_security=True)
        except SnitchError:
            has_security = iptables.has_table(family, "security")
            iptables.insist(partial(self._load, family, has_security=has_security))

    def _load(self, family: Family, *, has_security: bool) -> None:
        saved = _save(family)  # at each try: iptables-restore commits table by table, so half may be there
        known = _REMARK.search(saved)  # an earlier daemon's, whose tables are ours as well
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
            cgroup=self._cgroup,
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
            self._delete_tables(family)  # once more: another daemon may have left one meanwhile
            self._delete_chains(family)
        self._before.pop(family, None)

    def _delete_tables(self, family: Family) -> None:
        """iptables-nft makes a table when it is first touched: delete those that were made for us, with our chains.

        Both at once: another tinysnitchd that starts in between would take an empty table for the machine's, and leave
        it at its end.
        """
        before = self._before.get(family)
        if before is not None and iptables.uses_nf_tables(family):
            for table in TABLES:
                if table not in _parse_before(before):
                    is_empty = partial(is_table_empty, table=table, label=self._label)
                    _delete_if(is_empty, family, partial(delete_table, family, table))

    def _delete_chains(self, family: Family) -> None:
        """The same for built-in chains in tables that were there: each packet would go through them for nothing."""
        before = self._before.get(family)
        if before is not None and iptables.uses_nf_tables(family):
            for table, chains in _parse_before(before).items():
                for chain in _BUILT_IN:
                    if chains is not None and chain not in chains:
                        is_empty = partial(is_chain_empty, table=table, chain=chain)
                        _delete_if(is_empty, family, partial(delete_chain, family, table, chain))

    def _remove_elsewhere(self, family: Family) -> None:
        """Remove what was added while `iptables` was the other backend: perhaps nobody reads its queue any more."""
        backend, saved = _save_elsewhere(family)
        removal = render_removal(saved, self._label)
        if removal:
            iptables.restore(family, removal, backend)


def _save(family: Family) -> str:
    """What iptables-save prints; for tables that it cannot read, each rule's chain, handle and target."""
    saved = iptables.save(family)
    unreadable = [table for table in _UNREADABLE.findall(saved) if table in TABLES]
    return saved + "".join(_render_unreadable(family, table) for table in unreadable)


def _render_unreadable(family: Family, table: str) -> str:
    rules = [f"-A {rule.chain} handle {table} {rule.handle} -j {rule.target}" for rule in list_rules(family, table)]
    return "\n".join([f"*{table}", *(f":{name} - [0:0]" for name in list_chains(family, table)), *rules, "COMMIT\n"])


def _delete_by_handle(family: Family, text: str) -> None:
    """Delete the rules that iptables-restore cannot delete, since it cannot read their table."""
    for chain, table, handle in _BY_HANDLE.findall(text):
        delete_rule(family, table, chain, int(handle))


def _save_elsewhere(family: Family) -> tuple[str, str]:
    """The other backend, and what it holds; two empty strings where there is none."""
    with suppress(SnitchError):
        backend = iptables.find_other_backend(family)
        if backend:
            return backend, iptables.save(family, backend)
    return "", ""


def _delete_if(is_empty: Callable[[str], bool], family: Family, delete: Callable[[int], bool]) -> None:
    """Delete what is empty. `delete` returns False if somebody changed the rule set since it was read: try again then.

    That may have been another tinysnitchd that ends at the same time, and leaves what is empty to us.
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
    """By table, the built-in chains that were there; None: the remark does not tell."""
    words = [word.partition("/") for word in remark.split()]
    return {table: chains.split(",") if slash else None for table, slash, chains in words}


def _families() -> list[Family]:
    """Without IPv6 in the kernel (ipv6.disable=1) ip6tables fails, and no packet needs it."""
    return [Family.V4, *([Family.V6] if _IF_INET6.exists() else [])]


def describe_others() -> list[str]:
    """A clause for each place where rules of others are: `iptables filter 12, nat 3`, `nft inet firewalld`."""
    clauses = []
    for family in _families():
        for saved in (_save(family), _save_elsewhere(family)[1]):
            counts = count_others(saved)
            if counts:
                clauses.append(
                    f"{iptables.name_of(family)} {', '.join(f'{table} {count}' for table, count in counts.items())}"
                )
    with suppress(SnitchError):  # a kernel without nf_tables
        clauses += [f"nft {table}" for table in list_tables() if not _OF_IPTABLES.fullmatch(table)]
    return clauses


def has_ipv6() -> bool:
    return Family.V6 in _families()


class NetfilterNews(NetlinkSocket):
    def __init__(self) -> None:
        super().__init__(NETLINK_NETFILTER, _GROUPS)
        self.socket.setblocking(False)
