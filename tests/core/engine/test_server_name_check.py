"""Connections that are allowed without a name, and what becomes of the name that they say; see transcript.py."""

import msgspec
import pytest

from tests.core.engine.transcript import CURL, FACTS, SHOP, Transcript, flow_of, inbound, whose, yes
from tests.core.tls.hello_maker import CIPHER, crypto, handshake, initial, records, segments
from tinysnitch.core.dns.names import ASKERS_PER_NAME, NAMES_PER_ADDRESS
from tinysnitch.core.engine import commands as cmd
from tinysnitch.core.engine import events as ev
from tinysnitch.core.engine.engine import Engine
from tinysnitch.core.engine.records import ConnectionDecided, ServerNameRead
from tinysnitch.core.engine.server_name_check import can_say_name
from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.flow import ICMP, TCP, UDP, Flow, parse_address
from tinysnitch.core.model.process import UNKNOWN, Attribution
from tinysnitch.core.model.settings import Settings
from tinysnitch.core.model.verdict import Inspection, Verdict
from tinysnitch.core.policy.decision import Decision
from tinysnitch.core.policy.facts import Facts, RemoteWords
from tinysnitch.core.rules.network import Network
from tinysnitch.core.rules.rule_line import format_rule

HELLO = segments(records(handshake("ads.test")), 1400)[0]
ALLOW, DENY = f"allow {SHOP} 443 -", "deny *.ads.test - -"
WORDS = RemoteWords(Facts(own_addresses=frozenset({parse_address("10.0.0.2")})))


class Ads:
    """A list."""

    def has_name(self, name: str) -> bool:
        return name == "ads.test"

    def has_address(self, address: bytes) -> bool:
        return False

    def has_network(self, network: Network) -> bool:
        return False


def inspection_of(engine: Transcript, port: int = 40000) -> Inspection:
    """The inspection with which the kernel is told to remember a new connection."""
    (first,) = (
        command
        for command in engine.feed(engine.next_packet(flow_of(port)))
        if isinstance(command, cmd.RememberVerdict | cmd.RememberFlow)
    )
    return first.inspection


def test_a_rule_that_denies_the_name_ends_the_connection() -> None:
    engine = Transcript(ALLOW, DENY)
    engine.queue()
    reason = "denied by a rule, by the name that the program itself says"
    assert engine.send(HELLO) == ["end inspection deny 2", f"decided: {reason}"]


def test_the_log_says_which_rule_and_which_name() -> None:
    engine = Transcript(ALLOW, DENY)
    *_, report = engine.feed(ev.DataSent(1, flow_of(), engine.next_packet().attribution, "eth0", 40000, HELLO))
    assert isinstance(report, cmd.Report)
    assert isinstance(report.record, ConnectionDecided)
    assert report.record.connection.name == "ads.test"
    assert report.record.decision.rule
    assert format_rule(report.record.decision.rule) == DENY


def test_another_name_is_told_and_goes_on() -> None:
    engine = Transcript(ALLOW, "deny bank.test - -")
    engine.queue()
    assert engine.send(HELLO) == ["end inspection allow 2", "said: ads.test"]


def test_a_hello_in_parts_is_judged_when_it_is_whole() -> None:
    engine = Transcript(ALLOW, DENY)
    engine.queue()
    *first, last = segments(records(handshake("ads.test")), 30)
    assert [engine.send(segment) for segment in first] == [[f"more after {n}"] for n in range(2, len(first) + 2)]
    assert engine.send(last)[0].startswith("end inspection deny")


def test_what_says_no_name_goes_on_without_a_word() -> None:
    engine = Transcript(ALLOW, DENY)
    engine.queue()
    assert engine.send(segments(b"GET / HTTP/1.1\r\n", 100)[0]) == ["end inspection allow 2"]


def test_a_narrower_rule_that_allows_the_name_keeps_a_wider_one_from_denying_it() -> None:
    engine = Transcript(ALLOW, DENY, "allow ads.test 443 tcp /usr/bin/curl")
    engine.queue()
    assert engine.send(HELLO)[0] == "end inspection allow 2"


def test_a_name_that_is_said_opens_nothing() -> None:
    engine = Transcript("allow ads.test - -")
    assert "opened 1" in engine.queue()


def test_only_a_rule_that_the_name_brings_in_ends_what_people_allowed() -> None:
    engine = Transcript("ask - - -")
    engine.queue()
    engine.answer(1, yes())
    engine.load("deny - - -")
    assert engine.send(HELLO)[0] == "end inspection allow 2"


def test_lists_count_as_rules_by_name() -> None:
    facts = Facts(lists={"ads": Ads()})
    engine = Transcript(ALLOW, "deny @ads - -")
    engine.say(ev.FactsChanged(facts))
    assert inspection_of(engine) is Inspection.GUARDED
    assert engine.send(HELLO)[0] == "end inspection deny 2"


