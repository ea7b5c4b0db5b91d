"""What is proposed for rules that people have, in words."""

import pytest

from tests.core.rules.rule_strategies import FACTS
from tinysnitch.core.policy.facts import Facts
from tinysnitch.core.rules.rule_line import format_rule, parse_rule
from tinysnitch.core.tidy.proposal import Kind, Proposal
from tinysnitch.core.tidy.rules_tidy import REST, Gone, is_still_sound, propose
from tinysnitch.core.tidy.scope_index import ScopeIndex

DAY_S = 86400.0
CURL, GIT = "443 tcp /usr/bin/curl", "github.com {} tcp /usr/bin/git"
AT_DAY_ONE = "until=1970-01-02T00:00:00Z"


def keeps_args(path: str, _args: tuple[str, ...]) -> bool:
    return path == "/usr/bin/python3"


def proposed(
    *lines: str, wall_s: float = 0.0, gone: Gone | None = None, used: dict[str, float] | None = None
) -> list[Proposal]:
    last_used = {parse_rule(line): used_s for line, used_s in (used or {}).items()}
    rules = map(parse_rule, lines)
    found = propose(rules, FACTS, wall_s, keeps_args, gone=gone or Gone(), last_used=last_used)
    return [each for each in found if each]


def told(proposals: list[Proposal]) -> list[tuple[str, str | None, str]]:
    return [(each.kind.value, each.added and format_rule(each.added), each.effect) for each in proposals]


@pytest.mark.parametrize(
    ("lines", "kind", "added", "effect"),
    [
        (
            [f"allow {name}.shop.test {CURL}" for name in ("api", "www")],
            "domain",
            f"allow *.shop.test {CURL}",
            "also lets pass every other name of shop.test for /usr/bin/curl, port 443 tcp",
        ),
        (
            [f"deny user=alice {name}.bbc.co.uk - -" for name in ("a", "b")],
            "domain",
            "deny user=alice *.bbc.co.uk - -",
            "also refuses every other name of bbc.co.uk for any program as user alice, any port, any protocol",
        ),
        ([f"allow {GIT.format(port)}" for port in (22, 443)], "ports", f"allow {GIT.format('22,443')}", ""),
        (
            [f"allow shop.test {CURL} {word}" for word in ("-s", "-v")],
            "args",
            f"allow shop.test {CURL}",
            "also lets pass the same with any other arguments for /usr/bin/curl, port 443 tcp",
        ),
    ],
)
def test_rules_that_differ_in_one_column_are_joined(lines: list[str], kind: str, added: str, effect: str) -> None:
    (proposal,) = proposed(*lines)
    assert told([proposal]) == [(kind, added, effect)]
    assert list(map(format_rule, proposal.removed)) == lines


@pytest.mark.parametrize(
    "lines",
    [
        [f"allow {name}.co.uk {CURL}" for name in ("a", "b")],  # a public suffix
        [f"allow {name} {CURL}" for name in ("a", "b")],
        [f"allow 10.0.0.{number} {CURL}" for number in (1, 2)],
        [f"allow {name}.shop.test {CURL}" for name in ("a", "b")] + [f"deny *.shop.test {CURL}"],
        [f"allow {name}.shop.test {CURL}" for name in ("a", "b")] + ["ask - - -"],
        [f"deny {name}.shop.test {CURL}" for name in ("a", "b")] + [f"allow c.shop.test {CURL} -s"],
        [f"allow user={user} shop.test {CURL}" for user in ("alice", "bob")],
        [f"allow {AT_DAY_ONE} {name}.shop.test {CURL}" for name in ("a", "b")],
        [f"allow shop.test 443 tcp /usr/bin/python3 -c {code}" for code in ("a", "b")],
        [f"allow {port}.shop.test {port} tcp /usr/bin/git" for port in (22, 443)],
    ],
)
def test_what_lies_between_keeps_rules_apart(lines: list[str]) -> None:
    joined = [each for each in proposed(*lines) if each.added]
    if lines[-1].startswith("allow c."):  # narrower than the new rule would be: it goes on winning
        assert told(joined) == [("domain", f"deny *.shop.test {CURL}", told(joined)[0][2])]
    else:
        assert joined == []


