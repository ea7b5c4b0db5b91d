import msgspec
import pytest

from tests.view.sample_prompts import CURL, IN, connection_of
from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.process import UNKNOWN
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.prompts.choice import Choice, Lifetime
from tinysnitch.core.rules.changes import Act, Place
from tinysnitch.protocol.messages import ChangedLine, ChangeEntry, RuleKept, Undone
from tinysnitch.view.answer_notice import name_lifetime, name_lifetime_of_line, tell_changed, tell_taken, tell_undone
from tinysnitch.view.prompt_events import Answer, Answers

ALLOW = Choice(verdict=Verdict.ALLOW)
RULE = "allow shop.test 443 tcp /usr/bin/curl"
LINE = ChangedLine(RULE, Place.FILE)
CHANGE = ChangeEntry(number=3, time=1.0, uid=1000, act=Act.YES)
FOREIGN = connection_of(msgspec.structs.replace(CURL, is_host_file=False))
NOBODY = Connection(flow=IN, attribution=UNKNOWN)


@pytest.mark.parametrize(
    ("connection", "lifetime", "words"),
    [
        (connection_of(), Lifetime.ONCE, "once"),
        (connection_of(), Lifetime.ONE_MINUTE, "for 1 minute"),
        (connection_of(), Lifetime.THREE_MINUTES, "for 3 minutes"),
        (connection_of(), Lifetime.NINE_MINUTES, "for 9 minutes"),
        (connection_of(), Lifetime.DAY, "for 24 hours"),
        (connection_of(), Lifetime.QUIT, "until curl quits"),
        (connection_of(), Lifetime.FOREVER, "forever"),
        (NOBODY, Lifetime.QUIT, "for 9 minutes"),
        (FOREIGN, Lifetime.FOREVER, "once"),
    ],
)
def test_how_long_an_answer_holds_is_told(connection: Connection, lifetime: Lifetime, words: str) -> None:
    choice = msgspec.structs.replace(ALLOW, lifetime=lifetime)
    assert name_lifetime(connection, choice) == words
    assert tell_taken(Answers((Answer(1, choice, holds=words),)), RULE) == f"answered {words}: {RULE}"


def test_a_line_by_hand_tells_of_its_time_itself() -> None:
    assert name_lifetime_of_line(RULE) == "forever"
    assert name_lifetime_of_line(RULE.replace("allow", "allow until=2023-11-14T22:22:50Z")) == ""
    assert tell_taken(Answers((Answer(1, None, RULE),)), RULE) == f"answered: {RULE}"


def test_a_guest_s_answer_ends_with_its_command_unless_it_is_in_the_file() -> None:
    told = {
        lifetime: name_lifetime(connection_of(), msgspec.structs.replace(ALLOW, lifetime=lifetime), is_guest=True)
        for lifetime in Lifetime
    }
    assert told[Lifetime.DAY] == "for 24 hours, while this command runs"
    assert [told[one] for one in (Lifetime.ONCE, Lifetime.QUIT, Lifetime.FOREVER)] == [
        "once",
        "until curl quits",
        "forever",
    ]
    assert name_lifetime_of_line("allow until=2023-11-14T22:22:50Z - - -", is_guest=True) == "while this command runs"
    assert name_lifetime_of_line(RULE, is_guest=True) == "forever"


def test_a_daemon_that_tells_no_line_took_it_too() -> None:
    assert tell_taken(Answers((Answer(1, ALLOW, holds="once"),)), "") == "answered once"


def test_of_many_one_word_is_enough() -> None:
    answers = Answers(tuple(Answer(number, ALLOW, holds="until curl quits") for number in (1, 2, 3)))
    assert tell_taken(answers, "allow - - -") == "answered 3 questions together: allow, until curl quits"
    assert tell_taken(answers, "") == "answered 3 questions together: until curl quits"


def test_a_secret_is_shortened_in_what_is_told() -> None:
    told = tell_taken(Answers((Answer(1, ALLOW, holds="forever"),)), f"{RULE} --token 0mWk3Zq8TxLr5Vb1Nc7H")
    assert told == f"answered forever: {RULE} --token '0mWk…'"


def test_an_added_rule_is_told_without_its_secret() -> None:
    told = tell_changed("allow - - - /usr/bin/curl --token 0mWk3Zq8TxLr5Vb1Nc7H", is_added=True)
    assert told.startswith("added: allow - - - /usr/bin/curl --token ")
    assert "0mWk3Zq8TxLr5Vb1Nc7H" not in told


@pytest.mark.parametrize(
    ("undone", "words"),
    [
        (Undone(change=CHANGE, removed=(LINE,)), f"taken back: {RULE} (change 3, by alice)"),
        (Undone(change=CHANGE, forgotten=(LINE,)), f"taken back: {RULE} (change 3, by alice)"),
        (Undone(change=CHANGE, put_back=(LINE,)), f"put back: {RULE} (change 3, by alice)"),
        (
            Undone(change=CHANGE, kept=(RuleKept(RULE, "uid 0 wrote it too, in change 4"),)),
            f"left: {RULE}: uid 0 wrote it too, in change 4 (change 3, by alice)",
        ),
    ],
)
def test_what_was_taken_back_is_told(undone: Undone, words: str) -> None:
    assert tell_undone(undone, "alice") == words
