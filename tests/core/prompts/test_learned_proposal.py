"""What is learned from answers, what is not, and that no decision of the other verdict changes by it."""

import time
from itertools import product

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.core.policy.meetings import rules_about
from tests.core.policy.rule_oracle import matches
from tests.core.rules.rule_strategies import FACTS
from tinysnitch.core.model.clock import Instant
from tinysnitch.core.model.connection import Asking, Connection
from tinysnitch.core.model.flow import ICMP, TCP, UDP, Direction, Flow, parse_address
from tinysnitch.core.model.process import KERNEL, UNKNOWN, Attribution, AttributionSource, Process
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.active_rules import MAX_LOOKED_AT, ActiveRules
from tinysnitch.core.prompts.answer import rule_for_choice
from tinysnitch.core.prompts.choice import Choice, Lifetime, RemoteScope
from tinysnitch.core.prompts.learned_proposal import Learned, learn_proposal
from tinysnitch.core.rules.rule import RemoteKind, Rule
from tinysnitch.core.rules.rule_line import format_rule, parse_rule

NOW = Instant(100.0, 100.0)
CURL = "/usr/bin/curl"
PYTHON = "/usr/bin/python3.13"
FIRST = Choice(verdict=Verdict.ALLOW, lifetime=Lifetime.FOREVER)
ANY_ARGS = replace(FIRST, any_args=True)
SHOP = ("allow cdn.shop.test 443 tcp /usr/bin/curl", "allow api.shop.test 443 tcp /usr/bin/curl")
SITES = ("shop.test", "bank.test", "news.test")
STARTER = ("allow localhost - -", "allow localhost - -src", "allow @resolvers 53 udp", "allow @resolvers 53 tcp")


def process_of(program: str = CURL, *args: str, **fields: object) -> Process:
    values = {"exec_id": 7, "pid": 1, "started_ns": 1, "uid": 1000, "device": 1, "inode": 1, "parents": ("/bin/sh",)}
    return Process(executable=program, program=program, args=args, **(values | fields))  # type: ignore[arg-type]


def asked(
    name: str | None = "img.shop.test",
    process: Process | Attribution | None = None,
    *,
    address: str = "203.0.113.9",
    port: int = 443,
    protocol: int = TCP,
    direction: Direction = Direction.OUTBOUND,
    **fields: object,
) -> Connection:
    here, there = parse_address("192.168.1.5"), parse_address(address)
    ports = (40000, port) if direction is Direction.OUTBOUND else (port, 40000)
    flow = Flow(protocol, direction, here, ports[0], there, ports[1])
    who = process if isinstance(process, Attribution) else Attribution(AttributionSource.BPF, process or process_of())
    return Connection(flow=flow, attribution=who, name=name, **fields)  # type: ignore[arg-type]


def rules_of(*lines: str) -> ActiveRules:
    rules = ActiveRules(FACTS)
    rules.replace_file_rules(map(parse_rule, lines))
    return rules


def learn(connection: Connection, *lines: str, first: Choice = ANY_ARGS) -> Learned | None:
    return learn_proposal(connection, first, rules_of(*lines), NOW)


def line_of(connection: Connection, *lines: str, first: Choice = ANY_ARGS) -> str | None:
    """The rule that is proposed; None: nothing is learned."""
    learned = learn(connection, *lines, first=first)
    return learned and format_rule(rule_for_choice(connection, learned.choice, NOW.wall_s))


def by_site(*sites: str, verdict: str = "allow", port: int = 443, program: str = CURL) -> list[str]:
    return [f"{verdict} {site} {port} tcp {program}" for site in sites]


# --- what is learned ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("verdict", ["allow", "deny"])
def test_two_names_of_a_domain_teach_the_domain(verdict: str) -> None:
    lines = by_site("cdn.shop.test", "api.shop.test", verdict=verdict)
    learned = learn(asked(), *lines, *STARTER)
    assert learned is not None
    assert (
        learned.reason
        == f"for all of shop.test, since cdn.shop.test and api.shop.test were {verdict.rstrip('y')}"
        + ("ed" if verdict == "allow" else "ied")
    )
    assert learned.choice == replace(ANY_ARGS, verdict=Verdict(verdict), remote=RemoteScope.DOMAIN)
    assert line_of(asked(), *lines, *STARTER) == f"{verdict} *.shop.test 443 tcp {CURL}"
    assert learn(asked(), lines[0]) is None


