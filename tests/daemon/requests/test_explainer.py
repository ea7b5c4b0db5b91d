"""What `explain` says about the rules of a real engine."""

from collections.abc import Iterable
from pathlib import Path
from threading import Event

import pytest

from tests.core.policy.test_ruleset import FIREFOX, by, connection, ruleset
from tests.daemon.requests.small_handler import ALICE, ROOT
from tinysnitch.core.engine.engine import Engine
from tinysnitch.core.engine.events import FactsChanged, RulesLoaded
from tinysnitch.core.model.errors import NotPermitted, SnitchError
from tinysnitch.core.model.flow import parse_address
from tinysnitch.core.model.settings import Settings
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.facts import Facts
from tinysnitch.core.policy.ruleset import Ruleset
from tinysnitch.core.rules.quoting import quote_word
from tinysnitch.core.rules.rule import Rule
from tinysnitch.core.rules.rule_line import format_rule, parse_rule, parse_rules
from tinysnitch.daemon.control.permissions import Right
from tinysnitch.daemon.requests import explainer
from tinysnitch.daemon.requests.explainer import Explainer
from tinysnitch.kernel.system.clock import read_instant
from tinysnitch.protocol.messages import Explain, Explanation

BOB = Right(1001, sees_all=False)
SHOP = ("/usr/bin/curl", "shop.test", 443, "tcp")
IN_WORK = "allow shop.test 443 tcp"


class Asked:
    """An Explainer for these rules, and a client that asks it."""

    def __init__(self, rules: str, facts: Facts | None = None, **settings: object) -> None:
        found, errors = parse_rules(rules, "rules")
        assert errors == []
        self.engine = Engine(Settings(**settings), facts or Facts())  # type: ignore[arg-type]
        self.explainer = Explainer(self.engine, {parse_rule(IN_WORK): "work"}.get)
        list(self.engine.handle(RulesLoaded(tuple(found)), read_instant()))

    def __call__(self, *words: str | int | None, right: Right = ROOT) -> Explanation:
        return self.explainer.explain(Explain(*words), right)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("/usr/bin/curl", "shop.test", 443, "tcp"), "allow: allow *.shop.test 443 tcp"),
        (("/usr/bin/curl", "Shop.Test.", 443, "tcp"), "allow: allow *.shop.test 443 tcp"),
        (("/usr/bin/curl", "10.1.2.3", 443, "tcp"), "deny: deny 10.0.0.0/8 - -"),
        (("/usr/sbin/sshd", "10.0.0.5", 22, "tcp-src"), "allow: allow 10.0.0.5 22 tcp-src"),
        (("kernel", "10.0.0.5", 0, "icmp-src"), "allow: allow - - icmp-src kernel"),
        (("kernel", "2001:db8::1", 0, "icmp-src"), "allow: allow - - icmp-src kernel"),
        (("kernel", "2001:db8::1", 22, "tcp-src"), "allow: allow 2001:db8::/32 22 tcp-src"),
        (("unknown", "shop.test", 53, "udp"), "ask: None"),
    ],
)
def test_the_rule_that_decides(words: tuple[str | int, ...], told: str) -> None:
    rules = "allow *.shop.test 443 tcp\ndeny 10.0.0.0/8 - -\nallow 10.0.0.5 22 tcp-src\nallow - - icmp-src kernel\n"
    rules += "allow 2001:db8::/32 22 tcp-src\n"
    explanation = Asked(rules)(*words)
    assert f"{explanation.verdict.value}: {explanation.rule}" == told


def test_the_groups_of_the_rules_are_told() -> None:
    explanation = Asked(f"{IN_WORK}\nallow - - -\n")(*SHOP)
    assert (explanation.rule, explanation.group) == (IN_WORK, "work")
    explanation = Asked(f"{IN_WORK}\nallow shop.test 443 tcp /usr/bin/curl\n")(*SHOP)
    assert explanation.group is None
    assert [(beaten.rule, beaten.group) for beaten in explanation.beaten] == [(IN_WORK, "work")]


def test_localhost_is_what_a_rule_means_by_it() -> None:
    for word in ("localhost", "Localhost"):
        assert Asked("allow localhost - -\n")("/usr/bin/curl", word, 631, "tcp").rule == "allow localhost - -"


