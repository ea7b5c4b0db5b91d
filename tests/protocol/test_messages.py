import msgspec
import pytest
from msgspec.structs import replace

from tests.daemon.requests.small_handler import HOSTILE, make_prompt
from tinysnitch.core.model.errors import Malformed
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.prompts.choice import Choice, Lifetime, RemoteScope
from tinysnitch.core.rules.changes import Act, Change, ChangedRule, Place, TakenBack
from tinysnitch.core.rules.rule_line import parse_rule
from tinysnitch.protocol.framing import FrameDecoder, encode_frame
from tinysnitch.protocol.messages import (
    MAX_PROGRAM,
    Attach,
    ChangedLine,
    ChangeEntry,
    Explain,
    FromDaemon,
    GiveAnswer,
    Hello,
    ListRules,
    PromptClosed,
    PromptShown,
    ReadLog,
    Refused,
    Request,
    Welcome,
    change_entry,
    prompt_shown,
)

_requests: FrameDecoder[Request] = FrameDecoder(Request)
_replies: FrameDecoder[FromDaemon] = FrameDecoder(FromDaemon)
_CHOICE = Choice(verdict=Verdict.DENY, lifetime=Lifetime.QUIT, remote=RemoteScope.DOMAIN, any_port=True)


@pytest.mark.parametrize(
    "request_",
    [
        Hello(),
        ListRules(),
        Attach(),
        ReadLog(5, follow=True),
        GiveAnswer(3, _CHOICE),
        GiveAnswer(3, rule="allow - - - '\udc80'"),
        Explain("/usr/bin/curl", "google.com", 443, "tcp"),
    ],
    ids=repr,
)
def test_requests_survive_the_wire(request_: Request) -> None:
    assert _requests.decode(encode_frame(request_)) == request_


def test_what_is_to_be_explained_has_a_bound() -> None:
    longest = Explain("/" * MAX_PROGRAM, "google.com", 443, "tcp", sha256="f" * 64)
    assert _requests.decode(encode_frame(longest)) == longest
    for longer in (replace(longest, program="/" * (MAX_PROGRAM + 1)), replace(longest, sha256="f" * 65)):
        with pytest.raises(Malformed, match="length"):
            _requests.decode(encode_frame(longer))


@pytest.mark.parametrize(
    "reply", [Welcome(), Refused("no", "ask root", 4), PromptClosed(3, "answered", 1000)], ids=repr
)
def test_replies_survive_the_wire(reply: FromDaemon) -> None:
    assert _replies.decode(encode_frame(reply)) == reply


def test_a_whole_prompt_survives_the_wire() -> None:
    rule = parse_rule("ask user=1000 *.example.com 80,443 tcp $'/\\xff*' -s")
    prompt = msgspec.structs.replace(make_prompt(args=(HOSTILE, "日本"), program=HOSTILE), rule=rule)
    shown = _replies.decode(encode_frame(prompt_shown(prompt)))
    assert isinstance(shown, PromptShown)
    assert shown.prompt.connection.flow == prompt.connection.flow
    assert shown.prompt.connection.attribution == prompt.connection.attribution
    assert (shown.prompt.remaining_s, shown.prompt.rule) == (prompt.remaining_s, rule)


def test_a_name_that_never_ends_is_a_number_on_the_wire() -> None:
    """JSON has no infinity."""
    prompt = make_prompt()
    assert prompt.connection.name_expires_s == float("inf")
    assert 1e18 < prompt_shown(prompt).prompt.connection.name_expires_s < float("inf")


def test_the_greeting_can_be_read_by_every_version() -> None:
    assert encode_frame(Hello(2, "9.9")) == b'{"type":"hello","protocol":2,"version":"9.9"}\n'


def test_a_change_tells_who_took_it_back_and_when() -> None:
    rules = (ChangedRule("allow - - -", Place.ONCE),)
    change = Change(number=3, wall_s=5.0, uid=1000, act=Act.YES, rules=rules)
    entry = ChangeEntry(number=3, time=5.0, uid=1000, act=Act.YES, written=(ChangedLine("allow - - -", Place.ONCE),))
    assert change_entry(change) == entry
    again = change_entry(msgspec.structs.replace(change, taken_back=TakenBack(0, 6.0)))
    assert again == msgspec.structs.replace(entry, taken_back=6.0, taken_back_by=0)