def test_the_domain_itself_is_one_of_its_names_and_a_name_counts_once() -> None:
    assert line_of(asked(), *by_site("shop.test", "api.shop.test")) == f"allow *.shop.test 443 tcp {CURL}"
    assert learn(asked(), f"allow api.shop.test 443 tcp {CURL}", f"allow api.shop.test - - {CURL}") is None


def test_three_domains_teach_any_remote_on_the_port() -> None:
    learned = learn(asked("four.test"), *by_site(*SITES))
    assert learned == Learned(
        replace(ANY_ARGS, remote=RemoteScope.ANY),
        "for any remote on port 443, since shop.test, bank.test and news.test were allowed",
    )
    assert line_of(asked("four.test"), *by_site(*SITES)) == f"allow - 443 tcp {CURL}"
    assert learn(asked("four.test"), *by_site(*SITES[:2])) is None


def test_names_of_one_domain_are_one_of_three() -> None:
    lines = by_site("cdn.shop.test", "api.shop.test", "*.img.shop.test", "bank.test")
    assert learn(asked("four.test"), *lines) is None
    assert line_of(asked("four.test"), *lines, *by_site("a.news.test")) == f"allow - 443 tcp {CURL}"
    # A name of a domain that is known goes by its domain first.
    assert line_of(asked("x.shop.test"), *lines, *by_site("a.news.test")) == f"allow *.shop.test 443 tcp {CURL}"


def test_an_address_without_a_name_counts_as_a_domain() -> None:
    lines = by_site("203.0.113.1", "198.51.100.7", "shop.test")
    assert line_of(asked(None), *lines) == f"allow - 443 tcp {CURL}"
    assert learn(asked(None), *lines[:2]) is None


def test_without_ports_any_remote_is_any_remote() -> None:
    lines = [f"allow {site} - icmp /usr/bin/ping" for site in SITES]
    learned = learn(asked("four.test", process_of("/usr/bin/ping"), protocol=ICMP), *lines)
    assert learned is not None
    assert learned.reason.startswith("for any remote, since")


def test_who_comes_in_from_the_lan_teaches_the_lan_alone() -> None:
    lines = [f"allow 192.168.1.{end} 22 tcp-src /usr/sbin/sshd" for end in (7, 8, 9)]
    lan = asked(
        None,
        process_of("/usr/sbin/sshd"),
        address="192.168.1.77",
        port=22,
        direction=Direction.INBOUND,
        is_from_lan=True,
    )
    assert line_of(lan, *lines) == "allow lan 22 tcp-src /usr/sbin/sshd"
    learned = learn(lan, *lines)
    assert learned is not None
    assert learned.reason == "for all of the lan, since 192.168.1.8 and 192.168.1.9 were allowed"
    others = asked(None, process_of("/usr/sbin/sshd"), port=22, direction=Direction.INBOUND)
    assert learn(others, *lines) is None
    lines += [f"allow {address} 22 tcp-src /usr/sbin/sshd" for address in ("203.0.113.1", "198.51.100.7")]
    assert line_of(others, *lines) == "allow - 22 tcp-src /usr/sbin/sshd"


@pytest.mark.parametrize("program", [CURL, PYTHON, "/bin/bash", "/usr/bin/busybox"])
def test_arguments_that_a_proposal_has_stay(program: str) -> None:
    lines = (f"allow shop.test 443 tcp {program} -c one", f"allow shop.test 443 tcp {program} -c two")
    assert learn(asked("shop.test", process_of(program, "-c", "three")), *lines, first=FIRST) is None