def test_quic_is_read_too() -> None:
    engine = Transcript(ALLOW, DENY)
    engine.engine = Engine(Settings(), FACTS, cipher=CIPHER)
    engine.load(ALLOW, DENY)
    flow = flow_of(protocol=UDP)
    engine.queue(flow)
    assert engine.send(initial(crypto(handshake("ads.test"))), flow)[0] == "end inspection deny 2"


def test_how_closely_is_inspected_depends_on_the_rules() -> None:
    assert inspection_of(Transcript(ALLOW)) is Inspection.NOTED
    assert inspection_of(Transcript(ALLOW, DENY)) is Inspection.GUARDED
    assert inspection_of(Transcript(ALLOW, "deny 10.9.9.9 - -")) is Inspection.NOTED
    assert inspection_of(Transcript(ALLOW, "allow *.ads.test - -", "ask @ads - -")) is Inspection.NOTED
    assert inspection_of(Transcript("deny - - -", DENY)) is Inspection.NONE


def test_with_the_last_rule_that_denies_a_name_the_guard_goes() -> None:
    engine = Transcript(ALLOW, DENY)
    engine.load(ALLOW)
    assert inspection_of(engine) is Inspection.NOTED


def silent_packet(engine: Transcript) -> ev.PacketQueued:
    return msgspec.structs.replace(engine.next_packet(flow_of(protocol=UDP)), says_nothing=True)


def test_a_first_datagram_that_says_no_name_is_read_while_it_is_held() -> None:
    engine = Transcript(ALLOW, DENY)
    assert engine.say(silent_packet(engine))[:3] == ["skip inspection", "remember allow", "allow 1"]


def test_what_may_say_a_name_is_not_let_go_unread() -> None:
    assert "skip inspection" not in Transcript(ALLOW, DENY).queue(flow_of(protocol=UDP))


def test_that_holds_also_for_what_people_allow() -> None:
    engine = Transcript(DENY)
    engine.say(silent_packet(engine))
    said = engine.answer(1, yes())
    assert said.index("skip inspection") < said.index("allow 1")


def test_for_the_log_alone_a_silent_first_datagram_is_all_that_is_read() -> None:
    engine = Transcript(ALLOW)
    first, *rest = engine.feed(silent_packet(engine))
    assert isinstance(first, cmd.RememberVerdict)
    assert first.inspection is Inspection.NONE
    assert not any(isinstance(command, cmd.SkipInspection) for command in rest)


def test_without_a_socket_there_is_no_inspection_to_skip() -> None:
    engine = Transcript(ALLOW, DENY)
    assert "skip inspection" not in engine.say(msgspec.structs.replace(silent_packet(engine), cookie=0))


def test_what_has_a_name_is_not_inspected() -> None:
    engine = Transcript(ALLOW, DENY)
    engine.resolve("shop.test", SHOP)
    assert inspection_of(engine) is Inspection.NONE


# With a name that is a guess


def asked_for(*names: str, lines: tuple[str, ...] = ("allow - 443 tcp", DENY)) -> Transcript:
    engine = Transcript(*lines)
    for name in names:
        engine.resolve(name, SHOP)
    return engine


def test_where_another_name_that_the_program_asked_for_is_denied_it_is_inspected() -> None:
    assert inspection_of(asked_for("www.ads.test", "shop.test")) is Inspection.GUARDED
    assert inspection_of(asked_for("bank.test", "shop.test")) is Inspection.NONE
    only_shop = ("deny - - -", "allow shop.test 443 tcp")
    assert inspection_of(asked_for("bank.test", "shop.test", lines=only_shop)) is Inspection.GUARDED


def test_what_other_programs_ask_for_is_not_meant() -> None:
    engine = asked_for("shop.test")
    engine.resolve("ads.test", SHOP, UNKNOWN)
    assert inspection_of(engine) is Inspection.NONE


def test_where_an_asker_of_a_name_may_have_been_forgotten_it_is_inspected() -> None:
    """More programs asked for the name, and still run, than are kept for one name."""
    engine = asked_for("ads.test")
    for number in range(ASKERS_PER_NAME):
        engine.resolve("ads.test", SHOP, whose(100 + number))
    engine.resolve("shop.test", SHOP)
    assert engine.engine.dns.names.find(parse_address(SHOP), engine.now.boot_s, 7).name == "shop.test"
    assert inspection_of(engine) is Inspection.GUARDED
    assert engine.send(HELLO)[0].startswith("end inspection deny")
    engine.load("allow - 443 tcp", "deny bank.test - -")
    assert inspection_of(engine, 2) is Inspection.NONE


