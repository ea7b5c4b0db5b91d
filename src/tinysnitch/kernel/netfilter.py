"""Our netfilter rules, in and out: one transaction a family, our own chains, and other people's rules untouched.

Adding again replaces what our chains hold and puts the jumps to them first again: so a new daemon takes over after a
kill.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

from tinysnitch.core.errors import SnitchError
from tinysnitch.kernel import iptables
from tinysnitch.kernel.netfilter_rules import Family, Jump, RuleSet, RuleWriter, chain_name
from tinysnitch.kernel.nf_tables import (
    delete_chain,
    delete_rule,
    delete_table,
    list_chains,
    list_rules,
    read_generation,
)

# As they are taken away: whatever looks for what escaped would find that others took its mark, once nobody sets it.
_TABLES = ("security", "mangle", "filter")
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

    def is_in_each_family(self) -> bool:
        """One killed while adding may have come to one alone. Within it, the chain looked for is among the last."""
        return all(map(self._is_in, _families()))

    def is_whole(self) -> bool:
        """Whether all that `add` loaded is there: our chains with as many rules, and the jumps to them.

        A family that came since then (modprobe ipv6) is missing, too.
        """
        return self._has_security.keys() >= set(_families()) and all(
            _holds(_save(family), self._build(family, "", has_security=has_security))
            for family, has_security in self._has_security.items()
        )

    def lacks_security(self) -> bool:
        """Whether a family got our rules without those of the security table."""
        return not all(self._has_security.values())

    def _is_in(self, family: Family) -> bool:
        chain = f":{chain_name(self._label, 'OUT')} "
        return chain in _save(family) or chain in _save_elsewhere(family)[1]

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
            for table in _TABLES:
                if table not in _parse_before(before):
                    is_empty = partial(_is_table_empty, table=table, label=self._label)
                    _delete_if(is_empty, family, partial(delete_table, family, table))

    def _delete_chains(self, family: Family) -> None:
        """Likewise of built-in chains in tables that were there: each packet would go through them for nothing."""
        before = self._before.get(family)
        if before is not None and iptables.uses_nf_tables(family):
            for table, chains in _parse_before(before).items():
                for chain in _BUILT_IN:
                    if chains is not None and chain not in chains:
                        is_empty = partial(_is_chain_empty, table=table, chain=chain)
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
    unreadable = [table for table in _UNREADABLE.findall(saved) if table in _TABLES]
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


def _holds(saved: str, rules: RuleSet) -> bool:
    """Whether what iptables-save printed has our chains, with as many rules, and all jumps to them."""
    present = list(_rules_in(saved))
    counts = Counter((rule.table, rule.chain) for rule in present)
    has_chains = all(
        counts[table, chain] == len(body) for table, chains in rules.chains.items() for chain, body in chains.items()
    )
    found = Counter(_way(rule) for rule in present if _has_handle(rule))
    wanted = Counter(_way(jump) for jump in rules.jumps if jump not in present)
    return has_chains and wanted <= found


def _has_handle(rule: Jump) -> bool:
    return rule.rule.startswith("handle ")


def _way(jump: Jump) -> tuple[str, str, str]:
    """From where to where."""
    return jump.table, jump.chain, jump.rule.rpartition(" ")[2]


def render_addition(rules: RuleSet, saved: str, label: str) -> str:
    """The restore input that adds the rules to what iptables-save printed, and takes away what an older build had."""
    lines: list[str] = []
    for table, chains in rules.chains.items():
        known = _chains_of(label, saved, table)
        present = [rule for rule in _rules_in(saved) if rule.table == table]
        stale = [rule for rule in present if _leads_to(rule, [*known, *chains]) and rule not in rules.jumps]
        lines.append(f"*{table}")
        lines += [f":{chain} - [0:0]" for chain in chains]
        lines += [f"-A {chain} {rule}" for chain, body in chains.items() for rule in body]
        lines += [f"-D {jump.chain} {jump.rule}" for jump in stale]
        for chain in dict.fromkeys(jump.chain for jump in rules.jumps if jump.table == table):
            neighbours = [rule for rule in present if rule.chain == chain and rule not in stale]
            lines += _place([jump for jump in rules.jumps if (jump.table, jump.chain) == (table, chain)], neighbours)
        if not any(map(_has_handle, stale)):  # else jumps lead to them until all is loaded: they go with the last of us
            lines += _render_deletion([chain for chain in known if chain not in chains])
        lines.append("COMMIT")
    return "\n".join(lines) + "\n"


def _place(jumps: list[Jump], neighbours: list[Jump]) -> list[str]:
    """Have our jumps of one chain once, in their order, before all other rules of the chain."""
    ours = [rule for rule in neighbours if rule in jumps]
    if ours == jumps == neighbours[: len(jumps)]:
        return []
    return [f"-D {jump.chain} {jump.rule}" for jump in ours] + [
        f"-I {jump.chain} 1 {jump.rule}" for jump in jumps[::-1]
    ]


def render_removal(saved: str, label: str) -> str:
    """The restore input that takes away every chain of the label and every rule that leads to one."""
    lines: list[str] = []
    for table in _TABLES:
        chains = _chains_of(label, saved, table)
        jumps = [jump for jump in _rules_in(saved) if jump.table == table and _leads_to(jump, chains)]
        if chains:
            lines.append(f"*{table}")
            lines += [f"-D {jump.chain} {jump.rule}" for jump in jumps]
            lines += _render_deletion(chains)
            lines.append("COMMIT")
    return "\n".join(lines) + "\n" if lines else ""


def _chains_of(label: str, saved: str, table: str) -> list[str]:
    return re.findall(rf"^:({re.escape(label)}-[A-Z]+) ", _table_of(saved, table), re.MULTILINE)


def _render_deletion(chains: list[str]) -> list[str]:
    return [f"-F {chain}" for chain in chains] + [f"-X {chain}" for chain in chains]


def _leads_to(jump: Jump, chains: list[str]) -> bool:
    *_match, option, target = f" {jump.rule}".rsplit(" ", 2)
    return jump.chain not in chains and option in ("-j", "-g") and target in chains


def _rules_in(saved: str) -> Iterator[Jump]:
    table = ""
    for line in saved.splitlines():
        if line.startswith("*"):
            table = line[1:]
        elif line.startswith("-A "):
            chain, _blank, rule = line[3:].partition(" ")  # a rule that only counts has no more than its chain
            yield Jump(table, chain, rule)


def _tables_in(saved: str) -> list[str]:
    return [line[1:] for line in saved.splitlines() if line.startswith("*")]


def _table_of(saved: str, table: str) -> str:
    return saved.partition(f"*{table}\n")[2].partition("\nCOMMIT")[0]


def _is_table_empty(saved: str, table: str, label: str) -> bool:
    """Whether it is there, and but for what is the label's has only built-in chains, that accept, and no rule."""
    ours = _chains_of(label, saved, table)
    rules = [rule for rule in _rules_in(saved) if rule.table == table and rule.chain not in ours]
    chains = [line[1:].split() for line in _table_of(saved, table).splitlines() if line.startswith(":")]
    is_bare = all(name in ours or policy == "ACCEPT" for name, policy, *_counts in chains)
    return table in _tables_in(saved) and is_bare and all(_leads_to(rule, ours) for rule in rules)


def _is_chain_empty(saved: str, table: str, chain: str) -> bool:
    """Whether it is there, accepts, and has no rule."""
    is_used = any((rule.table, rule.chain) == (table, chain) for rule in _rules_in(saved))
    return not is_used and bool(re.search(rf"^:{chain} ACCEPT ", _table_of(saved, table), re.MULTILINE))


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
        if is_made_by_touch and table in _TABLES
        else table
        for table in _tables_in(saved)
    ]
    return " ".join(words)


def _parse_before(remark: str) -> dict[str, list[str] | None]:
    """The tables; None: of their chains it was not told which were there."""
    words = [word.partition("/") for word in remark.split()]
    return {table: chains.split(",") if slash else None for table, slash, chains in words}


def _families() -> list[Family]:
    """Without IPv6 in the kernel (ipv6.disable=1) ip6tables fails, and no packet needs it."""
    return [Family.V4, *([Family.V6] if _IF_INET6.exists() else [])]
