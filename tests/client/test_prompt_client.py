from typing import Any

import msgspec
import pytest

from tests.client.odd_daemon import UNASKED
from tests.view.sample_prompts import CURL, connection_of, prompt_of
from tinysnitch.client.knock import AGAIN_S, TIMEOUT_S
from tinysnitch.client.prompt_client import PromptClient
from tinysnitch.core.model.asking_mode import ASKING, AskingMode
from tinysnitch.core.model.errors import Busy, DaemonNotRunning, NotPermitted, SnitchError
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.prompts.choice import Choice, Lifetime
from tinysnitch.core.rules.changes import Act, Place
from tinysnitch.protocol.framing import FrameDecoder, encode_frame
from tinysnitch.protocol.messages import (
    AddRule,
    Attach,
    ChangedLine,
    ChangeEntry,
    Done,
    GiveAnswer,
    Hello,
    KeepOpen,
    Notice,
    PromptClosed,
    PromptSettings,
    PromptShown,
    Refused,
    Request,
    RuleWritten,
    TakeBack,
    Undone,
    Welcome,
    prompt_shown,
)
from tinysnitch.view.line_edit import MAX_LENGTH
from tinysnitch.view.prompt_events import (
    Answer,
    AnswerRefused,
    Answers,
    ConnectionLost,
    DaemonGreeted,
    Event,
    KeepQuestions,
    ModeTold,
    NoticeGiven,
    QuestionClosed,
    QuestionOpened,
    RuleChange,
    SettingsGiven,
    ToDaemon,
    UndoLast,
)

PATH = "/run/tinysnitch/socket"
DENY = Choice(verdict=Verdict.DENY)
BOTH = Answers((Answer(1, DENY, holds="once"), Answer(2, DENY, holds="once")))
GONE = f"the daemon on {PATH} ended the connection"
_decoder: FrameDecoder[Request] = FrameDecoder(Request)


class Talk:
    """A client, and the daemon's side of the connection."""

    def __init__(self) -> None:
        self.client = PromptClient(PATH, {0: "root"}.get)

    def hear(self, *messages: Any) -> list[Event]:  # noqa: ANN401 - any message
        return list(self.client.receive(b"".join(map(encode_frame, messages)), 9.0))

    def answer(self, given: ToDaemon) -> list[Event]:
        return list(self.client.answer(given))

    def sent(self) -> list[Request]:
        frames, self.client.unsent = bytes(self.client.unsent).splitlines(), bytearray()
        return [_decoder.decode(frame) for frame in frames]


def attached() -> Talk:
    talk = Talk()
    talk.hear(Welcome(), Done())
    talk.sent()
    return talk


def test_from_the_welcome_to_the_end_and_the_next_welcome() -> None:
    talk = Talk()
    assert talk.answer(BOTH) == talk.sent() == []  # the daemon speaks first
    assert talk.hear(Welcome(sees_all=False)) == [DaemonGreeted(is_for_user=True)]
    assert talk.sent() == [Hello(), Attach()]
    one, two = (prompt_shown(prompt_of(number)).prompt for number in (1, 2))
    assert talk.hear(PromptShown(one), Done(), PromptShown(two)) == [QuestionOpened(one), QuestionOpened(two)]
    assert talk.hear(Notice("rules not loaded", "see line 3")) == [NoticeGiven("rules not loaded (see line 3)")]

    assert talk.answer(BOTH) == []
    one_key = talk.client._together
    assert talk.sent() == [GiveAnswer(1, DENY, together=one_key), GiveAnswer(2, DENY, together=one_key)]
    assert talk.client.is_answering
    assert talk.hear(PromptClosed(1, "denied", 0), RuleWritten("deny"), Done()) == [QuestionClosed(1, "denied by root")]
    assert talk.hear(Refused("too late")) == [
        NoticeGiven("answered 2 questions together: deny, once"),
        AnswerRefused(2, "too late"),
    ]
    assert not talk.client.is_answering

    talk.answer(Answers((Answer(2, DENY),)))
    with pytest.raises(DaemonNotRunning) as closed:
        talk.hear()
    assert list(talk.client.end(closed.value)) == [AnswerRefused(2, GONE), ConnectionLost(GONE)]
    assert talk.sent() == []
    assert talk.answer(BOTH) == talk.sent() == []  # their questions are gone
    assert talk.hear(Welcome()) == [DaemonGreeted()]
    assert talk.sent() == [Hello(), Attach()]


