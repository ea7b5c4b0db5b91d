import msgspec
import pytest

from tests.daemon.requests.small_handler import HOSTILE, make_connection, make_prompt
from tests.protocol.test_log_lines import RULE, TIME, WALL_S, decided
from tinysnitch.core.engine.records import (
    LossCounted,
    ModeChanged,
    PacketSocketSeen,
    PromptAnswered,
    PromptOpened,
    Record,
    RulesReplaced,
    ServerNameRead,
)
from tinysnitch.core.model.asking_mode import ASKING, begin_mode
from tinysnitch.core.model.asking_mode import OBSERVING as OBSERVED
from tinysnitch.core.model.clock import Instant
from tinysnitch.core.model.errors import RuleSyntaxError
from tinysnitch.core.model.flow import ICMPV6, TCP, UDP, Direction, Flow, parse_address
from tinysnitch.core.model.process import KERNEL
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.decision import Decision
from tinysnitch.core.rules.rule import Rule
from tinysnitch.core.rules.rule_line import parse_rule
from tinysnitch.protocol.log_lines import ReadyLine, ask_line_of, log_line_of
from tinysnitch.protocol.log_text import (
    OBSERVING,
    format_endpoint,
    format_endpoints,
    format_text,
    remarks_on,
    remarks_on_mode,
    what_holds,
)
from tinysnitch.protocol.messages import Mode

REPLACE = msgspec.structs.replace


def test_a_connection_reads_as_in_2019() -> None:
    text = "INFO allow tcp 10.0.0.2:40516 -> google.com:80 4263 /usr/bin/curl google.com"
    assert format_text(log_line_of(decided())) == f"{TIME} {text}"


def test_the_name_it_was_started_by_is_a_comment() -> None:
    record = REPLACE(decided(None), connection=make_connection(started_as="/usr/bin/other curl"))
    text = format_text(log_line_of(record))
    assert text.endswith("4263 /usr/bin/curl google.com # started as '/usr/bin/other curl' # by a rule")


@pytest.mark.parametrize("rule", [None, parse_rule("ask - - -")])
def test_what_no_rule_decided_says_why(rule: Rule | None) -> None:
    decision = Decision(verdict=Verdict.DENY, reason="no answer within 60 s", rule=rule)
    text = format_text(log_line_of(REPLACE(decided(), decision=decision)))
    assert text.endswith("/usr/bin/curl google.com # no answer within 60 s")


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("answered once by uid 0", " # answered once by uid 0"),
        ("answered until process 7 ends by uid 0", " # answered until process 7 ends by uid 0"),
        ("answered by uid 0", ""),
    ],
)
def test_an_answer_whose_rule_does_not_tell_how_long_it_holds_says_so(reason: str, told: str) -> None:
    """`tinysnitch log` has only the fields of the answer's line, and none of them tells how long."""
    rule = parse_rule("allow google.com 80 tcp /usr/bin/curl")
    decision = Decision(verdict=Verdict.ALLOW, reason=reason, rule=rule)
    text = format_text(log_line_of(REPLACE(decided(), decision=decision)))
    assert text.endswith(f"/usr/bin/curl google.com{told}")


def test_inbound_the_remote_comes_first() -> None:
    record = REPLACE(decided(), connection=REPLACE(make_connection(Direction.INBOUND), name=None))
    assert "allow tcp 192.0.2.7:80 -> 10.0.0.2:40516 4263" in format_text(log_line_of(record))


@pytest.mark.parametrize(
    ("protocol", "text"),
    [
        (TCP, "tcp [2001:db8::1]:7 -> [2001:db8::2]:80"),
        (UDP, "udp [2001:db8::1]:7 -> [2001:db8::2]:80"),
        (ICMPV6, "icmp [2001:db8::1] -> [2001:db8::2]"),
    ],
)
def test_ipv6_stands_in_brackets_and_icmp_has_no_ports(protocol: int, text: str) -> None:
    flow = Flow(protocol, Direction.OUTBOUND, parse_address("2001:db8::1"), 7, parse_address("2001:db8::2"), 80)
    connection = REPLACE(make_connection(), flow=flow, name=None, attribution=KERNEL)
    assert format_text(log_line_of(REPLACE(decided(), connection=connection))).endswith(f"allow {text} - kernel")


def test_a_name_like_an_address_is_told_from_one() -> None:
    connection = REPLACE(make_connection(), name="192.0.2.7")
    assert "-> '192.0.2.7':80 4263" in format_text(log_line_of(REPLACE(decided(), connection=connection)))


def test_hostile_text_stays_one_printable_line() -> None:
    connection = REPLACE(make_connection(args=(HOSTILE, "a b"), program=HOSTILE), name=HOSTILE)
    text = format_text(log_line_of(REPLACE(decided(), connection=connection)))
    assert text.isprintable()
    assert text.endswith(" 'a b'")


@pytest.mark.parametrize(
    "record",
    [
        PromptAnswered(3, HOSTILE, 1000, WALL_S),
        LossCounted(HOSTILE, 7, WALL_S),
        LossCounted(f"a, {HOSTILE}", 1, WALL_S),
        PacketSocketSeen(7, 0, HOSTILE, WALL_S),
        RulesReplaced(2, (RuleSyntaxError(HOSTILE, 3, 7, HOSTILE),), WALL_S),
    ],
)
def test_no_text_of_a_line_steers_a_terminal(record: Record) -> None:
    """Also where the record itself was made without escaping."""
    assert format_text(log_line_of(record)).isprintable()


