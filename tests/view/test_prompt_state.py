from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.view.painted_state import PaintedState
from tests.view.sample_prompts import CURL, connection_of, learned_prompt_of, prompt_of
from tinysnitch.core.model.past import Past
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.prompts.choice import Choice, Lifetime, RemoteScope
from tinysnitch.protocol.messages import PromptSettings
from tinysnitch.view.key_guard import TEXT_S, TYPING_DELAYS, TYPING_S
from tinysnitch.view.keys import KEYS
from tinysnitch.view.prompt_events import (
    Answer,
    AnswerRefused,
    Answers,
    ConnectionLost,
    DaemonGreeted,
    Effect,
    KeepQuestions,
    KeyPressed,
    Leave,
    ListSized,
    NoticeGiven,
    QuestionClosed,
    QuestionOpened,
    ScreenRegained,
    SettingsGiven,
    TextPasted,
    UndoLast,
)
from tinysnitch.view.prompt_state import Page, PromptState

ALL_NAMES = [name for key in KEYS for name in key.names]


def opened(*prompt_ids: int, now: float = 0.0) -> PromptState:
    state = PaintedState()
    for prompt_id in prompt_ids:
        state.handle(QuestionOpened(prompt_of(prompt_id)), now)
    return state


def selected_id(state: PromptState) -> int | None:
    return state.selected.prompt.prompt_id if state.selected else None


def press(state: PromptState, *names: str, now: float = 10.0) -> list[Any]:
    """The answers, one by one, without the words on how long they hold."""
    return [wanted for name in names for wanted in plain(state.handle(KeyPressed(name), now))]


def plain(effect: Effect) -> list[Any]:
    if isinstance(effect, Answers):
        return [msgspec.structs.replace(answer, holds="") for answer in effect.answers]
    return [effect] if effect and not isinstance(effect, KeepQuestions) else []


@pytest.mark.parametrize(
    ("keys", "changes"),
    [
        ("y", {}),
        ("n", {"verdict": Verdict.DENY}),
        ("oy", {"lifetime": Lifetime.ONCE}),
        ("1y", {"lifetime": Lifetime.ONE_MINUTE}),
        ("3y", {"lifetime": Lifetime.THREE_MINUTES}),
        ("f9y", {"lifetime": Lifetime.NINE_MINUTES}),
        ("2y", {"lifetime": Lifetime.DAY}),
        ("uy", {"lifetime": Lifetime.QUIT}),
        ("fn", {"lifetime": Lifetime.FOREVER, "verdict": Verdict.DENY}),
        ("dy", {"remote": RemoteScope.DOMAIN}),
        ("ddy", {"remote": RemoteScope.ANY}),
        ("dddy", {}),
        ("py", {"any_port": True}),
        ("ppy", {}),
        ("jy", {"any_args": True}),
        ("jay", {}),
        ("jjy", {"any_args": True}),
    ],
)
def test_keys_build_the_choice(keys: str, changes: dict[str, Any]) -> None:
    expected = Choice(**{"verdict": Verdict.ALLOW, **changes})
    assert press(opened(1), *keys) == [Answer(1, expected)]


@pytest.mark.parametrize("name", ["q", "ctrl+c"])
def test_leaving_works_at_once(name: str) -> None:
    assert press(opened(1), name, now=0.0) == [Leave()]


@given(st.lists(st.tuples(st.sampled_from(ALL_NAMES), st.floats(0, 0.499))))
def test_no_keys_within_the_delay_answer(keys: list[tuple[str, float]]) -> None:
    state = opened(1)
    for name, now in sorted(keys, key=lambda pair: pair[1]):
        assert not isinstance(state.handle(KeyPressed(name), now), Answers)
    assert state.selected is None or state.selected.choice == Choice(verdict=Verdict.ALLOW)


@given(st.lists(st.sampled_from(ALL_NAMES), max_size=30), st.lists(st.floats(0, 0.49), max_size=30))
def test_two_answers_are_never_closer_than_the_delay(names: list[str], pauses: list[float]) -> None:
    state, now, answered = opened(1, 2, 3, 4), 1.0, -1.0
    for name, pause in zip(names, pauses, strict=False):
        now += pause
        if isinstance(state.handle(KeyPressed(name), now), Answers):
            assert now - answered >= state.guard.delay_s
            answered = now


