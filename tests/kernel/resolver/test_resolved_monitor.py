"""A socket of ours speaks as systemd-resolved (varlink); with the real one: tests/lab/test_names.py."""

import base64
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import dns.message
import dns.rrset
import pytest

from tinysnitch.core.dns.message import parse_answer
from tinysnitch.core.model.errors import Malformed
from tinysnitch.core.model.flow import parse_address
from tinysnitch.kernel.resolver import resolved_monitor
from tinysnitch.kernel.resolver.resolved_monitor import ResolvedMonitor, parse_reply

SHOP = ("shop.test.", 60, "IN", "A", "10.0.0.80")
ALIAS = ("alias.test.", 60, "IN", "CNAME", "shop.test.")
SIX = ("shop.test.", 30, "IN", "AAAA", "2001:db8::80")
READY = b'{"parameters":{"ready":true},"continues":true}\0'


def record(*words: object) -> dict[str, str]:
    message = dns.message.Message()
    message.answer.append(dns.rrset.from_text(*words))  # type: ignore[arg-type]
    return {"raw": base64.b64encode(message.to_wire()[12:]).decode()}


def reply(
    name: str,
    *records: tuple[object, ...],
    kinds: tuple[int, ...] = (1, 28),
    state: str = "success",
    before: tuple[str, ...] = (),
) -> bytes:
    """`before`: the names before this one on the way to it, by aliases."""
    question, collected = (
        [{"class": 1, "type": kind, "name": each} for each in names for kind in kinds] for names in ((name,), before)
    )
    parameters = {"state": state, "question": question, "answer": [record(*words) for words in records]}
    return json.dumps({"parameters": parameters | {"collectedQuestions": collected}, "continues": True}).encode()


@pytest.mark.parametrize("name", ["alias.test", "alias.test.", "ALIAS.test"])
def test_each_question_becomes_an_answer_of_dns(name: str) -> None:
    four, six = map(parse_answer, parse_reply(reply(name, ALIAS, SHOP, SIX)))
    assert (four.name, four.cnames, four.addresses) == (
        "alias.test",
        ("shop.test",),
        ((parse_address("10.0.0.80"), 60),),
    )
    assert (six.name, six.addresses) == ("alias.test", ((parse_address("2001:db8::80"), 30),))


def test_a_name_whose_alias_was_looked_up_after_it_is_the_one_that_was_asked() -> None:
    """systemd-resolved knows the alias from an earlier answer, and asks for where it leads, which it tells alone."""
    before = ("www.test", "b\u00fccher.test", "alias.test")
    four, six = map(parse_answer, parse_reply(reply("shop.test", SHOP, SIX, before=before)))
    assert (four.name, four.cnames, four.addresses) == (
        "www.test",
        ("alias.test", "shop.test"),
        ((parse_address("10.0.0.80"), 60),),
    )
    assert (six.name, six.addresses) == ("www.test", ((parse_address("2001:db8::80"), 30),))
    assert parse_reply(reply("shop.test", SHOP, before=("a\\\\046b.test", "alias.test"))) == []


def test_what_was_found_for_another_name_is_not_for_this_one() -> None:
    assert [parse_answer(message).addresses for message in parse_reply(reply("bank.test", SHOP))] == [(), ()]


@pytest.mark.parametrize(
    "said",
    [
        b'{"parameters":{"ready":true}}',
        b"{}",
        reply("shop.test", SHOP, state="rcode-failure"),
        reply("80.0.0.10.in-addr.arpa", SHOP, kinds=(12,)),
        reply("a\\\\046b.test", SHOP),
        reply("b\u00fccher.test", SHOP),
        reply(".", SHOP),
        reply("", SHOP),
        reply("a" * 64 + ".test", SHOP),
    ],
)
def test_what_gives_no_name_is_passed_over(said: bytes) -> None:
    assert parse_reply(said) == []


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\xff",
        b"[]",
        b'{"parameters":{"state":"success","question":[{"name":1,"type":1}]}}',
        b'{"parameters":{"state":"success","answer":[{"raw":"?"}]}}',
        b'{"error":"org.varlink.service.PermissionDenied","parameters":{}}',
    ],
)
def test_what_cannot_be_understood(said: bytes) -> None:
    with pytest.raises(Malformed, match="systemd-resolved says"):
        parse_reply(said)


class Resolved:
    """systemd-resolved's end of the connection."""

    def __init__(self, path: Path) -> None:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            listener.listen()
            self.monitor = ResolvedMonitor(path)
            self.socket = listener.accept()[0]


@pytest.fixture
def resolved(tmp_path: Path) -> Iterator[Resolved]:
    made = Resolved(tmp_path / "socket")
    with made.socket, made.monitor:
        yield made


def test_it_is_asked_to_tell_and_its_messages_may_come_in_pieces(resolved: Resolved) -> None:
    asked = json.loads(resolved.socket.recv(1000).rstrip(b"\0"))
    assert asked == {"method": "io.systemd.Resolve.Monitor.SubscribeQueryResults", "more": True}
    assert resolved.monitor.read() == []
    said = READY + reply("shop.test", SHOP) + b"\0" + reply("bank.test") + b"\0"
    resolved.socket.sendall(said[:100])
    assert resolved.monitor.read() == []
    resolved.socket.sendall(said[100:])
    assert [parse_answer(message).name for message in resolved.monitor.read()] == ["shop.test"] * 2 + ["bank.test"] * 2


def test_all_that_was_told_is_read_at_once_and_of_the_same_answers_the_last(resolved: Resolved) -> None:
    """A program may ask in a loop: what others are told behind its answers must not wait until each of them is read."""
    shop, bank = (reply(name, SHOP, kinds=(1,)) + b"\0" for name in ("shop.test", "bank.test"))
    resolved.socket.sendall(shop * 60 + bank + shop * 60)
    assert [parse_answer(message).name for message in resolved.monitor.read()] == ["bank.test", "shop.test"]


@pytest.mark.parametrize("is_reset", [False, True])
def test_its_end_is_told(resolved: Resolved, is_reset: bool) -> None:
    if not is_reset:
        resolved.socket.recv(1000)  # what is left unread resets the connection
    resolved.socket.close()
    with pytest.raises(EOFError):
        resolved.monitor.read()


def test_a_message_that_is_too_long_is_left_out(resolved: Resolved, monkeypatch: pytest.MonkeyPatch) -> None:
    """The owner of a domain can give it thousands of addresses: systemd-resolved tells these in 5 MB."""
    monkeypatch.setattr(resolved_monitor, "MAX_BYTES", 10)
    read = []
    for said in (b"x" * 11, b"x" * 5, b"x" * 11, b"\0" + reply("shop.test", SHOP) + b"\0"):
        resolved.socket.sendall(said)
        read.append(resolved.monitor.read())
    assert read[:3] == [[], [], []]
    assert read[3][0] == b""  # so that it is counted
    assert [parse_answer(message).name for message in read[3][1:]] == ["shop.test"] * 2


def test_where_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        ResolvedMonitor(tmp_path / "socket")
