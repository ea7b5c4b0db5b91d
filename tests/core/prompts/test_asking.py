"""What an answer's rule rests on, so that nobody is asked again about what was answered."""

import pytest
from msgspec.structs import replace

from tests.core.engine.transcript import BANK, CURL, SHOP, Transcript, flow_of, inbound, no, whose, yes
from tests.core.engine.transcript import FACTS as WITH_RESOLVER
from tests.core.rules.rule_strategies import FACTS
from tinysnitch.core.engine import events as ev
from tinysnitch.core.engine.commands import Report
from tinysnitch.core.engine.records import ConnectionDecided
from tinysnitch.core.model.connection import NOBODY_ASKS, Asking, Connection, NameSource
from tinysnitch.core.model.flow import ICMP, ICMPV6, UDP, parse_address
from tinysnitch.core.model.process import Attribution, AttributionSource
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.decision import Decision
from tinysnitch.core.policy.facts import RemoteWords
from tinysnitch.core.prompts.asking import asking_of, is_address_given, with_asking
from tinysnitch.core.prompts.choice import Choice, Lifetime
from tinysnitch.core.rules.rule_line import parse_rule


@pytest.mark.parametrize(
    ("lines", "name", "asking"),
    [
        ([], "example.com", NOBODY_ASKS),
        (["ask - - - /usr/bin/curl"], "example.com", Asking(is_by_path=True)),
        (["ask - - - unit:x", "ask - - - /opt/**"], "example.com", Asking(is_by_path=True)),
        (["ask *.com - -", "ask example.com 443 tcp"], "example.com", NOBODY_ASKS),
        (["ask @ads - -"], "ads.example.com", NOBODY_ASKS),
        (["ask @ads - -"], "example.com", Asking(is_by_address=True)),  # its address is in the list
        (["ask lan - -", "ask *.com - -"], "example.com", Asking(is_by_address=True)),
        (["ask 10.0.0.0/8 - -"], "example.com", Asking(is_by_address=True)),
        (["ask 10.0.0.0/8 - -"], None, NOBODY_ASKS),
        (
            ["ask user=alice - - -", "ask parent=/usr/bin/make - - -"],
            None,
            Asking(user="alice", parent="/usr/bin/make"),
        ),
        (["ask iface=wg0 - - -", "ask iface=wg0 - - tcp"], None, Asking(iface="wg0")),
        (["ask - 443 tcp", "ask user=alice iface=wg0 - - -"], None, Asking(user="alice", iface="wg0")),
    ],
)
def test_what_an_answers_rule_rests_on(lines: list[str], name: str | None, asking: Asking) -> None:
    assert asking_of(map(parse_rule, lines), name, RemoteWords(FACTS)) == asking


@pytest.mark.parametrize("lifetime", [Lifetime.FOREVER, Lifetime.NINE_MINUTES, Lifetime.QUIT])
@pytest.mark.parametrize(
    "line", ["ask 10.0.0.0/8 - -", "ask user=1000 - - -", "ask parent=/usr/bin/make - - -", "ask iface=eth0 - - tcp"]
)
def test_what_was_answered_is_not_asked_again(line: str, lifetime: Lifetime) -> None:
    engine, who = Transcript(line), whose(parents=("/usr/bin/make",))
    engine.resolve("shop.test", SHOP, who)
    assert "opened 1" in engine.queue(flow_of(1), who)
    engine.answer(1, yes(lifetime))
    assert "allow 4" in engine.queue(flow_of(2), who)


SSHD = whose(8, "/usr/sbin/sshd")
KERNEL = Attribution(AttributionSource.KERNEL)
PEER = "10.0.0.5"


@pytest.mark.parametrize("choice", [yes(), no()])
def test_an_answer_for_what_comes_in_holds_whatever_names_its_address_has_later(choice: Choice) -> None:
    """Other programs asked for these names. They last for minutes, and then people would be asked anew."""
    engine = Transcript()
    engine.resolve("shop.test", PEER)
    engine.queue(inbound(), SSHD)
    told = engine.answer(1, choice)
    assert f"write {choice.verdict.value} 10.0.0.5 22 tcp-src /usr/sbin/sshd ()" in told
    engine.resolve("other.test", PEER)
    assert f"{choice.verdict.value} 6" in engine.queue(inbound(50001), SSHD)
    engine.wait(3600)
    assert f"{choice.verdict.value} 7" in engine.queue(inbound(50002), SSHD)