def test_the_other_lines() -> None:
    error = RuleSyntaxError("/etc/r", 3, 7, "no\nport")
    texts: dict[Record, str] = {
        ServerNameRead(make_connection(), decided().decision, WALL_S): (
            "INFO said tcp 10.0.0.2:40516 -> google.com:80 4263 /usr/bin/curl google.com # 192.0.2.7"
        ),
        PromptOpened(
            3, make_connection(), decided().decision, WALL_S
        ): "INFO ask 3 tcp 10.0.0.2:40516 -> google.com:80 4263",
        PromptAnswered(3, RULE, 1000, WALL_S): f"INFO answer 3 uid 1000: {RULE}",
        LossCounted("packets", 7, WALL_S): "WARNING lost 7 packets",
        PacketSocketSeen(7, 0, "/a\n", WALL_S): "WARNING 7 $'/a\\n' has a packet socket, which no firewall rule sees",
        RulesReplaced(2, (), WALL_S): "INFO rules 2 loaded",
        ModeChanged(Verdict.ALLOW, WALL_S, 1000, WALL_S): f"INFO mode allow until {TIME}, uid 1000",
        ModeChanged(Verdict.ASK, None, None, WALL_S): "INFO mode ask, its time is over",
    }
    for record, text in texts.items():
        assert format_text(log_line_of(record)).startswith(f"{TIME} {text}")
    assert format_text(log_line_of(RulesReplaced(2, (), WALL_S))).endswith(" loaded")
    assert format_text(log_line_of(RulesReplaced(2, (error,), WALL_S))).endswith(
        r" ERROR rules not all loaded, 2 hold; /etc/r:3:7: no\nport"
    )
    assert [what_holds(2), what_holds(0)] == ["the old rules hold", "no rule of the file holds until it is mended"]


def test_an_error_in_the_rules_comes_with_its_hint() -> None:
    errors = (RuleSyntaxError("/r", 3, 7, "not a protocol", "did you mean 'tcp'?"), RuleSyntaxError("/r", 4, 1, "bad"))
    record = RulesReplaced(2, errors, WALL_S)
    text = format_text(log_line_of(record), remarks_on(record))
    assert text.endswith("2 hold; /r:3:7: not a protocol (hint: did you mean 'tcp'?); /r:4:1: bad")
    assert remarks_on(decided()) == ()


def test_how_long_an_answer_holds_is_told_where_its_line_does_not() -> None:
    answered = PromptAnswered(3, RULE, 0, WALL_S)
    told = {
        format_text(log_line_of(record), remarks_on(record)).partition(RULE)[2]
        for record in (answered, REPLACE(answered, is_once=True), REPLACE(answered, quit_pid=7))
    }
    assert told == {"", "  # once", "  # until process 7 ends"}


def test_what_is_a_sentence_is_not_called_lost() -> None:
    for what in ("list ads is not there, its rules match nothing", "rule not saved: no room"):
        assert format_text(log_line_of(LossCounted(what, 1, WALL_S))).endswith(f" WARNING {what}")
    for what, count in (("history rows", 1), ("clients cut off, too slow", 2)):
        assert format_text(log_line_of(LossCounted(what, count, WALL_S))).endswith(f" WARNING lost {count} {what}")


def test_ready_says_the_mode_and_the_socket() -> None:
    line = ReadyLine(time=TIME, pid=1, mode=Mode.BPF, netns=7, cgroup="", rules=2, socket="/run/s")
    assert format_text(line) == f"{TIME} INFO ready, mode bpf, 2 rules, socket /run/s"
    assert "bpf, 1 rule, " in format_text(msgspec.structs.replace(line, rules=1))
    assert format_text(line, ("observing",)).endswith("socket /run/s, observing")


def test_the_ready_line_tells_that_nobody_is_asked() -> None:
    assert remarks_on_mode(ASKING) == ()
    assert remarks_on_mode(OBSERVED) == (OBSERVING,)
    paused = begin_mode(Verdict.ALLOW, 600.0, Instant(5.0, 1_700_000_000.0))
    assert remarks_on_mode(paused) == ("mode allow until 2023-11-14T22:23:20Z",)
    assert remarks_on_mode(begin_mode(Verdict.DENY, None, Instant(5.0, 5.0))) == ("mode deny",)


def test_the_ends_for_a_list() -> None:
    line = ask_line_of(make_prompt(args=("a b",)))
    assert format_endpoints(line) == "tcp 10.0.0.2:40516 -> google.com:80"
    assert format_text(line).endswith(" /usr/bin/curl 'a b'")


def test_an_end_is_told_by_its_name_if_it_has_one() -> None:
    assert format_endpoint("2001:db8::1", 443) == "[2001:db8::1]:443"
    assert format_endpoint("192.0.2.7", None) == "192.0.2.7"
    assert format_endpoint("2001:db8::1", 443, "shop.test") == "shop.test:443"
    assert format_endpoint("192.0.2.7", None, "shop.test") == "shop.test"


def test_a_secret_is_shortened_in_the_text_alone() -> None:
    args = ("-H", "Authorization: Bearer 0mWk3Zq8TxLr5Vb1Nc7H")
    line = log_line_of(REPLACE(decided(), connection=make_connection(args=args)))
    assert "/usr/bin/curl -H 'Authorization: Bearer 0mWk…'" in format_text(line)
    assert line.args == args  # type: ignore[union-attr]
    answer = PromptAnswered(7, "allow - - - /usr/bin/curl --token 0mWk3Zq8TxLr5Vb1Nc7H", 1000, WALL_S)
    assert format_text(log_line_of(answer)).endswith("uid 1000: allow - - - /usr/bin/curl --token '0mWk…'")