def test_a_rule_that_demands_a_sum() -> None:
    asked = Asked(f"allow sha256={'a' * 64} - - -\n")
    assert asked(*SHOP, "a" * 64).verdict is Verdict.ALLOW
    assert asked(*SHOP, "b" * 64).verdict is Verdict.ASK
    assert asked(*SHOP).verdict is Verdict.ASK


def test_a_file_that_cannot_be_read_meets_each_demand_of_what_does_not_allow() -> None:
    """The daemon judges real connections in the same way."""
    allowed, denied = f"allow sha256={'a' * 64} - - -", f"deny sha256={'b' * 64} - 443 tcp"
    asked = Asked(f"{allowed}\n{denied}\nallow - - -\n")
    assert asked(*SHOP, None, False).rule == denied
    assert asked(*SHOP).rule == "allow - - -"


@pytest.mark.parametrize(
    ("rules", "told", "elsewhere"),
    [
        ("allow - - -\ndeny iface=eth0 - - -\n", "allow - - -", {"deny iface=eth0 - - -": "it would decide on eth0"}),
        ("allow iface=eth0 - - -\n", None, {"allow iface=eth0 - - -": "it would decide on eth0"}),
        ("deny shop.test 443 tcp\nallow iface=eth0 - - -\n", "deny shop.test 443 tcp", {}),
        ("allow - - -\ndeny iface=eth0 other.test - -\n", "allow - - -", {}),
        (  # the narrower rule with `iface=` does not decide, but beats the rule that did
            "deny shop.test - -\nallow iface=eth0 shop.test - -\nask - 443 tcp\n",
            "deny shop.test - -",
            {"ask - 443 tcp": "it would decide on eth0"},
        ),
    ],
)
def test_rules_of_an_interface_are_told_beside(rules: str, told: str | None, elsewhere: dict[str, str]) -> None:
    explanation = Asked(rules)(*SHOP)
    assert explanation.rule == told
    assert {other.rule: other.why for other in explanation.elsewhere} == elsewhere


def test_where_a_name_leads() -> None:
    asked = Asked("allow 10.0.0.0/24 443 tcp\ndeny - - -\n")
    assert asked(*SHOP).rule == "deny - - -"
    unknown = "denied by a rule; no address of that name is known yet: a rule by address may decide otherwise"
    assert asked(*SHOP).reason == unknown
    hosts = {parse_address("10.0.0.9"): ("shop.test",)}
    list(asked.engine.handle(FactsChanged(Facts(hosts=hosts)), read_instant()))
    assert asked(*SHOP).rule == "allow 10.0.0.0/24 443 tcp"
    assert asked(*SHOP).reason == "allowed by a rule"


def test_an_address_has_the_name_that_it_is_known_by() -> None:
    asked = Asked("deny shop.test - -\n", Facts(hosts={parse_address("10.0.0.9"): ("shop.test",)}))
    assert asked("/usr/bin/curl", "10.0.0.9", 443, "tcp").rule == "deny shop.test - -"


def test_what_could_still_end_what_is_allowed() -> None:
    told = Asked("allow 10.0.0.0/8 - -\ndeny *.ads.test - -\n")("/usr/bin/curl", "10.1.2.3", 443, "tcp")
    assert told.reason == "allowed by a rule, until it says a name itself that a rule denies"