def test_the_delay_is_over_at_its_end() -> None:
    assert press(opened(1), "y", now=0.49) == []
    assert opened(1).next_change_s() == 0.5
    assert len(press(opened(1), "y", now=0.5)) == 1


def test_who_types_a_text_and_goes_on_when_a_question_comes_answers_nothing() -> None:
    state = opened(1)
    for number, letter in enumerate("many a tiny monkey may carry"):  # 10 letters a second
        assert press(state, letter, now=0.3 + number / 10) == []


def test_who_looks_at_the_keyboard_while_typing_and_pauses_before_each_letter_answers_nothing() -> None:
    state = opened(1)
    for number, letter in enumerate("stay by my monkey"):
        assert press(state, letter, now=0.3 + number * 0.4) == []
    assert press(state, "y", now=state.next_change_s() or 0.0) == [Answer(1, Choice(verdict=Verdict.ALLOW))]


@pytest.mark.parametrize("letter", ["s", " ", "backspace"])
def test_a_key_that_is_none_of_ours_begins_a_text_for_elsewhere(letter: str) -> None:
    state = opened(1)
    assert press(state, letter, "y", now=10.0) == []
    assert press(state, "y", now=10.0 + TEXT_S - 0.01) == []
    assert press(state, "y", now=10.0 + TEXT_S + TYPING_S) == [Answer(1, Choice(verdict=Verdict.ALLOW))]


@pytest.mark.parametrize("name", ["D", "f5", "ctrl+l", "delete", "enter"])
def test_a_key_that_no_text_is_typed_with_holds_up_nothing(name: str) -> None:
    assert press(opened(1), name, "y", now=10.0) == [Answer(1, Choice(verdict=Verdict.ALLOW))]


def test_without_a_delay_no_key_holds_up_others() -> None:
    state = PaintedState(0.0)
    state.handle(QuestionOpened(prompt_of(1)), 0.0)
    assert press(state, "s", "y", now=1.0) == [Answer(1, Choice(verdict=Verdict.ALLOW))]


def test_who_presses_y_again_and_again_means_it() -> None:
    state = opened(1)
    for tenths in range(4, 20):
        assert press(state, "y", now=tenths / 10) == []
    assert state.next_change_s() == TYPING_DELAYS * state.guard.delay_s
    assert len(press(state, "y", now=2.0)) == 1


def test_a_key_that_came_too_early_counts_after_a_pause_of_who_types() -> None:
    state = opened(1)
    assert press(state, "y", now=0.4) == []
    assert press(state, "y", now=0.4 + TYPING_S + 0.01) == [Answer(1, Choice(verdict=Verdict.ALLOW))]


def test_where_painting_takes_its_time_no_key_counts_before() -> None:
    state = PromptState()
    state.handle(QuestionOpened(prompt_of(1)), 0.0)
    assert press(state, "y", now=9.0) == []
    assert state.next_change_s() is None
    state.guard.note_painted(9.0)
    assert press(state, "y", now=9.2) == []
    state.guard.note_painted(9.4)  # painted again for the countdown
    assert len(press(state, "y", now=9.5)) == 1


@pytest.mark.parametrize("keys", [["tab"], ["g"], ["h", "x"], ["e", "escape"]])
def test_what_counts_as_new_waits_for_its_painting_too(keys: list[str]) -> None:
    state = PromptState()
    state.handle(ListSized(40, 9), 0.0)
    for prompt_id in (1, 2):
        state.handle(QuestionOpened(prompt_of(prompt_id)), 0.0)
    state.guard.note_painted(0.0)
    press(state, *keys)
    assert press(state, "y", now=20.0) == []
    state.guard.note_painted(20.0)
    assert press(state, "y", now=20.5) != []