@pytest.mark.parametrize("who", [CURL, UNKNOWN])
def test_where_a_name_may_have_been_forgotten_for_others_it_is_inspected(who: Attribution) -> None:
    """The program still uses the name, as browsers do, but of an address of many sites only so many are kept."""
    engine = asked_for("ads.test", "shop.test")
    for number in range(NAMES_PER_ADDRESS - 2):
        engine.resolve(f"n{number}.test", SHOP, who)
    assert inspection_of(engine) is Inspection.GUARDED
    engine.resolve("last.test", SHOP, who)
    assert "ads.test" not in engine.engine.dns.names.find(parse_address(SHOP), engine.now.boot_s, 7).others
    assert inspection_of(engine, 2) is Inspection.GUARDED
    assert engine.send(HELLO, flow_of(2))[0].startswith("end inspection deny")
    engine.load("allow - 443 tcp", "deny 192.0.2.0/24 - -")
    assert inspection_of(engine, 3) is Inspection.NONE


def test_the_answer_that_comes_last_takes_back_what_is_not_inspected() -> None:
    engine = Transcript("allow - 443 tcp", DENY)
    late, learn = engine.ask("ads.test"), engine.resolve("shop.test", SHOP)
    assert learn
    assert inspection_of(engine) is Inspection.NONE
    assert engine.hear(late, SHOP)[0] == "forget 1"
    assert inspection_of(engine, 2) is Inspection.GUARDED


def test_what_is_learned_while_people_think_counts() -> None:
    engine = Transcript(DENY)
    late = engine.ask("ads.test")
    engine.resolve("shop.test", SHOP)
    engine.queue()
    engine.hear(late, SHOP)
    engine.answer(1, yes())
    assert inspection_of(engine) is Inspection.GUARDED  # a further packet of it
    assert inspection_of(engine, 2) is Inspection.GUARDED


def test_the_other_name_ends_the_connection_and_this_one_does_not() -> None:
    engine = asked_for("ads.test", "shop.test")
    engine.queue()
    reason = "denied by a rule, by the name that the program itself says"
    assert engine.send(HELLO)[1:] == [f"decided: {reason}"]
    engine.queue(flow_of(2))
    hello = segments(records(handshake("shop.test")), 1400)[0]
    number = engine.packets + 1
    assert engine.send(hello, flow_of(2)) == [f"end inspection allow {number}", "said: shop.test"]


def test_a_denied_name_ends_it_even_where_it_is_the_guess_by_now() -> None:
    engine = asked_for("ads.test", "shop.test")
    engine.queue()
    engine.resolve("ads.test", SHOP)
    assert engine.send(HELLO)[0].startswith("end inspection deny")


def test_a_denial_of_all_ends_it_by_the_name_that_is_the_guess_by_now() -> None:
    engine = asked_for("ads.test", "shop.test", lines=("deny - - -", "allow shop.test 443 tcp"))
    engine.queue()
    engine.resolve("ads.test", SHOP)
    assert engine.send(HELLO)[0].startswith("end inspection deny")


def test_connections_like_it_are_read_as_long_as_the_names_are_there() -> None:
    engine = asked_for("bank.test", "shop.test", lines=("deny - - -", "allow shop.test 443 tcp"))
    engine.queue()
    assert not any(told.startswith("remember") for told in engine.send(HELLO))
    assert inspection_of(engine, 2) is Inspection.GUARDED


@pytest.mark.parametrize(
    ("said", "deny", "verdict"),
    [
        ("git", "deny - - -", "allow"),  # as it was typed; the resolver was asked with the machine's search domain
        ("cloud.lan", "deny - - -", "deny"),
        ("git.lan", "deny - - -", "allow"),
        ("git", "deny *.lan - -", "allow"),
        ("www.lan", "deny *.lan - -", "deny"),
    ],
)
def test_a_denial_of_all_is_for_a_program_that_means_another_name(said: str, deny: str, verdict: str) -> None:
    engine = asked_for("cloud.lan", "git.lan", lines=(deny, "allow git.lan 443 tcp"))
    engine.queue()
    hello = segments(records(handshake(said)), 1400)[0]
    assert engine.send(hello)[0].startswith(f"end inspection {verdict}")