@pytest.mark.parametrize("lines", [[], ["ask - 22 tcp-src"]])
def test_what_observe_mode_learns_of_it_holds_too(lines: list[str]) -> None:
    engine = Transcript(*lines, is_learning=True)
    engine.resolve("shop.test", PEER)
    for port in (50000, 50001):  # decided, and decided likewise
        (record,) = (one.record for one in engine.feed(engine.next_packet(inbound(port), SSHD)) if type(one) is Report)
        assert isinstance(record, ConnectionDecided)
        assert record.connection.asking.is_by_address


@pytest.mark.parametrize(
    ("who", "asker", "names", "program"),
    [
        (SSHD, SSHD, (), "/usr/sbin/sshd ()"),
        (SSHD, CURL, ("shop.test",), "/usr/sbin/sshd ()"),  # of /etc/hosts
        (KERNEL, CURL, (), "kernel"),  # a tunnel's
    ],
)
def test_an_answer_for_what_comes_in_goes_by_a_name_that_lasts(
    who: Attribution, asker: Attribution, names: tuple[str, ...], program: str
) -> None:
    engine = Transcript()
    engine.say(ev.FactsChanged(replace(WITH_RESOLVER, hosts={parse_address(PEER): names})))
    engine.resolve("shop.test", PEER, asker)
    engine.queue(inbound(protocol=UDP), who)
    assert f"write allow shop.test 22 udp-src {program}" in engine.answer(1, yes())


@pytest.mark.parametrize("protocol", [ICMP, ICMPV6])
def test_who_pings_this_machine_is_asked_about_once_whatever_names_are_looked_up(protocol: int) -> None:
    """The kernel answers pings. Unlike a tunnel's other end, nobody told it the sender."""
    engine, ping = Transcript(), inbound(0, 0, protocol=protocol)
    engine.resolve("shop.test", PEER, CURL)
    engine.queue(ping, KERNEL)
    assert "write allow 10.0.0.5 - icmp-src kernel" in engine.answer(1, yes())
    engine.resolve("other.test", PEER, whose(8))
    assert not [line for line in engine.queue(replace(ping, local_port=9), KERNEL) if line.startswith("ask ")]


def test_a_server_that_asks_who_its_visitors_are_is_known_by_their_addresses() -> None:
    """Only this process asked for the name: after a restart of the server a rule by name would not match."""
    engine, again = Transcript(), whose(9, "/usr/sbin/sshd")
    engine.resolve("shop.test", PEER, SSHD)
    engine.queue(inbound(), SSHD)
    assert "write allow 10.0.0.5 22 tcp-src /usr/sbin/sshd ()" in engine.answer(1, yes())
    engine.wait(3600)
    assert "allow 4" in engine.queue(inbound(50001), again)


@pytest.mark.parametrize("args", [(f"http://{SHOP}/",), ("-p", "22", f"root@{SHOP}"), (f"--host={SHOP}:443",)])
@pytest.mark.parametrize("choice", [yes(), no()])
def test_an_address_that_the_program_was_given_is_not_asked_about_by_one_name_after_the_other(
    args: tuple[str, ...], choice: Choice
) -> None:
    """Other programs asked for these names; each ends within minutes, and the next one is another."""
    engine, who = Transcript(), whose(args=args)
    engine.resolve("shop.test", SHOP, whose(8, "/usr/bin/wget"))
    engine.queue(flow_of(1), who)
    told = engine.answer(1, choice)
    assert any(line.startswith(f"write {choice.verdict.value} {SHOP} 443 tcp /usr/bin/curl ") for line in told)
    engine.resolve("other.test", SHOP, whose(9, "/usr/bin/wget"))
    assert not [line for line in engine.queue(flow_of(2), who) if line.startswith("ask ")]
    engine.wait(3600)
    assert not [line for line in engine.queue(flow_of(3), who) if line.startswith("ask ")]