def test_another_count_changes_neither_choice_nor_delay() -> None:
    state = opened(1)
    press(state, "f", now=1.0)
    state.handle(QuestionOpened(msgspec.structs.replace(prompt_of(1), count=5, remaining_s=9.0)), 2.0)
    assert state.selected is not None
    assert (state.selected.prompt.count, state.selected.deadline_s) == (5, 11.0)
    assert press(state, "y", now=2.0) == [Answer(1, Choice(verdict=Verdict.ALLOW, lifetime=Lifetime.FOREVER))]


def test_what_is_found_of_its_past_changes_neither_choice_nor_delay() -> None:
    state = opened(1)
    press(state, "f", now=1.0)
    found = Past(domain="shop.test", denied=3)
    state.handle(QuestionOpened(msgspec.structs.replace(prompt_of(1), past=found)), 2.0)
    assert state.selected is not None
    assert state.selected.prompt.past == found
    assert press(state, "y", now=2.0) == [Answer(1, Choice(verdict=Verdict.ALLOW, lifetime=Lifetime.FOREVER))]


def test_a_question_that_changes_starts_anew() -> None:
    state = opened(1)
    press(state, "p", now=1.0)
    other = connection_of(msgspec.structs.replace(CURL, args=("evil",)))
    state.handle(QuestionOpened(prompt_of(1, other)), 2.0)
    assert press(state, "y", now=2.3) == []
    assert press(state, "y", now=2.6) == [Answer(1, Choice(verdict=Verdict.ALLOW))]


def test_a_new_question_does_not_take_the_place_of_the_one_in_sight() -> None:
    state = opened(1)
    press(state, "p", now=0.8)
    state.handle(QuestionOpened(prompt_of(2)), 0.9)
    assert selected_id(state) == 1
    assert press(state, "y", now=1.0) == [Answer(1, Choice(verdict=Verdict.ALLOW, any_port=True))]
    assert selected_id(state) == 2


def test_a_question_that_vanishes_does_not_pass_its_key_or_choice_on() -> None:
    state = opened(1, 2)
    press(state, "d", "p", "j")
    state.handle(QuestionClosed(1, "denied: nobody answered"), 11.0)
    assert press(state, "y", now=11.1) == []
    assert state.notice == "denied: nobody answered: curl wants to reach shop.test"
    assert press(state, "y", now=12.0) == [Answer(2, Choice(verdict=Verdict.ALLOW))]


def test_a_held_key_answers_one_question_only() -> None:
    state = opened(1, 2, 3)
    times = [10.0, 10.66, *(10.66 + i * 0.03 for i in range(1, 100))]
    assert [e for t in times for e in press(state, "y", now=t)] == [Answer(1, Choice(verdict=Verdict.ALLOW))]
    assert len(press(state, "y", now=14.0)) == 1


def test_another_key_answers_as_soon_as_the_delay_is_over() -> None:
    state = opened(1, 2)
    press(state, "y", now=10.0)
    assert press(state, "n", now=10.5) == [Answer(2, Choice(verdict=Verdict.DENY))]


def test_z_takes_the_last_answer_back_and_answers_nothing() -> None:
    """Also in the list of several, but as any key not before the question was seen."""
    state = opened(connection_of(), connection_of(name="b.test"))
    assert state.handle(KeyPressed("z"), 0.1) is None
    assert state.handle(KeyPressed("z"), 9.0) == UndoLast()
    assert state.handle(KeyPressed("z"), 9.1) is None, "the key is still held"
    state.handle(KeyPressed("g"), 12.0)
    assert state.group
    assert state.handle(KeyPressed("z"), 15.0) == UndoLast()
    assert len(state.questions) == 2
    state.handle(NoticeGiven("taken back: deny b.test"), 15.1)
    assert state.notice == "taken back: deny b.test"


def test_an_answer_is_sent_once_and_comes_back_when_refused() -> None:
    state = opened(1)
    assert len(press(state, "y", "y", "n")) == 1
    state.handle(AnswerRefused(1, "not permitted"), 11.0)
    assert (selected_id(state), state.notice) == (1, "not permitted")
    assert (state.position, state.questions.waiting_count, state.questions.is_answering) == (1, 1, False)
    assert (len(press(state, "n", now=12.0)), state.notice) == (1, "")