def test_links_are_followed_as_the_kernel_does(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.touch()
    link.symlink_to(target)
    assert Asked(f"allow - - - {target}\n")(str(link), "a.test", 1, "tcp").rule == f"allow - - - {target}"


@pytest.mark.parametrize("path", ["/a\0b", "/\ud800"])
def test_a_path_that_no_file_has_leads_nowhere(path: str) -> None:
    rule = parse_rule(f"allow - - - {quote_word(path)}")
    assert Asked(f"{format_rule(rule)}\n")(path, "a.test", 1, "tcp").rule == format_rule(rule)


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("/bin/a", "shop.test", 443, "tpc"), "'tpc' is no protocol"),
        (("/bin/a", "shop.test", 443, "-"), "every protocol"),
        (("/bin/a", "shop.test", 443, "tcp udp"), "no protocol"),
        (("/bin/a", "shop.test", 443, "'"), "no protocol"),
        (("/bin/a", "shop.test", 443, ""), "'' is no protocol"),
        (("/bin/a", "shop.test", 65536, "tcp"), "65536 is no port"),
        (("/bin/a", "shop.test", -1, "udp"), "-1 is no port"),
        (("/bin/a", "shop.test", 80, "icmp"), "icmp has no port in rules"),
        (("/bin/a", "shop.test", 80, "132-src"), "132-src has no port in rules"),
        (("/bin/a", "shop.test", 0, "tcp"), "tcp needs a port"),
        (("/bin/a", "10.0.0.0/8", 80, "tcp"), "more than one remote"),
        (("/bin/a", "*.shop.test", 80, "tcp"), "more than one remote"),
        (("/bin/a", "@ads", 80, "tcp"), "more than one remote"),
        (("/bin/a", "a\nb", 80, "tcp"), "no remote"),
        (("/bin/a", "", 80, "tcp"), "'' is no remote: it is not one word$"),
        (("/bin/a", "a b", 80, "tcp"), "'a b' is no remote: it is not one word$"),
        (("curl", "shop.test", 80, "tcp"), "no program"),
        (("-", "shop.test", 80, "tcp"), "'-' is no program"),
    ],
)
def test_what_cannot_be_meant_is_refused(words: tuple[str | int, ...], problem: str) -> None:
    with pytest.raises(SnitchError, match=problem) as caught:
        Asked("")(*words)
    assert (bool(caught.value.hint), caught.value.exit_code) == (True, 2)


@pytest.mark.parametrize(("protocol", "hint"), [("tcp-src", "that listens"), ("tcp", "that connects")])
def test_for_any_program_of_a_rule_the_one_that_is_meant_is_asked_for(protocol: str, hint: str) -> None:
    with pytest.raises(SnitchError) as caught:
        Asked("allow - 22 tcp-src\n")("-", "192.0.2.7", 22, protocol)
    assert f"write the program {hint}" in caught.value.hint


def test_the_program_is_of_who_asks() -> None:
    asked = Asked("deny user=1001 - 443 tcp\nallow user=1000 - 443 tcp\n")
    assert asked(*SHOP, right=ALICE).rule == "allow user=1000 - 443 tcp"
    assert asked(*SHOP, right=BOB).rule == "deny user=1001 - 443 tcp"
    for program in ("kernel", "unknown"):
        with pytest.raises(NotPermitted, match="no program of user 1000"):
            asked(program, *SHOP[1:], right=ALICE)


RULES = """\
allow shop.test 443 tcp /usr/bin/curl -s
allow user=alice shop.test - -
allow user=1001 shop.test 443 tcp /usr/bin/curl -v
allow other.test 443 tcp /usr/bin/curl -s
"""


def test_where_no_rule_matches_those_are_told_that_nearly_do() -> None:
    told = Asked(RULES, Facts(users={"alice": 1000}))(*SHOP)
    assert told.reason.startswith("no rule matches (asked for without arguments, as root)")
    assert {beaten.rule: beaten.why for beaten in told.beaten} == {
        "allow shop.test 443 tcp /usr/bin/curl -s": "it would match with these arguments",
        "allow user=alice shop.test - -": "it would match for this user",
        "allow user=1001 shop.test 443 tcp /usr/bin/curl -v": "it would match with these arguments and for this user",
    }
    assert Asked(RULES)("kernel", *SHOP[1:]).beaten == ()


def test_a_rule_for_what_another_program_starts_nearly_matches() -> None:
    told = Asked("allow parent=/usr/bin/git shop.test 22 tcp /usr/bin/ssh\n")("/usr/bin/ssh", "shop.test", 22, "tcp")
    assert [beaten.why for beaten in told.beaten] == ["it would match with this parent"]


def test_a_program_may_be_named_with_its_arguments() -> None:
    rules = f"{RULES}allow bare.test 443 tcp /usr/bin/curl ()\n"
    assert Asked(rules)("/usr/bin/curl -s", *SHOP[1:]).rule == "allow shop.test 443 tcp /usr/bin/curl -s"
    assert Asked(rules)("/usr/bin/curl ()", "bare.test", 443, "tcp").rule == "allow bare.test 443 tcp /usr/bin/curl ()"
    told = Asked(rules)("/usr/bin/curl -v", "bare.test", 443, "tcp")
    assert told.reason.startswith("no rule matches (asked for with the arguments given, as root)")
    assert [beaten.why for beaten in told.beaten] == ["it would match without arguments"]


