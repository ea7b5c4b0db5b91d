"""What `tinysnitch-explain` tells of rules that do not make the decision."""

from tests.core.test_ruleset import FIREFOX, by, connection, ruleset
from tinysnitch.core.facts import Facts
from tinysnitch.core.rule_text import format_rule, parse_rule
from tinysnitch.core.verdict import Verdict


def test_explain_tells_why_each_rule_lost() -> None:
    rules = ruleset(
        "deny *.example.com - -",
        f"allow ads.example.com 443 tcp {FIREFOX}",
        f"allow - - - {FIREFOX}",
        "allow ads.example.com 443 tcp",
        "allow other.example - -",
    )
    explanation = rules.explain(connection("ads.example.com", by(FIREFOX)), 0.0)
    best = f"allow ads.example.com 443 tcp {FIREFOX}"
    assert explanation.winner is not None
    assert format_rule(explanation.winner) == best
    assert {format_rule(rule): why for rule, why in explanation.losers} == {
        "deny *.example.com - -": f"a narrower one matches too: {best}",
        f"allow - - - {FIREFOX}": f"a narrower one matches too: {best}",
        "allow ads.example.com 443 tcp": f"a narrower one matches too: {best}",
    }


def test_explain_tells_of_what_a_list_holds() -> None:
    rules = ruleset("deny @ads - -", "allow ads.example.com - -", "allow *.example.com - -")
    explanation = rules.explain(connection("ads.example.com"), 0.0)
    assert explanation.winner == parse_rule("allow ads.example.com - -")
    assert explanation.losers == (
        (parse_rule("allow *.example.com - -"), "a narrower one matches too: allow ads.example.com - -"),
        (parse_rule("deny @ads - -"), "a narrower one matches too: allow ads.example.com - -"),
    )
    (loser,) = ruleset("deny @ads - -", "allow *.example.com - -").explain(connection("ads.example.com"), 0.0).losers
    assert loser[1] == "deny beats allow, and neither rule is narrower"


def test_explain_tells_of_verdicts_and_ends() -> None:
    rules = ruleset("deny - 443 tcp", "allow example.com - -", "deny - - - /usr/bin/curl")
    assert [why for _, why in rules.explain(connection(), 0.0).losers] == [
        "deny beats allow, and neither rule is narrower",
        "it says the same",
    ]
    rules = ruleset("deny - - -", "allow until=2030-01-01T00:00:00Z - - -")
    (loser,) = rules.explain(connection(), 0.0).losers
    assert loser[1] == "a temporary one of the same scope matches too: allow until=2030-01-01T00:00:00Z - - -"


def test_explain_without_a_rule() -> None:
    explanation = ruleset("deny - - -src").explain(connection(), 0.0)
    assert (explanation.decision.verdict, explanation.winner, explanation.losers) == (Verdict.ASK, None, ())


def elsewhere(*lines: str) -> list[tuple[str, str]]:
    found = ruleset(*lines).explain(connection(), 0.0).elsewhere
    return [(format_rule(rule), interface) for rule, interface in found]


def test_a_rule_that_would_decide_on_another_interface_is_told() -> None:
    assert elsewhere("allow - - -", "deny iface=wg0 - - -", "ask iface=tun0 - - -") == [
        ("ask iface=tun0 - - -", "tun0"),
        ("deny iface=wg0 - - -", "wg0"),
    ]
    assert elsewhere("deny iface=wg0 - - -") == [("deny iface=wg0 - - -", "wg0")]


def test_what_decides_here_or_would_lose_there_too_is_not_told() -> None:
    assert elsewhere("allow iface=eth0 - - -") == []
    assert elsewhere("deny example.com - -", "allow iface=wg0 - - -") == []
    assert elsewhere("allow - - -", "deny iface=wg0 other.example - -") == []


def test_a_rule_that_does_not_hold_beats_none() -> None:
    turnable, beaten = "allow user=1000 example.com - - /home/a/l", "allow example.com - -"
    facts = Facts(links={"/home/a/l": "/usr/bin/curl"}, turnable_links=frozenset({"/home/a/l"}))
    losers = dict(ruleset("deny - 443 tcp", turnable, beaten, facts=facts).explain(connection(), 0.0).losers)
    assert losers[parse_rule(beaten)] == "deny beats allow, and neither rule is narrower"