def test_the_domain_of_a_one_liner_is_for_that_one_line() -> None:
    lines = [f"allow {name}.shop.test 443 tcp {PYTHON} -c one" for name in ("api", "cdn")]
    one, two = (asked(process=process_of(PYTHON, "-c", code)) for code in ("one", "two"))
    assert line_of(one, *lines, first=FIRST) == f"allow *.shop.test 443 tcp {PYTHON} -c one"
    assert learn(two, *lines, first=FIRST) is None


def test_answers_for_a_time_and_for_a_process_teach_too() -> None:
    rules = rules_of()
    cdn, api = map(parse_rule, SHOP)
    rules.add(replace(cdn, until_s=160), NOW)
    rules.add(replace(api, exec_id=3), NOW, process_of(exec_id=3).key)
    assert learn_proposal(asked(), ANY_ARGS, rules, NOW) is not None
    later = Instant(NOW.boot_s + 60, NOW.wall_s + 60)
    assert learn_proposal(asked(), ANY_ARGS, rules, later) is None


def test_of_a_one_liner_whose_rule_left_a_secret_out_no_other_one_learns() -> None:
    """That rule is for one start. The question itself is compared with its arguments, too."""
    token = "get('https://x.shop.test/?token=hunter2hunter2')"
    first = replace(FIRST, lifetime=Lifetime.QUIT)
    rules = rules_of()
    for name in "cdn.shop.test", "api.shop.test":
        rule = rule_for_choice(asked(name, process_of(PYTHON, "-c", token)), first, NOW.wall_s)
        assert (rule.args, rule.exec_id) == (None, 7)
        rules.add(rule, NOW)
    for code in (token, "pass"):
        another = asked(process=process_of(PYTHON, "-c", code, exec_id=8))
        assert learn_proposal(another, first, rules, NOW) is None
    curl = asked(process=process_of(CURL, exec_id=8))
    for name in "cdn.shop.test", "api.shop.test":
        rules.add(rule_for_choice(asked(name), replace(ANY_ARGS, lifetime=Lifetime.QUIT), NOW.wall_s), NOW)
    assert learn_proposal(curl, ANY_ARGS, rules, NOW) is not None


def test_links_and_names_of_users_are_followed() -> None:
    lines = [f"allow user=alice {name}.shop.test 443 tcp /home/a/l" for name in ("cdn", "api")]
    assert learn(asked(), *lines) is None  # as these match nothing: alice may turn the link
    lines = [f"allow user=alice {name}.shop.test 443 tcp /usr/bin/python3" for name in ("cdn", "api")]
    learned = learn(asked(process=process_of(PYTHON)), *lines)
    assert learned is not None
    assert learned.choice.is_for_user


# --- what is not -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "lines",
    [
        by_site("cdn.shop.test", "api.shop.test", program="/usr/bin/wget"),
        by_site("cdn.shop.test", "api.shop.test", program="/usr/bin/*"),
        by_site("cdn.shop.test", "api.shop.test", program="-"),
        by_site("cdn.shop.test", "api.shop.test", port=80),
        [line.replace("tcp", "tcp-src") for line in SHOP],
        [line.replace("tcp", "udp") for line in SHOP],
        [line.replace("allow", "ask") for line in SHOP],
        [line.replace("allow", "allow user=0") for line in SHOP],
        [line.replace("allow", "allow user=nobody") for line in SHOP],
        [line.replace("allow", "allow parent=/bin/sh") for line in SHOP],
        [line.replace("allow", "allow iface=eth0") for line in SHOP],
        [f"{line} -s" for line in SHOP],
        [SHOP[0], SHOP[1].replace("allow", "deny")],
        [SHOP[0], SHOP[1].replace("allow", "ask")],
        [*SHOP, f"deny ads.shop.test 443 tcp {CURL}"],
        [*SHOP, f"deny *.ads.shop.test - - {CURL}"],
        [*SHOP, f"deny user=alice ads.shop.test 443 tcp {CURL}"],
        [*SHOP, f"deny ads.shop.test 443 tcp {CURL} -s"],
        [*SHOP, f"ask ads.shop.test 443 tcp {CURL}"],
        [*SHOP, "deny ads.shop.test 443 tcp /usr/bin/*"],
        [*SHOP, f"deny @ads 443 tcp {CURL}"],
    ],
)
def test_a_domain_is_not_learned_from(lines: list[str]) -> None:
    assert learn(asked(), *lines) is None


