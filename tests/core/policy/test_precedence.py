import time
import timeit
from collections.abc import Callable
from itertools import combinations, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.core.policy import rule_oracle as oracle
from tests.core.rules.rule_strategies import COLUMNS, FACTS, PORT_SETS, PROGRAMS, REMOTES, meeting_rules
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.facts import Facts, RemoteWords
from tinysnitch.core.policy.precedence import covers, is_narrower, may_overlap, resolve_rule
from tinysnitch.core.rules.rule import Rule
from tinysnitch.core.rules.rule_line import parse_rule

WORDS = RemoteWords(FACTS)


def scopes(*columns: str) -> list[Rule]:
    return [parse_rule(f"allow {text}") for text in columns]


NARROWER = [
    ("a.example.com - -", "*.example.com - -"),
    ("example.com - -", "*.example.com - -"),
    ("*.a.example.com - -", "*.example.com - -"),
    ("a.example.com - -", "- - -"),
    ("10.1.2.3 - -", "10.0.0.0/8 - -"),
    ("10.1.0.0/16 - -", "10.*.*.* - -"),
    ("10.1.0.0/16 - -", "- - -"),
    ("localhost - -", "- - -"),
    ("127.0.0.1 - -", "localhost - -"),
    ("127.1.0.0/16 - -", "localhost - -"),
    ("192.168.1.5 - -", "localhost - -"),
    ("192.168.1.0/25 - -", "lan - -"),
    ("10.1.2.3 - -", "@resolvers - -"),
    ("ads.example.com - -", "@ads - -"),
    ("a.ads.example.com - -", "@ads - -"),
    ("*.ads.example.com - -", "@ads - -"),
    ("10.1.9.1 - -", "@ads - -"),
    ("10.1.9.0/25 - -", "@ads - -"),
    ("@ads - -", "- - -"),
    ("- 80 tcp", "- 1-1024 tcp"),
    ("- 80,443 tcp", "- 80-90,443 tcp"),
    ("- 80 tcp", "- - tcp"),
    ("- - tcp", "- - -"),
    ("- - icmp-src", "- - -src"),
    ("- - - /bin/a", "- - -"),
    ("- - - /bin/a", "- - - /bin/*"),
    ("- - - /bin/*", "- - - /**"),
    ("- - - '/opt/*'", "- - - /opt/*"),  # the path of a file that is called so
    ("- - - /opt/*/bin", "- - - /opt/**"),
    ("- - - /opt/a*", "- - - /opt/*"),
    ("- - - /opt/*", "- - - /opt/**"),
    ("- - - kernel", "- - -"),
    ("- - - /bin/a x", "- - - /bin/a"),
    ("- - - /bin/a ()", "- - - /bin/a"),
    ("user=alice - - -", "- - -"),
    ("parent=/bin/a - - -", "- - -"),
    ("iface=eth0 - - -", "- - -"),
    (f"sha256={'ab' * 32} - - -", "- - -"),
    ("until=2030-01-01 - - -", "- - -"),
    ("until=2030-01-01 a.example.com - -", "*.example.com - -"),
    ("a.example.com - -", "until=2030-01-01 *.example.com - -"),
]
INCOMPARABLE = [
    ("example.com - -", "example.org - -"),
    ("badexample.com - -", "*.example.com - -"),
    ("10.1.2.3 - -", "example.com - -"),
    ("example.com - -", "@ads - -"),
    ("*.example.com - -", "@ads - -"),
    ("badads.example.com - -", "@ads - -"),
    ("10.1.0.0/16 - -", "@ads - -"),
    ("10.1.2.0/24 - -", "@resolvers - -"),
    ("ads.example.com - -", "@none - -"),
    ("ads.example.com - -", "@resolvers - -"),
    ("localhost - -", "lan - -"),
    ("'localhost' - -", "localhost - -"),
    ("192.168.0.0/16 - -", "lan - -"),
    ("::1 - -", "0.0.0.0/0 - -"),
    ("10.1.2.3 - -", "::/0 - -"),
    ("@ads - -", "@others - -"),
    ("- 80-443 tcp", "- 81-1024 tcp"),
    ("- 80 tcp", "- 80 udp"),
    ("- - -", "- - -src"),
    ("- - - /opt/a/b", "- - - /opt/*"),
    ("- - - /opt/a", "- - - '/opt/*'"),  # the path of a file that is called so
    ("@www.example.com - -", "*.example.com - -"),
    ("- - - kernel", "- - - unknown"),
    ("- - - unit:a", "- - - /bin/a"),
    ("- - - /bin/a x", "- - - /bin/a y"),
    ("- - - /bin/a", "example.com - -"),
    ("user=a - - -", "user=b - - -"),
    ("until=2030-01-01 - - -", "until=2031-01-01 - - -"),
]