def test_names_of_one_address_in_hosts_are_one_hosts() -> None:
    """The first name decides for all of them, and for `https://nas/` a browser says `nas`."""
    engine = Transcript("deny - - -", "allow nas.lan 443 tcp")
    hosts = {parse_address(SHOP): ("nas.lan", "nas")}
    engine.feed(ev.FactsChanged(msgspec.structs.replace(FACTS, hosts=hosts)))
    assert inspection_of(engine) is Inspection.NONE
    engine.resolve("ads.test", SHOP)
    assert inspection_of(engine, 2) is Inspection.NONE  # by the one that it asked for it is denied
    engine.resolve("ads.test", SHOP, UNKNOWN)
    other = whose(8, "/usr/bin/firefox")
    (first,) = (
        command
        for command in engine.feed(engine.next_packet(flow_of(3), other))
        if isinstance(command, cmd.RememberVerdict)
    )
    assert first.inspection is Inspection.GUARDED
    says = {name: segments(records(handshake(name)), 1400)[0] for name in ("nas", "ads.test")}
    assert engine.send(says["nas"], flow_of(3), other)[0].startswith("end inspection allow")
    engine.queue(flow_of(4), other)
    assert engine.send(says["ads.test"], flow_of(4), other)[0].startswith("end inspection deny")


def test_who_asked_a_resolver_means_no_name_of_hosts() -> None:
    engine = Transcript("allow - 443 tcp", "deny nas - -")
    hosts = {parse_address(SHOP): ("nas.lan", "nas")}
    engine.feed(ev.FactsChanged(msgspec.structs.replace(FACTS, hosts=hosts)))
    engine.resolve("shop.test", SHOP)
    assert inspection_of(engine) is Inspection.GUARDED
    hello = segments(records(handshake("nas")), 1400)[0]
    assert engine.send(hello)[0].startswith("end inspection deny")


def test_once_the_name_is_gone_the_guard_is_there() -> None:
    """Also where no rule tests that name, so that the decision itself would still hold."""
    engine = Transcript("allow - - - /usr/bin/curl", DENY)
    engine.resolve("shop.test", SHOP, UNKNOWN, ttl_s=600)
    (first,) = (one for one in engine.feed(engine.next_packet()) if isinstance(one, cmd.RememberVerdict))
    assert (first.inspection, first.expires_s) == (Inspection.NONE, engine.now_s + 600)
    engine.wait(600)
    assert inspection_of(engine, 40001) is Inspection.GUARDED


def test_a_connection_like_one_before_is_guarded_again() -> None:
    engine = Transcript(ALLOW, DENY)
    assert [inspection_of(engine, port) for port in (1, 2)] == [Inspection.GUARDED] * 2


def test_for_the_log_alone_one_connection_of_a_kind_is_read() -> None:
    engine = Transcript(ALLOW)
    engine.queue()
    assert engine.send(HELLO) == ["remember allow", "end inspection allow 2", "said: ads.test"]


def test_what_one_connection_says_allows_none_like_it_that_is_denied_by_now() -> None:
    engine = Transcript(ALLOW)
    engine.queue()
    engine.load("deny - - -")
    assert "remember deny" in engine.queue(flow_of(40001))
    assert engine.send(HELLO) == ["end inspection allow 3", "said: ads.test"]


def test_a_further_packet_of_a_settled_flow_is_inspected_as_the_first() -> None:
    engine = Transcript(ALLOW, DENY)
    engine.queue()
    assert inspection_of(engine) is Inspection.GUARDED


@pytest.mark.parametrize(
    ("verdict", "port", "inspection"),
    [
        (Verdict.ALLOW, 443, Inspection.GUARDED),
        (Verdict.ALLOW, 53, Inspection.NONE),
        (Verdict.DENY, 443, Inspection.NONE),
        (Verdict.ASK, 443, Inspection.NONE),
    ],
)
def test_only_what_is_allowed_and_can_say_a_name_is_inspected(
    verdict: Verdict, port: int, inspection: Inspection
) -> None:
    engine = Transcript(DENY)
    connection = engine.engine.connection_of(flow_of(port=port), engine.next_packet().attribution, "", engine.now)
    assert (
        engine.engine.server_names.inspection_for(connection, Decision(verdict=verdict, reason=""), engine.now)
        is inspection
    )


def test_the_record_of_a_said_name_has_the_rule_that_allowed() -> None:
    engine = Transcript(ALLOW)
    *_, report = engine.feed(ev.DataSent(1, flow_of(), engine.next_packet().attribution, "eth0", 40000, HELLO))
    assert isinstance(report, cmd.Report)
    assert isinstance(report.record, ServerNameRead)
    assert report.record.decision.rule
    assert format_rule(report.record.decision.rule) == ALLOW


@pytest.mark.parametrize(
    ("flow", "can"),
    [
        (flow_of(), True),
        (flow_of(protocol=UDP), True),
        (flow_of(port=8443, protocol=TCP), True),
        (flow_of(port=53, protocol=UDP), False),
        (flow_of(protocol=ICMP), False),
        (flow_of(remote="127.0.0.1"), False),
        (flow_of(remote="10.0.0.2"), False),
        (inbound(), False),
    ],
)
def test_what_may_say_a_name(flow: Flow, can: bool) -> None:
    assert can_say_name(Connection(flow=flow, attribution=whose()), WORDS) is can