def test_walking_goes_round_and_starts_the_delay() -> None:
    state = opened(1, 2, 3)
    walk = []
    for name in ("tab", "down", "right", "shift+tab", "up", "left"):
        press(state, name)
        walk.append(selected_id(state))
    assert walk == [2, 3, 1, 3, 2, 1]
    assert press(state, "y", now=10.1) == []
    assert state.position == 1


def test_walking_with_one_question_changes_nothing() -> None:
    assert len(press(opened(1), "tab", "y")) == 1


def test_later_puts_a_question_aside_until_it_is_walked_to() -> None:
    state = opened(1, 2)
    press(state, "escape")
    assert selected_id(state) == 2
    press(state, "escape", now=20.0)
    assert selected_id(state) is None
    assert press(state, "y", now=30.0) == []
    press(state, "tab", now=30.0)
    assert press(state, "y", now=31.0) == [Answer(1, Choice(verdict=Verdict.ALLOW))]


@pytest.mark.parametrize(("name", "page"), [("h", Page.HELP), ("question_mark", Page.HELP), ("l", Page.LEGEND)])
@pytest.mark.parametrize("closing", ["y", "x", "h", "tab"])
def test_any_key_closes_the_help_and_does_nothing_else(name: str, page: Page, closing: str) -> None:
    state = opened(1)
    press(state, name)
    assert state.page is page
    assert press(state, closing) == []
    assert state.page is Page.QUESTION
    assert press(state, "y", now=10.1) == []
    assert len(press(state, "y", now=10.5)) == 1


@pytest.mark.parametrize(
    ("name", "lifetime"), [("y", Lifetime.NINE_MINUTES), ("n", Lifetime.NINE_MINUTES), ("f", Lifetime.FOREVER)]
)
def test_a_key_that_the_help_shows_can_be_clicked_but_for_those_that_answer(name: str, lifetime: Lifetime) -> None:
    state = opened(1)
    press(state, "h")
    assert state.handle(KeyPressed(name, is_click=True), 20.0) is None
    assert state.page is Page.QUESTION
    assert state.selected
    assert state.selected.choice.lifetime is lifetime
    assert press(state, "y", now=20.1) == []  # it counts as new


@pytest.mark.parametrize(("keys", "answering"), [("", "y"), ("e", "enter")])
def test_a_screen_that_comes_back_takes_keys_after_the_delay(keys: str, answering: str) -> None:
    state = opened(1)
    press(state, *keys)
    state.handle(ScreenRegained(), 100.0)
    assert press(state, answering, now=100.2) == []
    assert len(press(state, answering, now=100.5)) == 1


def test_an_answer_carries_how_long_it_holds() -> None:
    state = opened(1)
    press(state, "u")
    answer = Answer(1, Choice(verdict=Verdict.ALLOW, lifetime=Lifetime.QUIT), holds="until curl quits")
    assert state.handle(KeyPressed("y"), 10.0) == Answers((answer,))


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("no answer within 60 s", "no answer within 60 s, denied"),
        ("answered by alice", "answered by alice"),
        ("the program gave up", "the program gave up"),
    ],
)
def test_the_end_of_the_time_says_what_it_decided(reason: str, told: str) -> None:
    state = opened(1)
    state.handle(QuestionClosed(1, reason), 60.0)
    assert state.notice == f"{told}: curl wants to reach shop.test"


def test_a_capital_letter_answers_nothing_and_is_told_why() -> None:
    state = opened(1)
    assert press(state, "D") == []
    assert (state.notice, selected_id(state)) == ("D is no key, d is: is Caps Lock on?", 1)


@pytest.mark.parametrize(
    ("names", "lifetime"),
    [("UY", Lifetime.NINE_MINUTES), ("UoY", Lifetime.FOREVER), ("Y", Lifetime.FOREVER)],
)
def test_with_caps_lock_on_no_letter_answers_forever(names: str, lifetime: Lifetime) -> None:
    """As far as a letter before it tells: Shift looks the same to a terminal."""
    state = opened(1)
    press(state, *names[:-1])
    state = state.begin_anew()
    state.handle(QuestionOpened(prompt_of(1)), 10.0)
    state.guard.note_painted(10.0)
    ((answer),) = press(state, names[-1], now=20.0)
    assert answer.choice.lifetime is lifetime


