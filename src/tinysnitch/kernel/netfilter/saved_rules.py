"""Reads the output of iptables-save: what is there of ours. Writes the input of iptables-restore that changes that.

A rule that iptables-save cannot print is in the output by its handle, which netfilter.py adds.
"""

import re
from collections import Counter
from collections.abc import Iterator

from tinysnitch.kernel.netfilter.rules import Jump, RuleSet

# In the order of removal. The rules that look for denied packets without our mark go before those that set the mark:
# otherwise they would find, and count, packets as robbed of it by others.
TABLES = ("security", "mangle", "filter")
_OF_DAEMON = re.compile(r" (TINYSNITCH|TS-RUN-\d+)-[A-Z]+ ")  # the labels of daemon/instance.py


def holds(saved: str, rules: RuleSet) -> bool:
    """Whether what iptables-save printed has our chains, with as many rules, and all jumps to them."""
    present = list(_rules_in(saved))
    counts = Counter((rule.table, rule.chain) for rule in present)
    has_chains = all(
        counts[table, chain] == len(body) for table, chains in rules.chains.items() for chain, body in chains.items()
    )
    found = Counter(_way(rule) for rule in present if _has_handle(rule))
    wanted = Counter(_way(jump) for jump in rules.jumps if jump not in present)
    return has_chains and wanted <= found


def stands(saved: str, label: str, jumps: list[Jump]) -> bool:
    """Whether none of the label's chains is empty, and all these jumps to them are there."""
    rules = list(_rules_in(saved))
    filled = {(rule.table, rule.chain) for rule in rules}
    ours = {(table, chain) for table in TABLES for chain in chains_of(saved, table, label)}
    return ours <= filled and set(map(_way, jumps)) <= set(map(_way, rules))


def render_addition(rules: RuleSet, saved: str, label: str) -> str:
    """The restore input that adds the rules to what iptables-save printed, and takes away what an older build had."""
    lines: list[str] = []
    for table, chains in rules.chains.items():
        known = chains_of(saved, table, label)
        present = [rule for rule in _rules_in(saved) if rule.table == table]
        stale = [rule for rule in present if _leads_to(rule, [*known, *chains]) and rule not in rules.jumps]
        lines.append(f"*{table}")
        lines += [f":{chain} - [0:0]" for chain in chains]
        lines += [f"-A {chain} {rule}" for chain, body in chains.items() for rule in body]
        lines += [f"-D {jump.chain} {jump.rule}" for jump in stale]
        for chain in dict.fromkeys(jump.chain for jump in rules.jumps if jump.table == table):
            neighbours = [rule for rule in present if rule.chain == chain and rule not in stale]
            lines += _place([jump for jump in rules.jumps if (jump.table, jump.chain) == (table, chain)], neighbours)
        if not any(map(_has_handle, stale)):  # jumps with a handle are deleted later, and the chains at our end
            lines += _render_deletion([chain for chain in known if chain not in chains])
        lines.append("COMMIT")
    return "\n".join(lines) + "\n"


def _place(jumps: list[Jump], neighbours: list[Jump]) -> list[str]:
    """The lines that put our jumps of one chain first in it, each once and in their order."""
    ours = [rule for rule in neighbours if rule in jumps]
    if ours == jumps == neighbours[: len(jumps)]:
        return []
    return [f"-D {jump.chain} {jump.rule}" for jump in ours] + [
        f"-I {jump.chain} 1 {jump.rule}" for jump in jumps[::-1]
    ]


def render_removal(saved: str, label: str) -> str:
    """The restore input that takes away every chain of the label and every rule that leads to one."""
    lines: list[str] = []
    for table in TABLES:
        chains = chains_of(saved, table, label)
        jumps = [jump for jump in _rules_in(saved) if jump.table == table and _leads_to(jump, chains)]
        if chains:
            lines.append(f"*{table}")
            lines += [f"-D {jump.chain} {jump.rule}" for jump in jumps]
            lines += _render_deletion(chains)
            lines.append("COMMIT")
    return "\n".join(lines) + "\n" if lines else ""


def _render_deletion(chains: list[str]) -> list[str]:
    return [f"-F {chain}" for chain in chains] + [f"-X {chain}" for chain in chains]


def chains_of(saved: str, table: str, label: str) -> list[str]:
    return re.findall(rf"^:({re.escape(label)}-[A-Z]+) ", _table_of(saved, table), re.MULTILINE)


def tables_in(saved: str) -> list[str]:
    return [line[1:] for line in saved.splitlines() if line.startswith("*")]


def count_others(saved: str) -> Counter[str]:
    """By table, the rules that are no tinysnitchd's: neither in its chains nor leading to them."""
    return Counter(rule.table for rule in _rules_in(saved) if not _OF_DAEMON.search(f" {rule.chain} {rule.rule} "))


def is_table_empty(saved: str, table: str, label: str) -> bool:
    """Whether it is there, and has nothing but built-in chains that accept, besides what is the label's."""
    ours = chains_of(saved, table, label)
    rules = [rule for rule in _rules_in(saved) if rule.table == table and rule.chain not in ours]
    chains = [line[1:].split() for line in _table_of(saved, table).splitlines() if line.startswith(":")]
    is_bare = all(name in ours or policy == "ACCEPT" for name, policy, *_counts in chains)
    return table in tables_in(saved) and is_bare and all(_leads_to(rule, ours) for rule in rules)


def is_chain_empty(saved: str, table: str, chain: str) -> bool:
    """Whether it is there, accepts, and has no rule."""
    is_used = any((rule.table, rule.chain) == (table, chain) for rule in _rules_in(saved))
    return not is_used and bool(re.search(rf"^:{chain} ACCEPT ", _table_of(saved, table), re.MULTILINE))


def _leads_to(jump: Jump, chains: list[str]) -> bool:
    *_match, option, target = f" {jump.rule}".rsplit(" ", 2)
    return jump.chain not in chains and option in ("-j", "-g") and target in chains


def _has_handle(rule: Jump) -> bool:
    return rule.rule.startswith("handle ")


def _way(jump: Jump) -> tuple[str, str, str]:
    """From which chain to which."""
    return jump.table, jump.chain, jump.rule.rpartition(" ")[2]


def _rules_in(saved: str) -> Iterator[Jump]:
    table = ""
    for line in saved.splitlines():
        if line.startswith("*"):
            table = line[1:]
        elif line.startswith("-A "):
            chain, _blank, rule = line[3:].partition(" ")  # a rule that only counts has no more than its chain
            yield Jump(table, chain, rule)


def _table_of(saved: str, table: str) -> str:
    return saved.partition(f"*{table}\n")[2].partition("\nCOMMIT")[0]
