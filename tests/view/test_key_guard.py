from tinysnitch.view.key_guard import (
    HELD_FIRST_S,
    HELD_NEXT_S,
    LATE_S,
    PASTED_S,
    TEXT_S,
    TYPING_DELAYS,
    TYPING_S,
    KeyGuard,
)

DELAY_S = 0.5


def seen(at_s: float = 10.0) -> KeyGuard:
    """A guard whose sight was painted at this moment."""
    guard = KeyGuard(DELAY_S)
    show(guard, at_s)
    return guard


def show(guard: KeyGuard, at_s: float) -> None:
    """A new sight, which is painted at once."""
    guard.renew(at_s)
    guard.note_painted(at_s)


def test_what_comes_into_sight_takes_keys_after_the_delay() -> None:
    guard = seen(10.0)
    assert (guard.is_ready(10.4), guard.is_ready(10.5), guard.ready_s) == (False, True, 10.5)
    show(guard, 20.0)
    assert (guard.sight, guard.is_ready(20.4)) == (2, False)


def test_the_delay_begins_when_it_is_painted() -> None:
    guard = KeyGuard(DELAY_S)
    guard.renew(10.0)
    assert (guard.is_ready(1e9), guard.ready_s) == (False, None)
    guard.note_painted(12.0)
    guard.note_painted(12.4)  # painted again for the countdown
    assert guard.ready_s == 12.5


def test_who_was_stopped_while_the_delay_ran_counts_it_anew_and_once() -> None:
    """Keys that are read then may have been typed at any time before."""
    guard = seen(10.0)
    guard.note_awake(10.4)
    guard.note_awake(13.0)
    assert guard.ready_s == 13.0 + DELAY_S
    guard.note_awake(16.0)
    assert guard.ready_s == 13.0 + DELAY_S


def test_who_was_awake_when_keys_began_to_count_may_be_stopped_later() -> None:
    guard = seen(10.0)
    guard.note_awake(10.5 + LATE_S)
    guard.note_awake(99.0)
    assert guard.ready_s == 10.5
    guard.note_keyboard(100.0)
    guard.note_awake(103.0)
    assert guard.ready_s == 103.5


def test_who_types_on_is_waited_for_until_a_pause_but_not_for_ever() -> None:
    guard = seen(10.0)
    for now in (10.4, 10.6, 10.8):
        guard.note_typing(now)
    assert guard.ready_s == 10.8 + TYPING_S
    guard.note_typing(99.0)
    assert guard.ready_s == 10.0 + TYPING_DELAYS * DELAY_S


def test_a_letter_of_a_text_takes_a_longer_pause_at_any_time() -> None:
    guard = seen(10.0)
    guard.note_typing(99.0, is_text=True)
    assert guard.ready_s == 99.0 + TEXT_S
    guard.note_typing(99.1)
    assert guard.ready_s == 99.0 + TEXT_S


def test_a_text_goes_on_whatever_comes_into_sight_meanwhile() -> None:
    guard = KeyGuard(DELAY_S)
    guard.note_typing(10.0, is_text=True)
    guard.renew(10.1)
    guard.note_painted(10.2)
    assert guard.ready_s == 10.0 + TEXT_S
    guard.renew(20.0)
    guard.note_typing(20.0, is_text=True)  # not painted yet
    guard.note_painted(20.1)
    assert guard.ready_s == 20.0 + TEXT_S


def test_a_key_that_answered_counts_again_when_it_was_let_go() -> None:
    guard = seen()
    assert not guard.is_held("y", 11.0)
    guard.note_used("y", 11.0)
    assert guard.is_held("y", 11.01)
    assert guard.is_held("y", 11.0 + HELD_FIRST_S - 0.01)
    repeats = [11.0 + HELD_FIRST_S + number * HELD_NEXT_S / 2 for number in range(20)]
    assert [guard.is_held("n", now) for now in repeats] == [False] * 20
    assert [guard.is_held("y", now) for now in repeats] == [True] * 20
    assert not guard.is_held("y", repeats[-1] + HELD_NEXT_S)


def test_a_window_that_appears_takes_no_key_at_all_until_its_question_takes_some() -> None:
    guard = seen(10.0)
    assert not guard.is_deaf(10.4)  # the window was there before
    guard.note_appeared()
    for is_click in (False, True):
        assert guard.is_deaf(10.4, is_click=is_click)
    assert not guard.is_deaf(10.5)
    show(guard, 20.0)
    assert not guard.is_deaf(20.1)  # so that one can leave


def test_a_keyboard_that_comes_later_makes_keys_wait_and_clicks_do_not() -> None:
    guard = seen(10.0)
    guard.note_keyboard(20.0)
    assert (guard.is_ready(20.4), guard.ready_s) == (False, 20.5)
    assert [guard.is_deaf(20.4, is_click=is_click) for is_click in (False, True)] == [True, False]
    assert guard.is_seen(20.4)
    assert not guard.is_deaf(20.5)


def test_a_click_beside_the_keys_ends_the_wait_for_the_keyboard_and_no_other() -> None:
    guard = seen(10.0)
    guard.note_keyboard(20.0)
    guard.note_click(20.1)
    assert (guard.is_ready(20.1), guard.is_deaf(20.1)) == (True, False)
    guard.renew(30.0)
    guard.note_painted(30.0)
    guard.note_keyboard(30.2)
    guard.note_click(30.3)
    assert (guard.is_ready(30.3), guard.ready_s) == (False, 30.7)


def test_an_enter_at_once_behind_a_text_was_pasted_with_it() -> None:
    guard = seen(10.0)
    assert not guard.is_pasted(11.0)
    guard.note_edited(11.0)
    assert guard.is_pasted(11.0 + PASTED_S / 2)
    assert not guard.is_pasted(11.0 + PASTED_S * 1.1)


def test_without_a_delay_every_key_counts() -> None:
    guard = KeyGuard(0.0)
    guard.renew(10.0)
    guard.note_appeared()
    guard.note_keyboard(10.0)
    guard.note_typing(10.0, is_text=True)
    guard.note_used("y", 10.0)
    guard.note_awake(99.0)
    assert (guard.is_ready(10.0), guard.is_deaf(10.0), guard.is_held("y", 10.0)) == (True, False, False)


def test_who_types_while_a_window_appears_is_waited_for_as_in_a_text_but_not_for_ever() -> None:
    guard = seen(10.0)
    guard.note_appeared()
    guard.note_typing(10.3, is_answer=True)  # of a person who expected the question
    assert guard.ready_s == 10.3 + TYPING_S
    guard.note_typing(10.4)
    assert (guard.is_ready(10.4 + TYPING_S), guard.ready_s) == (False, 10.4 + TEXT_S)
    guard.note_typing(11.3)
    assert guard.ready_s == 10.0 + TYPING_DELAYS * DELAY_S