def test_a_click_and_an_edited_line_know_no_caps_lock() -> None:
    state = opened(1)
    press(state, "U")
    ((answer),) = plain(state.handle(KeyPressed("Y", is_click=True), 10.0))
    assert answer.choice.lifetime is Lifetime.FOREVER
    state = opened(1)
    press(state, "e", "U", "Y")
    assert state.edit.text.endswith("UY")


def test_what_is_told_of_a_wrong_key_is_over_with_a_right_one() -> None:
    state = opened(1)
    press(state, "D")
    press(state, "x")
    assert state.notice
    press(state, "f")
    assert state.notice == ""
    state.handle(NoticeGiven("rules not loaded"), 2.0)
    press(state, "f")
    assert state.notice == "rules not loaded"


def test_a_guest_is_not_left() -> None:
    state = PaintedState(is_guest=True)
    state.handle(QuestionOpened(prompt_of()), 0.0)
    assert press(state, "q", "ctrl+c", "e", "ctrl+c", "escape", "h", "q") == []
    assert (selected_id(state), state.page) == (1, Page.QUESTION)


def test_without_the_daemon_there_are_no_questions() -> None:
    state = opened(1)
    press(state, "h", now=4.0)
    state.handle(ConnectionLost("the daemon is gone"), 5.0)
    assert (state.is_connected, state.page) == (False, Page.QUESTION)
    assert state.notice == "the daemon is gone; new connections may be dropped until it is back"
    assert press(state, "y", "tab", "escape", "d") == []
    state.handle(DaemonGreeted(), 6.0)
    assert (state.is_connected, state.notice) == (True, "")


def test_who_types_while_a_window_appears_is_waited_for() -> None:
    state = opened(1)
    state.guard.note_appeared()
    assert press(state, "s", now=0.4) == press(state, "y", now=0.6) == []
    assert len(press(state, "y", now=0.4 + TEXT_S)) == 1


@pytest.mark.parametrize(
    ("notice", "now", "kept"), [("answered: X", 16.0, ""), ("answered: X", 10.5, "answered: X"), ("lost", 99.0, "lost")]
)
def test_an_answer_of_long_ago_takes_no_room_beside_a_question(notice: str, now: float, kept: str) -> None:
    state = opened(1)
    press(state, "n")
    state.handle(QuestionClosed(1, "answered"), 10.0)
    state.handle(NoticeGiven(notice), 10.0)
    for prompt_id, at in ((2, now), (3, now + 99.0)):  # the last one behind that which is in sight
        state.handle(QuestionOpened(prompt_of(prompt_id)), at)
        assert state.notice == kept


def test_closing_an_unknown_question_changes_nothing() -> None:
    state = opened(1)
    state.handle(QuestionClosed(9, "gone"), 10.0)
    assert (state.notice, len(press(state, "y"))) == ("", 1)


def test_a_question_that_is_shown_again_after_its_answer_is_a_new_one() -> None:
    state = opened(1)
    press(state, "p", "y")
    state.handle(QuestionOpened(prompt_of(1)), 12.0)
    assert press(state, "n", now=12.1) == []
    assert press(state, "n", now=13.0) == [Answer(1, Choice(verdict=Verdict.DENY))]


def test_the_end_of_what_was_answered_here_is_no_news() -> None:
    state = opened(1)
    press(state, "y")
    state.handle(QuestionClosed(1, "answered"), 10.1)
    assert (state.notice, len(state.questions)) == ("", 0)


def test_who_answers_behind_another_is_told_which_question_and_what_became_of_it() -> None:
    state = opened(1)
    press(state, "n")
    state.handle(QuestionClosed(1, "answered once by alice"), 10.1)
    state.handle(AnswerRefused(1, "question 1 is not open: answered once by uid 1000"), 10.2)
    told = "your answer came too late, answered once by alice: curl wants to reach shop.test"
    assert (state.notice, len(state.questions)) == (told, 0)


