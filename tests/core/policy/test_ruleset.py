"""Which rules match, which one wins, and what holds for every remote."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.core.policy.meetings import rules_about
from tests.core.policy.rule_oracle import decide_slowly, in_one_order, matches
from tests.core.rules.rule_strategies import FACTS, connections
from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.flow import Direction, Flow, parse_address
from tinysnitch.core.model.process import KERNEL, UNKNOWN, Attribution, AttributionSource, Process
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.columns import Columns
from tinysnitch.core.policy.decision import Decision
from tinysnitch.core.policy.facts import Facts
from tinysnitch.core.policy.ruleset import MAX_COMPARED, Ruleset
from tinysnitch.core.rules.network import parse_network
from tinysnitch.core.rules.rule_line import format_rule, parse_rule
from tinysnitch.store.remote_set import RemoteSet

AT_5, AT_9 = "until=1970-01-01T00:00:05Z", "until=1970-01-01T00:00:09Z"
PYTHON = "/usr/bin/python3.13"  # where FACTS links /usr/bin/python3
FIREFOX = "/usr/lib/firefox/firefox"
PATHS = ["/usr/bin/curl", "/usr/bin/wget", PYTHON, FIREFOX]
CURL = Process(
    exec_id=7,
    pid=1,
    started_ns=1,
    uid=1000,
    executable="/usr/bin/curl",
    device=1,
    inode=1,
    program="/usr/bin/curl",
    args=("-s",),
    parents=("/usr/bin/bash",),
)


def by(program: str | Process) -> Attribution:
    process = program if isinstance(program, Process) else replace(CURL, program=program)
    return Attribution(AttributionSource.BPF, process)


def connection(
    name: str | None = "example.com",
    program: Attribution | None = None,
    remote: str = "93.184.216.34",
    port: int = 443,
    direction: Direction = Direction.OUTBOUND,
    protocol: int = 6,
) -> Connection:
    here = (parse_address("10.0.0.9"), 40000)
    there = (parse_address(remote), port)
    if direction is Direction.INBOUND:
        here, there = (here[0], port), (there[0], 40000)
    return Connection(
        flow=Flow(protocol, direction, *here, *there), attribution=program or by(CURL), name=name, interface="eth0"
    )


def ruleset(*lines: str, facts: Facts = FACTS) -> Ruleset:
    return Ruleset(map(parse_rule, lines), facts)


def winner(rules: Ruleset, asked: Connection, wall_s: float = 0.0) -> str | None:
    rule = rules.decide(asked, wall_s).rule
    return format_rule(rule) if rule else None


# --- the examples of the design ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "asked", "verdict"),
    [
        (
            [f"allow - - - {FIREFOX}", "deny *.doubleclick.net - -"],
            connection("ad.doubleclick.net", by(FIREFOX)),
            Verdict.DENY,
        ),
        (
            ["deny - - -", "allow github.com 443 tcp /usr/bin/git"],
            connection("github.com", by("/usr/bin/git")),
            Verdict.ALLOW,
        ),
        (
            ["deny - - - /usr/bin/evil", "allow google.com 443 tcp"],
            connection("google.com", by("/usr/bin/evil")),
            Verdict.DENY,
        ),
        (
            ["deny *.example.com - -", f"allow ads.example.com 443 tcp {FIREFOX}"],
            connection("ads.example.com", by(FIREFOX)),
            Verdict.ALLOW,
        ),
        (["deny @ads - -", "allow ads.example.com - -"], connection("ads.example.com"), Verdict.ALLOW),
        (["deny @ads - -", "allow ads.example.com - -"], connection("a.ads.example.com"), Verdict.DENY),
        (["deny @ads - -", "allow *.a.ads.example.com - -"], connection("a.ads.example.com"), Verdict.ALLOW),
        (["deny @ads - -", "allow *.example.com - -"], connection("ads.example.com"), Verdict.DENY),
        (["deny @ads - -", "allow ads.example.com 443 tcp"], connection("ads.example.com"), Verdict.ALLOW),
        (["deny @ads - -", f"allow - - - {FIREFOX}"], connection("ads.example.com", by(FIREFOX)), Verdict.DENY),
        (["deny @ads - - /usr/bin/curl", "allow ads.example.com - -"], connection("ads.example.com"), Verdict.DENY),
        (["deny @ads - -", "allow x.test - -"], connection("x.test", remote="10.1.9.1"), Verdict.DENY),
        (["deny @ads - -", "allow 10.1.9.1 - -"], connection(None, remote="10.1.9.1"), Verdict.ALLOW),
        (["allow @ads - -", "deny *.example.com - -"], connection("ads.example.com"), Verdict.DENY),
        (["deny lan - -", "allow 192.168.1.7 - -"], connection(None, remote="192.168.1.7"), Verdict.ALLOW),
        (["allow example.com - -", "ask - 443 tcp"], connection(), Verdict.ASK),
        (["ask example.com - -", "deny - 443 tcp"], connection(), Verdict.DENY),
        (["deny example.com - -", "allow until=2030-01-01 example.com - -"], connection(), Verdict.ALLOW),
        (["deny - - - /usr/bin/python3", f"allow - - - {PYTHON} -s"], connection(program=by(PYTHON)), Verdict.ALLOW),
        ([f"deny - - - {PYTHON}", "allow - - - /usr/bin/python3"], connection(program=by(PYTHON)), Verdict.DENY),
        ([], connection(), Verdict.ASK),
    ],
)
def test_which_rule_wins(lines: list[str], asked: Connection, verdict: Verdict) -> None:
    assert ruleset(*lines).decide(asked, 0.0).verdict is verdict
    assert ruleset(*reversed(lines)).decide(asked, 0.0).verdict is verdict


# --- what matches ------------------------------------------------------------------------------------------

MEMFD = by(replace(CURL, is_host_file=False, owners=("container:web",)))
CUT = by(replace(CURL, are_args_complete=False))
INBOUND = connection(None, port=8000, direction=Direction.INBOUND)
PING6 = connection(None, remote="2001:db8::1", port=0, protocol=58)


@pytest.mark.parametrize(
    ("line", "asked"),
    [
        ("allow example.com - -", connection()),
        ("allow *.example.com - -", connection()),
        ("allow 93.184.216.34 - -", connection()),
        ("allow 93.184.0.0/16 - -", connection()),
        ("allow localhost - -", connection(None, remote="127.9.9.9")),
        ("allow localhost - -", connection(None, remote="::1")),
        ("allow localhost - -", connection(None, remote="192.168.1.5")),
        ("allow lan - -", connection(None, remote="192.168.1.77")),
        ("allow @resolvers - -", connection(None, remote="10.1.2.3")),
        ("allow @ads - -", connection("x.ads.example.com")),
        ("allow @ads - -", connection(None, remote="10.1.9.1")),
        ("allow - 80,443 tcp", connection()),
        ("allow - 8000-8100 tcp-src", INBOUND),
        ("allow - - icmp", PING6),
        ("allow ::/0 - -", PING6),
        ("allow - - - /usr/bin/curl", connection()),
        ("allow - - - /usr/bin/*", connection()),
        ("allow - - - /usr/bin/curl -s", connection()),
        ("allow - - - /usr/bin/python3", connection(program=by("/usr/bin/python3.13"))),
        ("allow - - - container:web", connection(program=MEMFD)),
        ("allow - - - unknown", connection(program=UNKNOWN)),
        ("allow - - - kernel", connection(program=KERNEL)),
        ("allow - - -", connection(program=KERNEL)),
        ("allow user=1000 - - -", connection()),
        ("allow user=alice - - -", connection()),
        ("allow parent=/usr/bin/bash - - -", connection()),
        ("allow iface=eth0 - - -", connection()),
        ("allow until=1970-01-01T00:00:01Z - - -", connection()),
    ],
)
def test_a_rule_matches(line: str, asked: Connection) -> None:
    decision = ruleset(line).decide(asked, 0.0)
    assert (decision.verdict, decision.rule) == (Verdict.ALLOW, parse_rule(line))


@pytest.mark.parametrize(
    ("line", "asked"),
    [
        ("allow example.com - -", connection("www.example.com")),
        ("allow *.example.com - -", connection("badexample.com")),
        ("allow example.com - -", connection(None)),
        ("allow 93.184.216.34 - -", connection(None, remote="::5db8:d822")),
        ("allow ::/0 - -", connection()),
        ("allow 0.0.0.0/0 - -", PING6),
        ("allow localhost - -", connection("localhost")),
        ("allow 'localhost' - -", connection(None, remote="127.0.0.1")),
        ("allow lan - -", connection()),
        ("allow @none - -", connection()),
        ("allow @resolvers - -", connection()),
        ("allow - 80-442 tcp", connection()),
        ("allow - - -", INBOUND),
        ("allow - - -src", connection()),
        ("allow - 1-65535 -", PING6),
        ("allow - - - /usr/bin/cur", connection()),
        ("allow - - - /usr/*", connection()),
        ("allow - - - '/usr/bin/*'", connection()),
        ("allow - - - /usr/bin/curl ()", connection()),
        ("allow - - - /usr/bin/curl -s", connection(program=CUT)),
        ("allow - - - /usr/bin/curl", connection(program=MEMFD)),
        ("allow - - - /usr/bin/*", connection(program=MEMFD)),
        ("allow - - - /usr/bin/curl", connection(program=UNKNOWN)),
        ("allow - - - kernel", connection(program=UNKNOWN)),
        ("allow - - - unknown", connection()),
        ("allow user=0 - - -", connection()),
        ("allow user=nobody - - -", connection()),
        ("allow user=1000 - - -", connection(program=UNKNOWN)),
        ("allow parent=/usr/bin/zsh - - -", connection()),
        ("allow iface=wg0 - - -", connection()),
        (f"allow sha256={'ab' * 32} - - -", connection()),
        ("allow until=1970-01-01T00:00:00Z - - -", connection()),
    ],
)
def test_a_rule_does_not_match(line: str, asked: Connection) -> None:
    decision = ruleset(line).decide(asked, 0.0)
    assert (decision.verdict, decision.reason, decision.rule) == (Verdict.ASK, "no rule matches", None)


def test_a_sum_that_cannot_be_told_lets_nothing_through() -> None:
    unread, lines = by(replace(CURL, is_sha256_told=False)), [f"deny sha256={'ab' * 32} - - -", "allow - - -"]
    rules = ruleset(*lines)
    assert [winner(rules, connection(program=program)) for program in (by(CURL), unread)] == lines[::-1]
    rules.remove(parse_rule(lines[0]))
    assert winner(rules, connection(program=unread)) == lines[1]
    assert winner(ruleset(f"allow sha256={'ab' * 32} - - -"), connection(program=unread)) is None


def test_a_hostile_name_is_taken_for_nothing_else() -> None:
    lines = ["allow google.com - -", "allow lan - -", "allow @ads - -", "allow 10.0.0.1 - -", "allow *.com - -"]
    for name in ["10.0.0.1", "lan", "@ads", r"x\046com", r"\042\046com", "-"]:
        assert ruleset(*lines).decide(connection(name), 0.0).rule is None


# --- what a decision tells the cache -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "until_s", "is_flow_only"),
    [
        (["allow - - -"], None, False),
        (["deny 93.184.216.34 - -", "allow lan - -"], None, False),
        (["allow - - -", f"deny {AT_9} - - -", f"deny {AT_5} - - -"], 5, False),
        (["allow - - -", "deny iface=wg0 - - -"], None, True),
        (["allow iface=eth0 - - -"], None, True),
        (["deny iface=wg0 - - -"], None, True),
        (["deny iface=wg0 other.example - -"], None, False),
    ],
)
def test_how_long_and_how_widely_a_decision_holds(lines: list[str], until_s: int | None, is_flow_only: bool) -> None:
    decision = ruleset(*lines).decide(connection(), 0.0)
    assert (decision.until_s, decision.is_flow_only) == (until_s, is_flow_only)


def test_each_verdict_has_its_reason() -> None:
    for verdict, reason in [("allow", "allowed by a rule"), ("deny", "denied by a rule"), ("ask", "asked by a rule")]:
        assert ruleset(f"{verdict} - - -").decide(connection(), 0.0).reason == reason


# --- changes -----------------------------------------------------------------------------------------------


def test_add_and_remove() -> None:
    rules = ruleset("allow - - -")
    rules.add(parse_rule("deny example.com - -"))
    rules.add(parse_rule("deny example.com - -"))
    assert winner(rules, connection()) == "deny example.com - -"
    rules.remove(parse_rule("deny example.com - -"))
    rules.remove(parse_rule("deny never.example - -"))
    assert winner(rules, connection()) == "allow - - -"


def test_set_facts_changes_what_words_mean() -> None:
    rules = ruleset("allow - - - /bin/c", "deny user=bob - - -", "deny localhost - -", facts=Facts())
    assert winner(rules, connection()) is None
    rules.set_facts(Facts(links={"/bin/c": "/usr/bin/curl"}))
    assert winner(rules, connection()) == "allow - - - /bin/c"
    rules.set_facts(Facts(links={"/bin/c": "/usr/bin/curl"}, users={"bob": 1000}))
    assert winner(rules, connection()) == "deny user=bob - - -"
    rules.add(parse_rule(f"allow sha256={'ab' * 32} - - - /bin/w"))
    assert not rules.needs_sha256("/usr/bin/wget")
    rules.set_facts(Facts(links={"/bin/w": "/usr/bin/wget"}))
    assert rules.needs_sha256("/usr/bin/wget")


def test_a_pattern_means_the_folder_that_it_leads_to_now() -> None:
    rules = ruleset("allow - - - /bin/*", "deny - - - /usr/bin/**", facts=Facts())
    assert winner(rules, connection()) == "deny - - - /usr/bin/**"
    rules.set_facts(Facts(patterns={"/bin/*": "/usr/bin/*"}))
    assert winner(rules, connection()) == "allow - - - /bin/*"
    rules.set_facts(Facts())
    rules.remove(parse_rule("deny - - - /usr/bin/**"))
    assert winner(rules, connection()) is None


def test_what_was_looked_up_of_a_program_holds_until_the_rules_or_the_facts_change() -> None:
    asked = connection(program=by("/usr/bin/python3.13"))
    rules = ruleset("deny - - - /usr/bin/py", facts=Facts())
    assert rules.decide(asked, 0).verdict is Verdict.ASK
    rules.set_facts(Facts(links={"/usr/bin/py": "/usr/bin/python3.13"}))
    assert rules.decide(asked, 0).verdict is Verdict.DENY
    rules.add(parse_rule("allow example.com 443 tcp /usr/bin/python*"))
    rules.remove(parse_rule("deny - - - /usr/bin/py"))
    assert rules.decide(asked, 0).verdict is Verdict.ALLOW


def test_what_a_list_holds_now_says_which_rule_is_narrower() -> None:
    rules = ruleset("deny @ads - -", "allow ads.example.com - -")
    asked = connection("ads.example.com", remote="10.1.9.1")
    assert winner(rules, asked) == "allow ads.example.com - -"
    rules.set_facts(replace(FACTS, lists={"ads": RemoteSet([], [parse_network("10.1.9.0/24")])}))
    assert winner(rules, asked) == "deny @ads - -"


def test_a_rule_ends_when_its_time_has_come() -> None:
    rules = ruleset("allow - - -", "deny until=1970-01-01T00:00:10Z - - -")
    assert rules.decide(connection(), 9.9).verdict is Verdict.DENY
    assert rules.decide(connection(), 10.0).verdict is Verdict.ALLOW


def test_needs_sha256() -> None:
    total = "sha256=" + "ab" * 32
    rules = ruleset("allow - - - /usr/bin/wget", f"allow {total} - - - /usr/bin/curl", f"allow {total} - - - /opt/*/x")
    asked = ["/usr/bin/wget", "/usr/bin/curl", "/opt/a/x", "/opt/a/y"]
    assert [rules.needs_sha256(path) for path in asked] == [False, True, True, False]
    assert ruleset(f"allow {total} - - - unit:a").needs_sha256("/x")
    assert ruleset(f"allow {total} - - -").needs_sha256("/x")


def test_what_was_fought_out_once_holds_until_something_changes() -> None:
    rules = ruleset("allow - - -", "allow example.com - -")
    first = rules.decide(connection(), 0.0)
    assert rules.decide(connection(), 0.0) == first
    rules.add(parse_rule("deny example.com 443 tcp"))
    assert rules.decide(connection(), 0.0).verdict is Verdict.DENY
    rules.remove(parse_rule("deny example.com 443 tcp"))
    assert rules.decide(connection(), 0.0) == first


def test_what_was_fought_out_holds_for_its_interface_alone() -> None:
    rules = ruleset("allow - - -", "deny iface=wg0 - - -")
    asked = connection()
    through = [rules.decide(replace(asked, interface=name), 0.0).verdict for name in ("eth0", "wg0", "eth0", "")]
    assert through == [Verdict.ALLOW, Verdict.DENY, Verdict.ALLOW, Verdict.ALLOW]


def test_a_rule_that_is_gone_has_no_say_in_what_comes_after_it() -> None:
    """The next rule may get the same place in memory, and so the same id."""
    rules = ruleset("deny example.com 443 tcp")
    for _ in range(20):
        rules.add(parse_rule("allow - - -"))
        assert rules.decide(connection(), 0.0).verdict is Verdict.DENY
        rules.remove(parse_rule("allow - - -"))
        rules.add(parse_rule("allow example.com 443 tcp /usr/bin/curl"))
        assert rules.decide(connection(), 0.0).verdict is Verdict.ALLOW
        rules.remove(parse_rule("allow example.com 443 tcp /usr/bin/curl"))


def many(verdict: str, count: int = MAX_COMPARED) -> list[str]:
    return [f"{verdict} - {443 - number}-{443 + number} tcp" for number in range(count)]


def test_where_too_many_rules_match_the_strictest_verdict_holds() -> None:
    narrower = "allow example.com 443 tcp /usr/bin/curl"
    assert winner(ruleset(*many("deny", MAX_COMPARED - 1), narrower), connection()) == narrower
    assert ruleset(*many("ask"), narrower).decide(connection(), 0.0).verdict is Verdict.ASK
    explanation = ruleset(*many("deny"), narrower).explain(connection(), 0.0)
    assert explanation.decision.verdict is Verdict.DENY
    assert {why for _, why in explanation.losers} == {
        "more than 128 rules match, too many to compare: deny beats ask, and ask allow"
    }


# --- the index against looking at every rule ---------------------------------------------------------------


@settings(deadline=None)
@given(connections, st.sampled_from([0.0, 50.0, 150.0]), st.data())
def test_the_index_decides_as_looking_at_every_rule_would(
    asked: Connection, wall_s: float, data: st.DataObject
) -> None:
    rules = data.draw(rules_about([asked], 30))
    explanation = Ruleset(rules, FACTS).explain(asked, wall_s)
    found, losers = explanation.decision, explanation.losers
    assert found.verdict is decide_slowly(rules, asked, wall_s)
    taking_part = {found.rule, *(rule for rule, why in losers if not why.startswith("its path leads over a link"))}
    assert taking_part - {None} == {rule for rule in rules if matches(rule, asked, wall_s)}
    assert in_one_order(Ruleset(reversed(rules), FACTS).decide(asked, wall_s)) == in_one_order(found)


def decide_all(rules: Ruleset, asked: list[Connection]) -> list[Decision]:
    return [in_one_order(rules.decide(one, 0.0)) for one in asked]


@settings(deadline=None)
@given(st.lists(connections, min_size=1, max_size=4), st.data())
def test_rules_that_were_removed_leave_nothing_behind(asked: list[Connection], data: st.DataObject) -> None:
    kept, removed = (data.draw(rules_about(asked, 20)) for _ in range(2))
    changed = Ruleset([*removed, *kept], FACTS)
    before = decide_all(changed, asked)
    for rule in removed:
        changed.remove(rule)
    for rule in kept:
        changed.add(rule)
    fresh = Ruleset(kept, FACTS)
    assert decide_all(changed, asked) == decide_all(fresh, asked)
    assert changed.denies_names == fresh.denies_names
    assert [changed.needs_sha256(path) for path in PATHS] == [fresh.needs_sha256(path) for path in PATHS]
    assert decide_all(Ruleset([*kept, *removed], FACTS), asked) == before


def test_a_decision_is_a_value() -> None:
    rule = parse_rule("allow - - -")
    expected = Decision(verdict=Verdict.ALLOW, reason="allowed by a rule", rule=rule, columns=Columns())
    assert ruleset("allow - - -").decide(connection(), 0.0) == expected


def test_the_rules_about_a_program_follow_links_and_leave_out_what_matches_nothing() -> None:
    curls = ["deny user=alice - 22 tcp /home/a/l", "allow lan - - /usr/bin/*", "ask a.test - - /usr/bin/curl"]
    turnable = "allow user=alice - 22 tcp /home/a/l"  # alice may redirect the link
    rules = ruleset(*curls, turnable, "allow - - - /usr/bin/wget", "allow - 80 tcp", "deny @ads - -")
    found = rules.find_about(connection(), 0.0, 9, any_program=False) or []
    assert sorted(map(format_rule, found)) == sorted(curls)
    assert len(rules.find_about(connection(), 0.0, 9, any_program=True) or []) == len(curls) + 1
    assert rules.find_about(connection(), 0.0, 3, any_program=False) is None