def test_answers_do_not_mix_and_those_that_were_refused_are_not_called_taken() -> None:
    talk = attached()
    for number in range(3):
        talk.answer(Answers((Answer(number, None, f"deny - {number} tcp"),)))
    assert [each.rule for each in talk.sent() if isinstance(each, GiveAnswer)] == [f"deny - {n} tcp" for n in range(3)]
    refused = Refused("not yours", exit_code=4)
    assert talk.hear(RuleWritten("first"), Done(), refused) == [
        NoticeGiven("answered: first"),
        AnswerRefused(1, "not yours"),
    ]
    unsaved = RuleWritten("third", "not saved", "make room")
    assert talk.hear(unsaved, Done()) == [NoticeGiven("not saved (make room)")]


def test_a_line_that_the_daemon_would_not_read_is_refused_and_the_connection_goes_on() -> None:
    """As long as the editor lets it be: each of its letters takes 6 bytes."""
    talk = attached()
    (refused,) = talk.answer(Answers((Answer(1, None, f"deny - - - {'é' * MAX_LENGTH}"),)))
    assert isinstance(refused, AnswerRefused)
    assert refused.reason.startswith("the request is too long: ")
    assert talk.answer(Answers((Answer(1, DENY),))) == []
    assert talk.sent() == [GiveAnswer(1, DENY)]


def test_a_long_question_comes_in_pieces_and_one_heard_of_late_has_no_more_time() -> None:
    talk = attached()
    process = msgspec.structs.replace(CURL, args=("\x1b" * 100_000,))
    sent = msgspec.structs.replace(prompt_of(4, connection_of(process)), deadline_s=1020.0, remaining_s=60.0)
    frame = encode_frame(prompt_shown(sent))
    assert list(talk.client.receive(frame[:70_000], 1000.0)) == []
    (heard,) = talk.client.receive(frame[70_000:], 1000.0)
    assert isinstance(heard, QuestionOpened)
    assert heard.prompt.connection.attribution.process == process
    assert heard.prompt.remaining_s == 20.0


@pytest.mark.parametrize(
    ("says", "kind", "message"),
    [
        (encode_frame(Welcome(99, "9.9")), SnitchError, "9.9"),
        (encode_frame(Refused("go away", "ask root", 4)), NotPermitted, "go away"),
        (encode_frame(Refused("64 are there", "close one")), Busy, "64 are there"),
        (UNASKED, SnitchError, "go away"),
        (b"garbage\n", SnitchError, "does not understand"),
        (b"x" * 3_000_000, SnitchError, "does not understand"),
        (b'{"type":"done"}\n', SnitchError, "does not speak like tinysnitchd"),
        (b"", DaemonNotRunning, "ended"),
    ],
    ids=["version", "refused", "busy", "unasked", "garbage", "much", "done", "end"],
)
def test_only_where_it_may_help_the_daemon_is_tried_again(says: bytes, kind: type[SnitchError], message: str) -> None:
    client = Talk().client
    with pytest.raises(SnitchError, match=message) as error:
        list(client.receive(says, 9.0))
    assert type(error.value) is kind
    assert error.value.hint
    if kind in (Busy, DaemonNotRunning):
        assert [type(event) for event in client.end(error.value)] == [ConnectionLost]
    else:
        with pytest.raises(kind, match=message):
            list(client.end(error.value))


def test_a_full_queue_is_tried_again_soon_until_it_is_called_busy() -> None:
    client = Talk().client
    assert [client.wait_for_room(now) for now in (5.0, 4.0 + TIMEOUT_S)] == [AGAIN_S, AGAIN_S]
    with pytest.raises(Busy, match="does not answer") as silence:
        client.wait_for_room(5.0 + TIMEOUT_S)
    list(client.end(silence.value))
    assert client.wait_for_room(6.0 + TIMEOUT_S) == AGAIN_S