def test_rules_that_decide_nothing_are_dropped() -> None:
    lines = [f"allow *.shop.test {CURL}", f"allow a.shop.test {CURL}", f"deny {AT_DAY_ONE} - 25 tcp"]
    assert [(each.kind, each.why) for each in proposed(*lines, wall_s=3 * DAY_S)] == [
        (Kind.EXPIRED, "its time is over"),
        (Kind.COVERED, f"a wider rule says the same: allow *.shop.test {CURL}"),
    ]
    assert [each.kind for each in proposed(*lines, wall_s=1.5 * DAY_S)] == [Kind.COVERED]  # the clock may be set back
    # A deny between the two: without the narrower rule it would win.
    assert proposed(*lines[:2], f"deny a.shop.test {CURL.rpartition(' ')[0]}") == []


def test_of_two_spellings_of_one_rule_one_is_dropped() -> None:
    links = Facts(links={"/bin/curl": "/usr/bin/curl"})
    rules = [parse_rule(f"allow shop.test 443 tcp {path}") for path in ("/usr/bin/curl", "/bin/curl")]
    (drop,) = [each for each in propose(rules, links, 0.0, keeps_args) if each]
    assert (drop.kind, drop.removed) == (Kind.COVERED, (rules[0],))


def test_what_names_nothing_any_more_is_dropped_unless_something_would_pass_then() -> None:
    lines = [
        "allow - - - /gone",
        "allow parent=/gone - - -",
        "deny user=gone - - -",
        "deny @gone - -",
        "deny - - - /gone",
    ]
    found = proposed(*lines, gone=Gone({"/gone"}, {"gone"}, {"gone"}))
    assert [(each.why, len(each.removed)) for each in found] == [("there is no file /gone", 2)]
    only = proposed(
        "deny user=gone - - -", "deny @gone - -", "deny - - - /gone", gone=Gone({"/gone"}, {"gone"}, {"gone"})
    )
    assert [each.why for each in only] == ["there is no user gone", "there is no list gone", "there is no file /gone"]


def test_what_was_used_ninety_days_ago_is_dropped_but_no_denial_that_another_rule_would_undo() -> None:
    lines = ["allow a.test - -", "allow b.test - -", "deny c.test - -"]
    used = {lines[0]: 10 * DAY_S, lines[1]: 11 * DAY_S, lines[2]: 0.0}
    found = proposed(*lines, wall_s=100 * DAY_S, used=used)
    assert [each.why for each in found] == ["unused for 90 days", "unused for 100 days"]
    found = proposed(*lines, "allow *.test - -", wall_s=100 * DAY_S, used=used)
    assert Kind.UNUSED not in {each.kind for each in found if "c.test" in format_rule(each.removed[0])}
    # A rule in use does not go since one says the same that goes itself.
    assert [
        each.why
        for each in proposed(
            "allow *.x.test - -", "allow a.x.test - -", wall_s=100 * DAY_S, used={"allow *.x.test - -": 0.0}
        )
    ] == ["unused for 100 days"]


def test_a_proposal_is_unsound_once_the_rules_have_changed() -> None:
    lines = [f"allow {name}.shop.test {CURL}" for name in ("a", "b")]
    (proposal,) = proposed(*lines)
    rules = list(map(parse_rule, lines))
    assert is_still_sound(proposal, ScopeIndex(FACTS, rules))
    assert not is_still_sound(proposal, ScopeIndex(FACTS, [*rules, parse_rule("deny *.test - -")]))
    covered = Proposal(kind=Kind.COVERED, removed=(rules[0],), why="")
    assert is_still_sound(covered, ScopeIndex(FACTS, [*rules, parse_rule("allow *.shop.test - -")]))
    assert not is_still_sound(covered, ScopeIndex(FACTS, rules))


def test_what_is_proposed_for_many_rules_fits_into_a_message() -> None:
    lines = [f"allow n{number}.shop.test {CURL}" for number in range(1000)]
    joined = proposed(*lines)
    assert sum(len(each.removed) for each in joined) == 1000
    assert all(sum(map(len, map(format_rule, each.removed))) < 32_768 for each in joined)
    (first, *rest) = proposed(*lines, f"allow *.shop.test {CURL}")
    assert {each.kind for each in (first, *rest)} == {Kind.COVERED}
    assert len(first.removed) > 100


def test_others_may_have_their_turn_while_many_rules_are_looked_at() -> None:
    rules = [parse_rule(f"allow n{number}.test - -") for number in range(4 * REST)]
    assert list(propose(rules, FACTS, 0.0, keeps_args)).count(None) >= 12
