import pytest
from hypothesis import given
from msgspec.structs import replace

from tests.core.rule_strategies import FACTS, meeting_rules
from tinysnitch.core.facts import Facts
from tinysnitch.core.remote_words import RemoteWords
from tinysnitch.core.rule import Rule
from tinysnitch.core.rule_text import parse_rule
from tinysnitch.core.scope import covers, is_narrower, resolve_rule

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
    ("- - - kernel", "- - - unknown"),
    ("- - - unit:a", "- - - /bin/a"),
    ("- - - /bin/a x", "- - - /bin/a y"),
    ("- - - /bin/a", "example.com - -"),
    ("user=a - - -", "user=b - - -"),
    ("until=2030-01-01 - - -", "until=2031-01-01 - - -"),
]


@pytest.mark.parametrize(("narrow", "wide"), NARROWER)
def test_narrower(narrow: str, wide: str) -> None:
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


def test_resolve_rule_follows_links_and_users() -> None:
    facts = Facts(links={"/bin/a": "/usr/bin/a", "/bin/p": "/usr/bin/p"}, users={"alice": 1000})
    written, meant, other = scopes(
        "user=alice parent=/bin/p - - - /bin/a", "user=1000 parent=/usr/bin/p - - - /usr/bin/a", "- - - /bin/c"
    )
    assert resolve_rule(written, facts) == meant
    assert resolve_rule(other, facts) is other