def test_settings_of_the_daemon_are_told_at_the_welcome_and_when_they_change() -> None:
    talk = Talk()
    forever = PromptSettings(lifetime=Lifetime.FOREVER)
    assert talk.hear(Welcome(prompt=forever)) == [DaemonGreeted(settings=forever)]
    talk.hear(Done())
    assert talk.hear(Welcome(prompt=PromptSettings())) == [SettingsGiven(PromptSettings())]


def test_of_a_pause_what_is_left_is_told_as_it_is_now() -> None:
    """The welcome may have waited for us."""
    mode = AskingMode(verdict=Verdict.ALLOW, ends_s=9.0 + 60, until_s=5.0)
    assert Talk().hear(Welcome(asking=mode))[1:] == [ModeTold(mode, 60.0)]
    over = msgspec.structs.replace(mode, ends_s=9.0 - 1)
    talk = attached()
    assert talk.hear(Welcome(asking=over))[1:] == [ModeTold(over, 0.0)]
    assert talk.hear(Welcome(asking=over), Welcome()) == [*[SettingsGiven(PromptSettings())] * 2, ModeTold(ASKING)]


LINE = "deny shop.test 443 tcp /usr/bin/curl --token 0mWk3Zq8TxLr5Vb1Nc7H"


def test_a_rule_without_a_question_is_added() -> None:
    talk = attached()
    assert talk.answer(RuleChange(LINE)) == []
    assert talk.sent() == [AddRule(LINE)]
    (told,) = talk.hear(RuleWritten(LINE), Done())
    assert isinstance(told, NoticeGiven)
    assert told.text.startswith("added: deny shop.test 443 tcp /usr/bin/curl")
    assert "0mWk3Zq8TxLr5Vb1Nc7H" not in told.text


def test_a_rule_that_is_not_added_is_told_whole() -> None:
    talk = attached()
    talk.answer(RuleChange("deny - 25 tcp"))
    told = talk.hear(Refused("it must be for user 1000 alone", "write user=1000", 4))
    assert told == [NoticeGiven("it must be for user 1000 alone (write user=1000); not added: deny - 25 tcp")]
    gone = Talk()
    assert gone.answer(RuleChange("deny - 25 tcp")) == [
        NoticeGiven("tinysnitchd is not there; not added: deny - 25 tcp")
    ]


def test_the_last_answer_is_taken_back_and_what_it_was_is_told() -> None:
    talk = attached()
    assert talk.answer(UndoLast()) == []
    assert talk.sent() == [TakeBack()]
    assert talk.client.is_answering
    change = ChangeEntry(number=7, time=1.0, uid=0, act=Act.NO)
    told = talk.hear(Undone(change=change, removed=(ChangedLine(LINE, Place.FILE),) * 2), Done())
    assert isinstance(told[0], NoticeGiven)
    assert told[0].text.startswith("taken back 2 rules, the first: deny shop.test 443 tcp /usr/bin/curl --token")
    assert told[0].text.endswith("(change 7, by root)")
    talk.answer(UndoLast())
    refused = talk.hear(Refused("there is nothing to take back", "see `tinysnitch undo --list`"))
    assert refused == [
        NoticeGiven("nothing is taken back: there is nothing to take back (see `tinysnitch undo --list`)")
    ]
    assert Talk().answer(UndoLast()) == [NoticeGiven("nothing is taken back: tinysnitchd is not there")]


def test_that_a_person_is_at_questions_is_told_and_its_replies_are_news_of_nothing() -> None:
    talk = attached()
    assert talk.answer(KeepQuestions((1, 2))) == []
    assert talk.sent() == [KeepOpen(1), KeepOpen(2)]
    assert not talk.client.is_answering
    talk.answer(BOTH)
    assert talk.hear(Done(), Refused("question 2 is not open")) == []
    (taken,) = talk.hear(RuleWritten("deny - - -"), Done(), RuleWritten("deny - - -"), Done())
    assert isinstance(taken, NoticeGiven)