@pytest.mark.parametrize(("narrow", "wide"), NARROWER)
def test_one_of_two_is_the_narrower_and_never_both(narrow: str, wide: str) -> None:
    first, second = scopes(narrow, wide)
    assert is_narrower(first, second, WORDS)
    assert not is_narrower(second, first, WORDS)


@pytest.mark.parametrize(("one", "other"), INCOMPARABLE)
def test_neither_is_narrower(one: str, other: str) -> None:
    first, second = scopes(one, other)
    assert not is_narrower(first, second, WORDS)
    assert not is_narrower(second, first, WORDS)


def test_a_rule_bound_to_a_process_is_narrower() -> None:
    (rule,) = scopes("- - -")
    assert is_narrower(replace(rule, exec_id=7), rule, WORDS)


@given(meeting_rules)
def test_no_rule_is_narrower_than_itself(rule: Rule) -> None:
    assert not is_narrower(rule, rule, WORDS)
    assert covers(rule, rule, WORDS)


@given(meeting_rules, meeting_rules, meeting_rules)
def test_narrower_is_a_strict_partial_order(first: Rule, second: Rule, third: Rule) -> None:
    assert not (is_narrower(first, second, WORDS) and is_narrower(second, first, WORDS))
    if is_narrower(first, second, WORDS) and is_narrower(second, third, WORDS):
        assert is_narrower(first, third, WORDS)


NO_COLUMNS = Rule(verdict=Verdict.ALLOW)


def is_narrower_when_resolved(rule: Rule, other: Rule) -> bool:
    return is_narrower(resolve_rule(rule, FACTS), resolve_rule(other, FACTS), WORDS)


@pytest.mark.parametrize("column", COLUMNS)
def test_column_by_column_the_narrower_is_what_the_design_says(column: str) -> None:
    """A second column, which is narrower, shows too which values count as the same."""
    narrow: dict[str, object] = {"args": ("x",)} if column == "iface" else {"iface": "eth0"}
    for values in product(COLUMNS[column], repeat=2):
        one, other = (replace(NO_COLUMNS, **{column: value}) for value in values)
        for rule in (one, replace(one, **narrow)):
            assert is_narrower_when_resolved(rule, other) is oracle.is_narrower(rule, other), (rule, other)


@settings(max_examples=300, deadline=None)
@given(meeting_rules, meeting_rules, st.sets(st.sampled_from(sorted(COLUMNS)), min_size=2, max_size=3))
def test_narrower_is_what_the_design_says(rule: Rule, other: Rule, differing: set[str]) -> None:
    other = replace(rule, **{column: getattr(other, column) for column in differing})
    assert is_narrower_when_resolved(rule, other) is oracle.is_narrower(rule, other)


@pytest.mark.parametrize(
    ("taken_in", "columns"),
    [(oracle.remotes_in, REMOTES), (oracle.programs_in, PROGRAMS), (oracle.ports_in, PORT_SETS)],
)
def test_the_oracles_samples_tell_columns_apart(
    taken_in: Callable[[object], frozenset[object]], columns: list[object]
) -> None:
    assert all(map(taken_in, columns))
    for one, other in combinations(columns, 2):
        assert taken_in(one) != taken_in(other)


