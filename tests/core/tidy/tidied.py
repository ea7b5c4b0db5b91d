"""Rules of which many differ in one column alone, and what becomes of them when proposals are taken."""

from collections.abc import Iterable, Iterator, Sequence
from random import Random

from hypothesis import strategies as st
from msgspec.structs import replace

from tests.core.rules.rule_strategies import ARGS, COLUMNS, FACTS, MOSTLY_OPEN, NAMES, PORTS, connections
from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.decision import Decision
from tinysnitch.core.policy.ruleset import Ruleset
from tinysnitch.core.rules.rule import ANY_PROGRAM, ANY_REMOTE, Program, ProgramKind, Remote, RemoteKind, Rule
from tinysnitch.core.tidy.proposal import Proposal

NOW_S = 0.0  # before any rule of the strategies ends
_KINDS = [RemoteKind.NAME] * 4 + [RemoteKind.DOMAIN]
_NAMED = [Remote(kind, name) for kind in _KINDS for name in NAMES]
_SINGLE_PORTS = [((port, port),) for port in PORTS]
_VARIANTS = {"remote": _NAMED, "ports": _SINGLE_PORTS, "args": COLUMNS["args"][1:]}
_OPEN = 0.9  # how many columns of a rule are left open
_seeds = st.integers(0, 2**32)


def _is_no_link(connection: Connection) -> bool:
    process = connection.attribution.process
    return process is None or process.program not in FACTS.links


@st.composite
def connection_lists(draw: st.DrawFn) -> list[Connection]:
    """Connections of which some differ in the name, the port or the arguments alone. The kernel tells a program by its
    path without links."""
    asked = draw(st.lists(connections.filter(_is_no_link), min_size=1, max_size=2))
    for one in tuple(asked):
        asked += [replace(one, name=name) for name in NAMES]
        asked.append(replace(one, flow=replace(one.flow, remote_port=draw(st.sampled_from(PORTS)))))
        process = one.attribution.process
        if process:
            other = replace(process, args=draw(st.sampled_from(ARGS)))
            asked.append(replace(one, attribution=replace(one.attribution, process=other)))
    return asked


def _make_similar(asked: Sequence[Connection], random: Random) -> Iterator[Rule]:
    one = random.choice(asked)
    process = one.attribution.process
    path = [Program(ProgramKind.PATH, process.program)] if process else []
    given = {
        "direction": one.flow.direction,
        "remote": random.choice(_NAMED),
        "ports": ((one.flow.port, one.flow.port),) if one.flow.port else (),
        "program": random.choice([*path, *path, ANY_PROGRAM]),
    }
    narrowing = {name: random.choice(COLUMNS[name]) for name in MOSTLY_OPEN if random.random() > _OPEN}
    rule = Rule(verdict=random.choice(list(Verdict)), **(given | narrowing))
    column = random.choice(list(_VARIANTS))
    for _ in range(random.randint(2, 4)):
        yield replace(rule, **{column: random.choice(_VARIANTS[column])})
    for _ in range(random.choice([0, 0, 1, 2])):
        wide = [{"remote": ANY_REMOTE}, {"remote": random.choice(_NAMED)}, {"ports": ()}, {"program": ANY_PROGRAM}]
        opened = random.choice(wide) | random.choice(wide)
        yield replace(rule, verdict=random.choice(list(Verdict)), args=None, **opened)


def similar_rules(asked: Sequence[Connection]) -> st.SearchStrategy[list[Rule]]:
    """Rules that differ from each other in one column, and wider ones with another verdict. Hypothesis draws a number
    alone: it would rarely make rules that are alike."""

    def make(seed: int) -> list[Rule]:
        random = Random(seed)
        groups = (_make_similar(asked, random) for _ in range(random.randint(1, 3)))
        return list(dict.fromkeys(rule for group in groups for rule in group))

    return _seeds.map(make)


def take(rules: Iterable[Rule], proposals: Iterable[Proposal]) -> list[Rule]:
    """The rules once these proposals are taken."""
    left = dict.fromkeys(rules)
    for proposal in proposals:
        if proposal.added:
            left[proposal.added] = None
        for rule in proposal.removed:
            left.pop(rule, None) if rule != proposal.added else None
    return list(left)


def decide(rules: Iterable[Rule], asked: Connection) -> Decision:
    return Ruleset(rules, FACTS).decide(asked, NOW_S)


def is_matched(rules: Iterable[Rule], asked: Connection) -> bool:
    return any(decide([rule], asked).rule for rule in rules)