def test_who_left_and_comes_back_answers_for_the_same_user() -> None:
    state = PromptState(0.5)
    state.handle(DaemonGreeted(is_for_user=True), 0.0)
    state.handle(QuestionOpened(prompt_of(1)), 0.0)
    anew = state.begin_anew()
    assert (anew.is_connected, dict(anew.questions)) == (True, {})
    assert anew.guard.delay_s == 0.5
    anew.handle(QuestionOpened(prompt_of(1)), 1.0)
    assert anew.questions[1].choice.is_for_user


# --- what was learned from earlier answers -----------------------------------------------------------------

LEARNED = learned_prompt_of()
ALONE = msgspec.structs.replace(LEARNED, proposal=Choice(verdict=Verdict.ALLOW), alone=None, widened="")


@pytest.mark.parametrize(
    ("keys", "verdict", "remote"),
    [
        ("y", Verdict.ALLOW, RemoteScope.DOMAIN),
        ("n", Verdict.DENY, RemoteScope.NAME),
        ("wy", Verdict.ALLOW, RemoteScope.NAME),
        ("wn", Verdict.DENY, RemoteScope.NAME),
        ("wwy", Verdict.ALLOW, RemoteScope.DOMAIN),
        ("dy", Verdict.ALLOW, RemoteScope.ANY),
        ("dn", Verdict.DENY, RemoteScope.ANY),
        ("ddy", Verdict.ALLOW, RemoteScope.NAME),
        ("ddwy", Verdict.ALLOW, RemoteScope.DOMAIN),
    ],
)
def test_one_key_narrows_what_was_learned_and_the_other_verdict_is_narrow(
    keys: str, verdict: Verdict, remote: RemoteScope
) -> None:
    state = PaintedState()
    state.handle(QuestionOpened(LEARNED), 0.0)
    assert press(state, *keys) == [Answer(1, Choice(verdict=verdict, remote=remote))]


def test_a_proposal_that_changes_in_sight_counts_as_new() -> None:
    state = PaintedState()
    state.handle(QuestionOpened(ALONE), 0.0)
    state.handle(QuestionOpened(LEARNED), 10.0)
    assert press(state, "y", now=10.1) == []
    assert press(state, "y", now=12.0) == [Answer(1, LEARNED.proposal)]


def test_a_proposal_that_changes_out_of_sight_holds_up_nobody() -> None:
    state = PaintedState()
    state.handle(QuestionOpened(prompt_of(7)), 0.0)
    state.handle(QuestionOpened(ALONE), 0.0)
    state.handle(QuestionOpened(LEARNED), 10.0)
    assert press(state, "y", now=10.1) == [Answer(7, Choice(verdict=Verdict.ALLOW))]
    assert press(state, "y", now=12.0) == [Answer(1, LEARNED.proposal)]


def test_a_proposal_that_changes_leaves_what_the_person_chose() -> None:
    state = PaintedState()
    state.handle(QuestionOpened(ALONE), 0.0)
    press(state, "p")
    state.handle(QuestionOpened(msgspec.structs.replace(LEARNED, count=3)), 10.0)
    assert state.selected
    assert (state.selected.prompt.count, state.selected.is_widened) == (3, False)
    assert press(state, "y", now=10.1) == [Answer(1, Choice(verdict=Verdict.ALLOW, any_port=True))]


def test_a_proposal_that_changes_does_not_touch_a_line_that_is_edited() -> None:
    state = PaintedState()
    state.handle(QuestionOpened(ALONE), 0.0)
    press(state, "e")
    line = state.edit.text
    state.handle(QuestionOpened(LEARNED), 20.0)
    assert press(state, "enter", now=20.1) == [Answer(1, None, line)]


def test_what_was_learned_is_edited_as_y_would_write_it() -> None:
    state = PaintedState()
    state.handle(QuestionOpened(LEARNED), 0.0)
    press(state, "e")
    assert "*.shop.test" in state.edit.text
    state = PaintedState()
    state.handle(QuestionOpened(learned_prompt_of(verdict=Verdict.DENY)), 0.0)
    press(state, "e")
    assert state.edit.text.startswith("allow")
    assert "*.shop.test" not in state.edit.text