def test_thousands_of_ports_are_soon_compared() -> None:
    ports = ",".join(map(str, range(10_001, 20_000, 2)))
    one, other, both = scopes(f"- {ports},60001 tcp", f"- {ports},60003 tcp", f"- {ports},60001,60003 tcp")
    taken_s = timeit.timeit(lambda: covers(one, other, WORDS), timer=time.thread_time, number=1)
    assert taken_s < 0.05  # 2 ms
    assert [covers(wide, one, WORDS) for wide in (one, other, both)] == [True, False, True]


def test_every_column_of_a_rule_is_compared() -> None:
    assert {"verdict", *COLUMNS} == set(Rule.__struct_fields__)


@pytest.mark.parametrize(
    ("one", "other", "is_shared"),
    [
        ("*.example.com 443 tcp", "ads.example.com - -", True),
        ("*.example.com 443 tcp", "*.ads.example.com 443 tcp", True),
        ("*.example.com 443 tcp", "example.org 443 tcp", False),
        ("a.example.com 443 tcp", "b.example.com 443 tcp", False),
        ("*.example.com 443 tcp", "10.1.2.3 - -", False),
        ("*.example.com 443 tcp", "localhost - -", False),
        ("*.example.com 443 tcp", "@ads - -", True),
        ("- 443 tcp", "localhost - -", True),
        ("- 443 tcp", "- 80,400-500 tcp", True),
        ("- 443 tcp", "- 80,444-500 tcp", False),
        ("- 443 tcp", "- 443 udp", False),
        ("- 443 tcp", "- 443 tcp-src", False),
        ("10.1.2.3 - -", "10.0.0.0/8 - -", True),
        ("10.1.2.3 - -", "10.1.2.4 - -", False),
        ("10.1.2.3 - -", "lan - -", True),
        ("lan - -", "localhost - -", True),
        ("10.9.9.9 - -", "@ads - -", True),  # a list may hold any address: which, is not looked up
        ("- - - /bin/a x", "- - - /bin/a", True),
        ("- - - /bin/a x", "- - - /bin/a y", False),
        ("user=1000 - - -", "- - -", True),
        ("user=1000 - - -", "user=0 - - -", False),
        ("parent=/bin/a - - -", "parent=/bin/b - - -", True),  # both may be among its ancestors
    ],
)
def test_whether_two_scopes_may_overlap(one: str, other: str, *, is_shared: bool) -> None:
    first, second = scopes(one, other)
    assert may_overlap(first, second, WORDS) is may_overlap(second, first, WORDS) is is_shared


@settings(max_examples=300, deadline=None)
@given(meeting_rules, meeting_rules)
def test_a_rule_overlaps_what_it_covers(rule: Rule, other: Rule) -> None:
    for each in (rule, replace(rule, remote=other.remote), replace(rule, args=other.args, ports=other.ports)):
        assert may_overlap(rule, each, WORDS) or not (covers(rule, each, WORDS) or covers(each, rule, WORDS))


def test_resolve_rule_follows_links_and_users() -> None:
    facts = Facts(links={"/bin/a": "/usr/bin/a", "/bin/p": "/usr/bin/p"}, users={"alice": 1000})
    written, meant, other = scopes(
        "user=alice parent=/bin/p - - - /bin/a", "user=1000 parent=/usr/bin/p - - - /usr/bin/a", "- - - /bin/c"
    )
    assert resolve_rule(written, facts) == meant
    assert resolve_rule(other, facts) is other


def test_resolve_rule_follows_the_folders_of_a_pattern() -> None:
    facts = Facts(patterns={"/bin/*": "/usr/bin/*"}, links={"/opt/*": "/nowhere"})
    written, meant, other, path = scopes("- - - /bin/*", "- - - /usr/bin/*", "- - - /opt/*", "- - - '/bin/*'")
    assert resolve_rule(written, facts) == meant
    assert resolve_rule(other, facts) is other
    assert resolve_rule(path, facts) is path