@pytest.mark.parametrize(
    ("asker", "args", "hosts"),
    [
        (CURL, (f"--resolve=shop.test:443:{SHOP}",), ()),  # it asked for the name all the same
        (whose(8), (f"{SHOP}0", f"1{SHOP}", f"{SHOP}.test"), ()),  # other addresses, another name
        (whose(8), (SHOP,), ("shop.test",)),  # of /etc/hosts, which lasts
    ],
)
def test_an_address_that_was_not_given_is_asked_about_by_its_name(
    asker: Attribution, args: tuple[str, ...], hosts: tuple[str, ...]
) -> None:
    engine = Transcript()
    engine.say(ev.FactsChanged(replace(WITH_RESOLVER, hosts={parse_address(SHOP): hosts})))
    engine.resolve("shop.test", SHOP, asker)
    engine.queue(flow_of(), whose(args=args))
    assert [line for line in engine.answer(1, yes()) if line.startswith("write allow shop.test 443 tcp ")]


@pytest.mark.parametrize(
    ("line", "remote"),
    [("ask *.shop.test - -src", "shop.test"), ("ask - 22 -src", "10.0.0.5"), ("ask 10.0.0.0/8 - -src", "10.0.0.5")],
)
def test_an_answer_for_what_comes_in_is_narrower_than_the_rule_that_asks(line: str, remote: str) -> None:
    engine = Transcript(line)
    engine.resolve("shop.test", PEER)
    engine.queue(inbound(), SSHD)
    assert f"write allow {remote} 22 tcp-src /usr/sbin/sshd ()" in engine.answer(1, yes())
    assert "allow 4" in engine.queue(inbound(50001), SSHD)


@pytest.mark.parametrize("settings", [{"timeout_s": 0.0}, {"max_prompts": 0}, {"timeout_s": 5.0}])
def test_a_denial_that_nobody_gave_tells_the_rule_that_has_it_asked(settings: dict[str, object]) -> None:
    line = "ask - 443 tcp"
    engine = Transcript(line, **settings)
    commands = [*engine.feed(engine.next_packet()), *engine.feed(ev.FirewallEnds())]
    told = [one.record for one in commands if isinstance(one, Report)]
    (decided,) = (record for record in told if isinstance(record, ConnectionDecided))
    assert decided.decision.verdict is Verdict.DENY
    assert decided.decision.rule == parse_rule(line)


def test_a_connection_that_is_asked_about_again_is_asked_about_for_the_same() -> None:
    engine = Transcript("ask iface=eth0 - - -")
    engine.queue(flow_of(1))
    engine.queue(flow_of(2))
    engine.answer(1, yes(Lifetime.ONCE))
    assert [prompt.connection.asking for prompt in engine.engine.open_prompts(engine.now)] == [Asking(iface="eth0")]


@pytest.mark.parametrize(
    ("line", "remote", "parent"),
    [
        ("ask parent=/usr/bin/make - - -", SHOP, "/tmp/evil"),
        ("ask 10.0.0.80 - -", BANK, "/usr/bin/make"),
        ("ask 10.0.0.0/8 - -", BANK, "/usr/bin/make"),
    ],
)
def test_an_answer_holds_for_no_connection_that_its_rule_does_not_match(line: str, remote: str, parent: str) -> None:
    """A similar connection that is asked about without a rule, or for another address, has its own question."""
    engine = Transcript(line)
    first, second = whose(parents=("/usr/bin/make",)), whose(parents=(parent,))
    for address in (SHOP, BANK):
        engine.resolve("shop.test", address, first)
    assert "opened 1" in engine.queue(flow_of(1), first)
    assert "opened 2" in engine.queue(flow_of(2, remote), second)
    assert [word for word in engine.answer(1, yes()) if word.startswith("allow ")] == ["allow 5"]