def test_who_answers_for_one_user_learns_for_that_user() -> None:
    state = PaintedState()
    state.handle(DaemonGreeted(is_for_user=True), 0.0)
    state.handle(QuestionOpened(LEARNED), 0.0)
    state.handle(KeyPressed("w"), 10.0)
    assert press(state, "y") == [Answer(1, Choice(verdict=Verdict.ALLOW, is_for_user=True))]


@pytest.mark.parametrize("verdict", [Verdict.ALLOW, Verdict.DENY])
def test_a_capital_y_or_n_is_forever_for_this_question_alone(verdict: Verdict) -> None:
    key = "Y" if verdict is Verdict.ALLOW else "N"
    state = opened(1, 2)
    assert press(state, key, now=1.0) == [Answer(1, Choice(verdict=verdict, lifetime=Lifetime.FOREVER))]
    assert press(state, "y", now=3.0) == [Answer(2, Choice(verdict=Verdict.ALLOW))]


def test_a_capital_y_counts_no_sooner_than_y() -> None:
    state = opened(1)
    assert press(state, "Y", now=0.1) == []
    state = opened(1, 2)
    assert len(press(state, "Y", now=1.0)) == 1
    assert press(state, "Y", now=1.1) == [], "held, or meant for the question before"


def test_who_is_at_a_question_renews_its_time_every_second() -> None:
    state = opened(1, 2)
    press(state, "y", now=0.1)  # too early, so it may be for elsewhere
    press(state, "s", now=1.0)  # no key of ours
    assert state.kept == []
    for now in (11.0, 11.9, 12.0):
        press(state, "p", now=now)
    press(state, "tab", now=12.1)
    press(state, "e", now=20.0)
    press(state, "x", "y", now=25.0)
    state.handle(TextPasted("z"), 31.0)
    assert state.kept == [(11.0, (1,)), (12.0, (1,)), (12.1, (2,)), (20.0, (2,)), (25.0, (2,)), (31.0, (2,))]


def lifetimes(state: PromptState) -> list[Lifetime]:
    return [question.choice.lifetime for question in state.questions.values()]


def test_questions_go_on_with_the_lifetime_that_was_chosen_last() -> None:
    state = opened(1, 2, 3)
    press(state, "tab", now=1.0)
    press(state, "3", now=2.0)
    assert lifetimes(state) == [Lifetime.THREE_MINUTES] * 3
    press(state, "tab", now=3.0)
    press(state, "f", now=4.0)
    assert lifetimes(state) == [Lifetime.FOREVER, Lifetime.THREE_MINUTES, Lifetime.FOREVER], "2 has its own"
    state.handle(QuestionOpened(prompt_of(4)), 5.0)
    assert lifetimes(state)[-1] is Lifetime.FOREVER
    assert state.begin_anew()._lifetime is Lifetime.FOREVER


def test_a_lifetime_that_came_too_early_is_not_chosen() -> None:
    state = opened(1, 2)
    press(state, "f", now=0.1)
    assert lifetimes(state) == [Lifetime.NINE_MINUTES] * 2


def test_the_daemon_says_how_prompts_are_and_the_person_goes_before_it() -> None:
    settings = PromptSettings(lifetime=Lifetime.FOREVER, delay=2.0)
    for own_s, delay_s in ((None, 2.0), (0.0, 0.0)):
        state = PaintedState(own_s)
        state.handle(DaemonGreeted(settings=settings), 0.0)
        state.handle(QuestionOpened(prompt_of(1)), 0.0)
        assert lifetimes(state) == [Lifetime.FOREVER]
        assert state.guard.delay_s == state.begin_anew().guard.delay_s == delay_s
        press(state, "1", now=3.0)
        state.handle(QuestionOpened(prompt_of(2)), 4.0)
        assert lifetimes(state)[-1] is Lifetime.ONE_MINUTE
        state.handle(SettingsGiven(PromptSettings()), 5.0)
        assert state.guard.delay_s == (0.5 if own_s is None else 0.0)
        assert state.settings == state.begin_anew().settings == PromptSettings()
