import pytest
from msgspec.structs import replace

from tests.core.policy.test_ruleset import connection, ruleset
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.facts import Facts
from tinysnitch.core.policy.user_rules import find_excess, find_overruled, has_turnable_path, is_own
from tinysnitch.core.rules.rule_line import format_rule, parse_rule
from tinysnitch.store.remote_set import RemoteSet

FACTS = Facts(
    users={"alice": 1000, "bob": 1001},
    links={"/bin/ssh": "/usr/bin/ssh"},
    lists={"ads": RemoteSet(["ads.test"], [])},
    turnable_links=frozenset({"/home/a/l"}),
)


@pytest.mark.parametrize(
    ("line", "own"),
    [
        ("allow user=1000 - - -", True),
        ("deny user=alice - - -", True),
        ("allow - - -", False),
        ("allow user=bob - - -", False),
        ("allow user=100 - - -", False),
        ("allow user=nobody-has-it - - -", False),
    ],
)
def test_an_own_rule_names_its_user(line: str, own: bool) -> None:
    assert is_own(parse_rule(line), 1000, FACTS) is own


@pytest.mark.parametrize(
    ("columns", "excess"),
    [
        ("*.shop.test 443 tcp /usr/bin/curl -s", None),
        ("- - - unit:cron.service", None),
        ("- - - '/opt/a*b'", None),
        ("- - - /opt/*/app", "a pattern"),
        ("- - - /opt/**", "a pattern"),
        ("@ads - -", "a list"),
        ("- " + ",".join(map(str, range(1, 33, 2))) + " tcp", None),
        ("- " + ",".join(map(str, range(1, 34, 2))) + " tcp", "more than 16 port ranges"),
    ],
)
def test_an_own_rule_makes_nobody_read_or_try_much(columns: str, excess: str | None) -> None:
    assert find_excess(parse_rule(f"allow user=1000 {columns}")) == excess


def test_an_own_rule_demands_no_sum() -> None:
    assert find_excess(parse_rule(f"allow user=1000 sha256={'0' * 64} - - - /usr/bin/curl")) == "sha256="


@pytest.mark.parametrize(
    ("line", "is_turnable"),
    [
        ("allow user=1000 - - - /home/a/l", True),
        ("ask user=alice - - - /home/a/l", True),
        ("allow user=1000 parent=/home/a/l - - -", True),
        ("deny user=1000 - - - /home/a/l", False),
        ("allow - - - /home/a/l", False),
        ("allow user=1000 - - - /home/a/tool /home/a/l", False),
        ("allow user=1000 - - -", False),
    ],
)
def test_what_allows_for_a_user_goes_over_no_link_that_others_can_change(line: str, is_turnable: bool) -> None:
    assert has_turnable_path(parse_rule(line), FACTS) is is_turnable


def test_a_pattern_over_such_a_link_matches_nothing() -> None:
    facts = Facts(patterns={"/home/a/p/*": "/usr/bin/*"}, turnable_patterns=frozenset({"/home/a/p/*"}))
    lines = ["allow user=1000 - - - /home/a/p/*", "allow - - - /home/a/p/*", "deny user=1000 - - - /home/a/p/*"]
    winners = [ruleset(line, facts=facts).explain(connection(), 0.0).decision.rule for line in lines]
    assert winners == [None, parse_rule(lines[1]), parse_rule(lines[2])]


def test_a_rule_over_such_a_link_matches_nothing() -> None:
    lines = ["allow user=1000 example.com - - /home/a/l", "deny example.com - -"]
    facts = Facts(links={"/home/a/l": "/usr/bin/curl"}, turnable_links=frozenset({"/home/a/l"}))
    assert ruleset(lines[0], facts=replace(facts, turnable_links=frozenset())).explain(connection(), 0.0).decision.rule
    explanation = ruleset(*lines, facts=facts).explain(connection(), 0.0)
    assert explanation.decision.rule == parse_rule(lines[1])
    ((_rule, why),) = explanation.losers
    assert why == "its path leads over a link that others than root can change"
    explanation = ruleset(lines[0], facts=facts).explain(connection(), 0.0)
    assert (explanation.decision.verdict, explanation.decision.rule) == (Verdict.ASK, None)
    assert [reason for _, reason in explanation.losers] == [why]


@pytest.mark.parametrize(
    ("line", "others", "overruled"),
    [
        ("allow user=1000 mail.test 25 tcp", ["deny - 25 tcp"], "deny - 25 tcp"),
        ("ask user=1000 mail.test 25 tcp", ["deny - 25 tcp"], "deny - 25 tcp"),
        ("deny user=1000 mail.test 25 tcp", ["deny - 25 tcp"], None),
        ("allow user=1000 mail.test 25 tcp", ["allow - 25 tcp", "ask - 25 tcp"], None),
        ("allow user=1000 mail.test 25 tcp", ["deny - - -", "allow - 80 tcp"], "deny - - -"),
        ("allow user=1000 mail.test 25 tcp", ["deny - - -", "deny - 25 tcp"], "deny - - -"),
        ("allow user=1000 mail.test - tcp", ["deny - 25 tcp"], None),  # neither is narrower: deny wins
        ("allow user=1000 - 25 tcp", ["deny - 25 tcp-src"], None),
        ("allow user=1000 - 25 tcp", ["deny user=bob - - -"], None),
        ("allow user=1000 - 25 tcp", ["deny user=alice - - -"], "deny user=alice - - -"),
        ("allow user=1000 until=2030-01-01T00:00:00Z - 25 tcp", ["deny user=1000 - 25 tcp"], "deny user=1000 - 25 tcp"),
        ("allow user=1000 x.ads.test - -", ["deny @ads - -"], "deny @ads - -"),
        ("allow user=1000 git.test 22 tcp /bin/ssh", ["deny - - - /usr/bin/ssh"], "deny - - - /usr/bin/ssh"),
    ],
)
def test_what_others_deny_stays_denied(line: str, others: list[str], overruled: str | None) -> None:
    found = find_overruled(parse_rule(line), map(parse_rule, others), FACTS)
    assert (format_rule(found) if found else None) == overruled


@pytest.mark.parametrize(
    ("line", "is_free"),
    [
        ("allow user=1000 git.corp.test 22 tcp", True),
        ("allow user=1000 *.corp.test 22 tcp /usr/bin/ssh", True),
        ("allow user=1000 - 22 tcp", False),
        ("allow user=1000 git.test 22 tcp", False),
    ],
)
@pytest.mark.parametrize("word", ["ask", "allow"])
def test_what_others_ask_or_allow_in_between_is_free(line: str, is_free: bool, word: str) -> None:
    others = map(parse_rule, ["deny - 22 tcp", f"{word} *.corp.test 22 tcp"])
    assert (find_overruled(parse_rule(line), others, FACTS) is None) is is_free