def test_of_many_that_nearly_match_some_are_told_and_the_others_counted() -> None:
    told = Asked("".join(f"allow shop.test 443 tcp /usr/bin/curl {n}\n" for n in range(25)))(*SHOP)
    assert len(told.beaten) == 20
    assert told.reason.endswith("; 5 more rules nearly match")


def test_rules_for_other_names_are_not_looked_at_closer(monkeypatch: pytest.MonkeyPatch) -> None:
    """With 100 000 such rules verdicts would wait for 0.3 s."""
    lines = [f"allow {name}.test 443 tcp /usr/bin/curl x\n" for name in ("shop", "bank", "mail")]
    asked = Asked("".join(lines) + "allow *.test 443 tcp /usr/bin/curl y\n")
    looked_at: list[Rule] = []

    def note(rules: Iterable[Rule], facts: Facts) -> Ruleset:
        looked_at.extend(rules := tuple(rules))
        return Ruleset(rules, facts)

    monkeypatch.setattr(explainer, "Ruleset", note)
    assert len(asked(*SHOP).beaten) == len(looked_at) == 2


def test_of_many_that_lose_some_are_told_and_the_others_counted() -> None:
    told = Asked("".join(f"allow - 1-{last} tcp\n" for last in range(1000, 1150)))(*SHOP)
    assert told.rule == "allow - 1-1000 tcp"
    assert len(told.beaten) == 100
    assert told.reason.endswith("; 49 more rules match")


def test_nobody_is_told_of_others_rules_that_nearly_match() -> None:
    told = Asked(RULES, Facts(users={"alice": 1000}))(*SHOP, right=BOB)
    assert told.reason.startswith("no rule matches (asked for without arguments, as uid 1001)")
    assert [beaten.rule for beaten in told.beaten] == ["allow user=1001 shop.test 443 tcp /usr/bin/curl -v"]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"is_learning": True}, "allow: learning: no rule matches"),
        ({"timeout_s": 0.0}, "deny: no rule matches and nobody is asked"),
        ({"timeout_s": 0.0, "is_learning": True}, "allow: learning: no rule matches"),
        ({}, "ask: no rule matches"),
    ],
)
def test_where_nobody_is_asked_it_says_what_happens(settings: dict[str, object], told: str) -> None:
    explanation = Asked("", **settings)("kernel", "10.0.0.9", 443, "tcp")
    assert f"{explanation.verdict.value}: {explanation.reason}" == told
    denied = Asked("deny - - -\n", **settings)("kernel", "10.0.0.9", 443, "tcp")
    assert (denied.verdict, denied.reason) == (Verdict.DENY, "denied by a rule")


# --- what the rules themselves tell ------------------------------------------------------------------------


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
    assert explanation.decision.rule is not None
    assert format_rule(explanation.decision.rule) == best
    assert {format_rule(rule): why for rule, why in explanation.losers} == {
        "deny *.example.com - -": f"a narrower one matches too: {best}",
        f"allow - - - {FIREFOX}": f"a narrower one matches too: {best}",
        "allow ads.example.com 443 tcp": f"a narrower one matches too: {best}",
    }


def test_explain_tells_of_what_a_list_holds() -> None:
    rules = ruleset("deny @ads - -", "allow ads.example.com - -", "allow *.example.com - -")
    explanation = rules.explain(connection("ads.example.com"), 0.0)
    assert explanation.decision.rule == parse_rule("allow ads.example.com - -")
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
    assert (explanation.decision.verdict, explanation.decision.rule, explanation.losers) == (Verdict.ASK, None, ())


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


def test_a_program_that_cannot_be_looked_up_is_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its file system does not answer, as NFS without its server."""
    over = Event()
    monkeypatch.setattr(explainer, "resolve_path", lambda _path: over.wait())
    explanation = Asked("allow - - - /mnt/tool\n")("/mnt/tool", "shop.test", 443, "tcp")
    over.set()
    assert explanation.rule == "allow - - - /mnt/tool"