@pytest.mark.parametrize(
    "line",
    [
        f"deny ads.bank.test 443 tcp {CURL}",
        f"deny ads.shop.test 80 tcp {CURL}",
        f"deny ads.shop.test 443 udp {CURL}",
        f"deny ads.shop.test 443 tcp-src {CURL}",
        "deny ads.shop.test 443 tcp /usr/bin/wget",
        "deny ads.shop.test - -",  # which wins over what is learned
        f"deny 203.0.113.7 443 tcp {CURL}",  # which does so too
        *STARTER,
    ],
)
def test_a_rule_for_something_else_is_in_nobodys_way(line: str) -> None:
    assert line_of(asked(), *SHOP, line) == f"allow *.shop.test 443 tcp {CURL}"


@pytest.mark.parametrize(
    "line", [f"deny ads.test 443 tcp {CURL}", f"deny 203.0.113.7 - - {CURL}", f"ask lan - - {CURL}"]
)
def test_any_remote_is_not_learned_over_one_that_was_answered_otherwise(line: str) -> None:
    assert learn(asked("four.test"), *by_site(*SITES), line) is None


def test_a_denial_is_not_learned_over_what_any_program_may_do() -> None:
    lines = by_site("cdn.shop.test", "api.shop.test", verdict="deny")
    assert learn(asked(), *lines, "allow ok.shop.test 443 tcp") is None
    assert learn(asked(), *lines, "allow @ads - -") is None
    assert learn(asked(), *lines, "allow ok.shop.test 80 tcp") is not None
    # A denial of any remote would be one of localhost too, which all programs may reach.
    assert learn(asked("four.test"), *by_site(*SITES, verdict="deny"), *STARTER) is None
    assert learn(asked("four.test"), *by_site(*SITES, verdict="deny")) is not None


def test_another_users_answers_teach_nothing_and_stand_in_the_way() -> None:
    by_alice = [line.replace("allow", "allow user=1000") for line in SHOP]
    by_root = [line.replace("allow", "allow user=0") for line in SHOP]
    assert line_of(asked(), *by_alice) == f"allow user=1000 *.shop.test 443 tcp {CURL}"  # not for everybody
    assert learn(asked(), *by_root) is None
    denied_to_root = f"deny user=0 ads.shop.test 443 tcp {CURL}"
    assert learn(asked(), *SHOP[:1], *by_alice[1:], denied_to_root) is not None
    assert line_of(asked(), *SHOP, denied_to_root) == f"allow user=1000 *.shop.test 443 tcp {CURL}"


def test_a_public_suffix_is_no_domain() -> None:
    lines = by_site("a.co.uk", "b.co.uk")
    assert learn(asked("c.co.uk"), *lines) is None
    assert learn(asked("co.uk"), *lines) is None
    assert learn(asked("me.github.io"), *by_site("you.github.io", "others.github.io")) is None


@pytest.mark.parametrize("who", [KERNEL, UNKNOWN])
def test_nothing_is_learned_for_the_kernel_and_what_is_unknown(who: Attribution) -> None:
    lines = by_site(*SITES, program=who.source.value)
    assert learn(asked("four.test", who), *lines) is None


def test_nothing_is_learned_where_no_rule_can_be_kept() -> None:
    assert learn(asked(process=process_of(is_host_file=False)), *SHOP) is None


def test_an_address_that_was_given_is_not_made_a_domain() -> None:
    assert learn(asked(asking=Asking(is_by_address=True)), *SHOP) is None


def test_a_name_that_was_only_asked_about_teaches_nothing() -> None:
    rules = rules_of(*SHOP)
    for number in range(1, 10):
        assert learn_proposal(asked(f"a{number}.evil.test"), ANY_ARGS, rules, NOW) is None