@pytest.mark.parametrize("settings", [{"timeout_s": 0.0}, {"max_prompts": 0}, {"timeout_s": 5.0}])
def test_a_denial_that_nobody_gave_tells_why_the_rule_for_its_path_does_not_hold(settings: dict[str, object]) -> None:
    """As for a server that still runs after an upgrade replaced its file, while `explain` says that it is allowed."""
    engine = Transcript("allow - 22 tcp-src /usr/sbin/sshd", **settings)
    told = [*engine.queue(inbound(), whose(8, "/usr/sbin/sshd", is_host_file=False)), *engine.wait(5.0)]
    (reason,) = (line for line in told if line.startswith("decided: "))
    assert "; no rule with its path covers it: not the file at its path (start it anew" in reason


V4, V6 = "10.0.0.80", "fd77::1"


@pytest.mark.parametrize(
    ("arg", "remote"),
    [
        *[(arg, V4) for arg in (V4, f"http://{V4}/", f"http://{V4}:80/", f"a@{V4}:x", f"--host={V4}", f"at {V4}.")],
        *[(arg, V6) for arg in (V6, f"http://[{V6}]:80/", f"a@{V6}", f"{V6}%eth0", f"[{V6}]:x")],
    ],
)
def test_an_address_that_stands_by_itself_is_given(arg: str, remote: str) -> None:
    assert is_given(arg, remote)


@pytest.mark.parametrize(
    ("arg", "remote"),
    [
        *[(arg, V4) for arg in ("", "10.0.0.8", f"{V4}0", f"1{V4}", f"1.{V4}", f"{V4}.1", f"{V4}.test", f"a-{V4}")],
        *[(arg, V6) for arg in ("fd77::2", f"{V6}:2", f"{V6}0", f"1:{V6}", f"a{V6}")],
    ],
)
def test_a_piece_of_another_address_or_name_is_none(arg: str, remote: str) -> None:
    assert not is_given(arg, remote)


def is_given(arg: str, remote: str) -> bool:
    return is_address_given(Connection(flow=flow_of(remote=remote), attribution=whose(args=("-v", arg)), name="a.test"))


def test_what_comes_in_was_given_to_nobody() -> None:
    assert not is_address_given(Connection(flow=inbound(remote=V4), attribution=whose(args=(V4,))))


def test_a_name_of_its_own_or_of_etc_hosts_is_what_it_means() -> None:
    flow, who = flow_of(remote=V4), whose(args=(V4,))
    assert not is_address_given(Connection(flow=flow, attribution=who, name="a.test", is_name_sure=True))
    assert not is_address_given(Connection(flow=flow, attribution=who, name="a.test", name_source=NameSource.HOSTS))


@pytest.mark.parametrize("arg", [f"--resolve=a.test:443:{V4}", "https://a.test/"])
def test_what_was_given_the_name_too_means_that(arg: str) -> None:
    """As NetworkManager gives it to OpenConnect: the server has another address the next time."""
    flow = flow_of(remote=V4)
    assert not is_address_given(Connection(flow=flow, attribution=whose(args=(V4, arg)), name="a.test"))
    assert is_address_given(Connection(flow=flow, attribution=whose(args=(V4, arg)), name="b.test"))
    assert is_address_given(Connection(flow=flow, attribution=whose(args=(V4, arg))))


def test_what_has_no_process_has_no_arguments() -> None:
    assert not is_address_given(Connection(flow=flow_of(), attribution=Attribution(AttributionSource.KERNEL)))


def test_what_comes_in_from_the_lan_is_so_only_where_no_rule_asks() -> None:
    """An answer for `lan` might not be narrower than the rule that asks."""
    comes_in = Connection(flow=inbound(remote="192.168.1.9", port=5432), attribution=SSHD)
    words, nobody = RemoteWords(FACTS), Decision(verdict=Verdict.ASK, reason="no rule matches")
    assert with_asking(comes_in, nobody, words).is_from_lan
    asked = with_asking(comes_in, replace(nobody, asking=(parse_rule("ask user=alice - - -"),)), words)
    assert (asked.is_from_lan, asked.asking) == (False, Asking(user="alice"))