# --- that no decision changes ------------------------------------------------------------------------------

_BY_ADDRESS = (RemoteKind.NETWORK, RemoteKind.LOCALHOST, RemoteKind.LAN)
_NAMES = ["example.com", "ads.example.com", "a.ads.example.com", "example.org", "badexample.com", "x.example.com"]
_ADDRESSES = ["203.0.113.9", "10.1.9.9", "127.0.0.1"]
_WHO = [process_of(CURL), process_of(CURL, "-s", uid=0), process_of(PYTHON)]
_OTHERS = [
    asked(name, process, address=address, port=port)
    for name, process, address, port in product([None, *_NAMES], _WHO, _ADDRESSES, [80, 443])
]
_questions = st.builds(asked, st.none() | st.sampled_from(_NAMES), address=st.sampled_from(_ADDRESSES))
_given = st.builds(
    lambda remote, user, port: f"{user} {remote} {port} tcp {CURL}",
    st.sampled_from([*_NAMES, "203.0.113.1", "198.51.100.7", "192.168.1.8"]),
    st.sampled_from(["", "", "", "", "user=1000", "user=0"]),
    st.sampled_from([443, 443, 443, "-", 80]),
)
_answers = st.builds(
    lambda verdict, given, others: [
        *(parse_rule(f"{verdict} {line}") for line in given),
        *(parse_rule(f"{'deny' if verdict == 'allow' else 'allow'} {line}") for line in others),
    ],
    st.sampled_from(["allow", "deny"]),
    st.lists(_given, min_size=4, max_size=6),
    st.lists(_given, max_size=1),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(st.data(), _questions, _answers)
def test_what_a_rule_of_another_verdict_decides_is_decided_as_before(
    data: st.DataObject, question: Connection, answers: list[Rule]
) -> None:
    about = [*answers, *data.draw(rules_about(_OTHERS, 3))]
    about = [rule for rule in about if not matches(rule, question, NOW.wall_s)]  # else nobody would be asked
    rules = ActiveRules(FACTS)
    rules.replace_file_rules(about)
    learned = learn_proposal(question, ANY_ARGS, rules, NOW)
    assume(learned)
    assert learned is not None
    wide = rule_for_choice(question, learned.choice, NOW.wall_s)
    assert matches(wide, question, NOW.wall_s)
    before = [rules.decide(each, NOW) for each in _OTHERS]
    rules.add(wide, NOW)
    for each, was in zip(_OTHERS, before, strict=True):
        is_by_address = was.rule is not None and was.rule.remote.kind in _BY_ADDRESS
        if was.rule is not None and not (is_by_address and wide.verdict is Verdict.DENY):
            assert rules.decide(each, NOW).verdict is was.verdict
        if matches(wide, each, NOW.wall_s):
            named = [rule for rule in about if rule.program == wide.program and matches(rule, each, NOW.wall_s)]
            assert all(rule.verdict is wide.verdict for rule in named if rule.remote.kind not in _BY_ADDRESS)


def test_a_hundred_thousand_rules_cost_a_question_nothing() -> None:
    blocked = [f"deny a{number}.ads.test - -" for number in range(50_000)]
    others = [f"allow a{number}.test 443 tcp /usr/bin/p{number}" for number in range(50_000)]
    rules = rules_of(*blocked, *others, *SHOP)
    started = time.perf_counter()
    for _ in range(100):
        assert learn_proposal(asked(), ANY_ARGS, rules, NOW) is not None
    assert time.perf_counter() - started < 1.0  # 100 µs each, where it is not busy


def test_of_more_rules_for_a_program_than_are_looked_at_nothing_is_learned() -> None:
    many = by_site(*(f"a{number}.shop.test" for number in range(MAX_LOOKED_AT)))
    assert learn(asked(), *many) is not None
    assert learn(asked(), *many, *by_site("bank.test")) is None
    assert learn(asked("x.test", protocol=UDP), *many) is None
