""""""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.prompts.test_catalogue import KERNEL_ARGS, worker
from tests.view.painted_state import PaintedState
from tests.view.sample_prompts import CURL, IN, OUT, connection_of, learned_prompt_of, prompt_of
from tests.view.test_prompt_state import press, selected_id
from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.flow import UDP, Direction, parse_address
from tinysnitch.core.model.process import KERNEL, UNKNOWN
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.prompts.choice import Choice, Lifetime, RemoteScope
from tinysnitch.view.keys import KEYS
from tinysnitch.view.prompt_events import (
    Answer,
    AnswerRefused,
    ConnectionLost,
    Event,
    KeyPressed,
    QuestionClosed,
    QuestionOpened,
    ScreenRegained,
)
from tinysnitch.view.prompt_list import OpenQuestion, Questions, group_of
from tinysnitch.view.prompt_state import PromptState
from tinysnitch.view.prompt_view import PromptView, present_prompt, present_rule
from tinysnitch.view.span import text_of

GIT = msgspec.structs.replace(CURL, program="/usr/bin/git")


def of_two_programs() -> Questions:
    """Questions 1, 3 and 4 are curl's, 2 is git's."""
    questions = Questions()
    choice = Choice(verdict=Verdict.ALLOW)
    for number, process in enumerate((CURL, GIT, CURL, CURL), 1):
        questions.put(OpenQuestion(prompt_of(number, connection_of(process)), 60.0, 0.0, choice, choice))
    return questions


def test_they_are_kept_as_they_opened_and_walked_through_program_by_program() -> None:
    questions = of_two_programs()
    assert (list(questions), questions.ring(), questions.find_first_waiting()) == ([1, 2, 3, 4], [1, 3, 4, 2], 1)


def test_a_program_keeps_its_place_until_its_last_question_is_gone() -> None:
    """Questions of one program that are answered one by one have no other program's question in between."""
    questions = of_two_programs()
    questions.pop(1)
    assert (questions.ring(), questions.find_first_waiting()) == ([3, 4, 2], 3)
    questions.put(questions[3])  # the same question again, with another count or name
    assert questions.ring() == [3, 4, 2]
    for number in (3, 4):
        questions.pop(number)
    questions.put(msgspec.structs.replace(questions[2], prompt=prompt_of(5)))
    assert questions.ring() == [2, 5]


def test_one_that_is_put_aside_is_walked_to_and_waits() -> None:
    questions = of_two_programs()
    questions.change(1, is_aside=True)
    assert (questions.ring(), questions.find_first_waiting(), questions.waiting_count) == ([1, 3, 4, 2], 3, 4)
    assert len(questions.find_alike(questions[3])) == 2


def test_one_whose_answer_is_on_its_way_is_there_and_waits_no_more() -> None:
    questions = of_two_programs()
    assert not questions.is_answering
    questions.change(1, is_sent=True)
    assert (len(questions), questions.ring(), questions.find_first_waiting()) == (4, [3, 4, 2], 3)
    assert (questions.waiting_count, questions.is_answering) == (3, True)
    assert questions.find_alike(questions[3]) == (questions[4],)


def test_one_that_is_gone_is_nowhere() -> None:
    questions = of_two_programs()
    gone = questions.pop(2)
    assert gone is not None
    assert (gone.prompt.prompt_id, questions.pop(2), questions.get(2)) == (2, None, None)
    assert questions.ring() == [1, 3, 4]
    questions.clear()
    assert (dict(questions), questions.find_first_waiting()) == ({}, None)


NAMES = [*(name for key in KEYS for name in key.names), "enter"]
NEWS = [event for number in (1, 2, 3) for event in (QuestionOpened(prompt_of(number)), AnswerRefused(number, "late"))]
NEWS += [*(QuestionClosed(number, "answered") for number in (1, 2)), ScreenRegained(), ConnectionLost("gone")]


@given(st.lists(st.sampled_from([*map(KeyPressed, NAMES), *NEWS])))
def test_what_is_answered_is_out_of_sight(events: list[Event]) -> None:
    state = PaintedState()
    for second, event in enumerate(events):
        state.handle(event, second)
        assert state.selected is None or not state.selected.is_sent


CHOICE = Choice(verdict=Verdict.ALLOW)
QUESTION = OpenQuestion(prompt_of(7), deadline_s=60.0, opened_s=0.0, choice=CHOICE, first=CHOICE)


def test_an_answer_says_what_is_chosen_and_how_long_it_holds() -> None:
    quits = msgspec.structs.replace(CHOICE, lifetime=Lifetime.QUIT)
    assert QUESTION.answer(quits) == Answer(7, quits, holds="until curl quits")


def test_an_answer_by_hand_is_the_line() -> None:
    assert QUESTION.answer_by_hand("deny - - -") == Answer(7, None, "deny - - -", "forever")


@pytest.mark.parametrize(
    "changes",
    [{"program": "/usr/bin/git"}, {"uid": 0}, {"is_host_file": False}],
)
def test_another_program_user_or_file_is_another_group(changes: dict[str, object]) -> None:
    other = prompt_of(2, connection_of(msgspec.structs.replace(CURL, **changes)))
    assert group_of(prompt_of(1)) != group_of(other)


def test_another_remote_and_other_arguments_are_not() -> None:
    other = connection_of(msgspec.structs.replace(CURL, args=("x",), pid=9, exec_id=9), name="b.test")
    assert group_of(prompt_of(1)) == group_of(prompt_of(2, other))


def test_workers_of_one_program_are_apart_from_all_else_that_the_interpreter_runs() -> None:
    """Else one answer by `g` could be for any arguments of the interpreter."""
    one, *others = (
        group_of(prompt_of(number, connection_of(process)))
        for number, process in enumerate(
            (worker(*KERNEL_ARGS), worker(*KERNEL_ARGS, started_by="/srv/b.py"), worker("-c", "pass"))
        )
    )
    assert one not in others
    assert group_of(prompt_of(9, connection_of(worker(*KERNEL_ARGS, "--debug")))) == one


def test_the_two_directions_are_apart() -> None:
    assert group_of(prompt_of(2, connection_of(flow=IN))).direction is Direction.INBOUND
    assert group_of(prompt_of(1)) != group_of(prompt_of(2, connection_of(flow=IN)))


def test_what_nobody_could_be_named_for_is_alone() -> None:
    unknown = [prompt_of(number, Connection(flow=IN, attribution=UNKNOWN)) for number in (1, 2)]
    assert group_of(unknown[0]) != group_of(unknown[1])
    kernel = [prompt_of(number, Connection(flow=IN, attribution=KERNEL)) for number in (1, 2)]
    assert group_of(kernel[0]) == group_of(kernel[1])


# `g`: one answer for all that wait for a program


ALLOW = Choice(verdict=Verdict.ALLOW)


def state_of_two_programs() -> PromptState:
    """Questions 1, 3 and 4 are curl's, 2 is git's."""
    state = PaintedState()
    for number, process in enumerate((CURL, GIT, CURL, CURL), 1):
        connection = connection_of(process, name=f"n{number}.shop.test")
        state.handle(QuestionOpened(prompt_of(number, connection)), 0.0)
    return state


def rules_of(state: PromptState) -> set[str]:
    """The rules that `y` would write."""
    wall_s = 11.0 + state.wall_ahead_s
    return {text_of(present_rule(one.prompt.connection, choice, wall_s)) for one, choice in state.members}


def shown(state: PromptState) -> PromptView:
    return present_prompt(state, 11.0)


def test_all_of_the_program_get_the_answer_and_nothing_else_does() -> None:
    state = state_of_two_programs()
    press(state, "f", "j", "g")
    choice = Choice(verdict=Verdict.DENY, lifetime=Lifetime.FOREVER, any_args=True)
    assert press(state, "n", now=11.0) == [Answer(1, choice), Answer(3, choice), Answer(4, choice)]
    assert selected_id(state) == 2


def test_it_counts_as_new_so_that_the_lines_can_be_read() -> None:
    state = state_of_two_programs()
    press(state, "g", now=10.0)
    assert press(state, "y", now=10.2) == []
    assert len(press(state, "y", now=10.5)) == 3


def test_before_keys_count_it_takes_nothing_in() -> None:
    state = state_of_two_programs()
    press(state, "g", now=0.4)
    assert state.group is None


def test_pressed_again_it_is_for_one_question_again() -> None:
    state = state_of_two_programs()
    press(state, "g", now=10.0)
    press(state, "g", now=11.0)
    assert press(state, "y", now=12.0) == [Answer(1, ALLOW)]


def test_a_later_question_is_none_of_them() -> None:
    state = state_of_two_programs()
    press(state, "g", now=10.0)
    state.handle(QuestionOpened(prompt_of(5)), 10.9)
    state.handle(QuestionClosed(3, "the program gave up"), 10.9)
    assert press(state, "y", now=11.0) == [Answer(1, ALLOW), Answer(4, ALLOW)]


def test_one_that_is_asked_anew_is_none_of_them() -> None:
    state = state_of_two_programs()
    press(state, "g", now=10.0)
    state.handle(QuestionOpened(prompt_of(3, connection_of(name="other.test"))), 10.9)
    assert press(state, "y", now=11.0) == [Answer(1, ALLOW), Answer(4, ALLOW)]


def test_one_whose_answer_is_on_its_way_is_none_of_them() -> None:
    state = state_of_two_programs()
    press(state, "y", now=10.0)
    assert state.questions.is_answering
    press(state, "g", now=11.0)
    assert press(state, "y", now=12.0) == [Answer(3, ALLOW), Answer(4, ALLOW)]


def test_walking_away_ends_it() -> None:
    state = state_of_two_programs()
    press(state, "g", now=10.0)
    press(state, "tab", now=11.0)
    assert press(state, "y", now=12.0) == [Answer(3, ALLOW)]


def test_with_one_question_of_the_program_nothing_changes() -> None:
    state = PaintedState()
    state.handle(QuestionOpened(prompt_of(1)), 0.0)
    assert press(state, "g", "y") == [Answer(1, ALLOW)]


def test_one_that_another_rule_of_theirs_settled_is_no_news() -> None:
    state = state_of_two_programs()
    press(state, "g", now=10.0)
    press(state, "y", now=11.0)
    state.handle(QuestionClosed(3, "decided by a rule"), 11.1)
    state.handle(AnswerRefused(3, "question 3 is not open"), 11.2)
    assert state.notice == ""
    state.handle(AnswerRefused(4, "not permitted"), 11.2)
    assert (state.notice, selected_id(state)) == ("not permitted", 4)


def test_one_walks_through_the_questions_of_one_program_first() -> None:
    state = state_of_two_programs()
    walk = []
    for _step in range(4):
        walk.append((selected_id(state), state.position))
        press(state, "tab")
    assert walk == [(1, 1), (3, 2), (4, 3), (2, 4)]


def test_the_view_shows_the_count_and_every_line() -> None:
    state = state_of_two_programs()
    assert shown(state).waiting == "question 1 of 4, 3 of curl"
    assert "all 3 together" in [hint.text for row in shown(state).hints for hint in row]
    press(state, "f", "j", "g")
    view = shown(state)
    assert (view.title, view.together) == (
        "3 questions of curl",
        "the 3 questions of curl, with 3 rules",
    )
    assert rules_of(state) == {f"allow n{number}.shop.test 443 tcp /usr/bin/curl" for number in (1, 3, 4)}
    assert text_of(view.rule) == "allow n1.shop.test 443 tcp /usr/bin/curl"
    assert ("g", True) in [(hint.label, hint.is_on) for row in view.hints for hint in row]


def test_the_key_says_how_many_are_taken_and_not_how_many_wait_by_now() -> None:
    state = state_of_two_programs()
    press(state, "g")
    state.handle(QuestionOpened(prompt_of(5, connection=connection_of(name="late.shop.test"))), 11.0)
    view = shown(state)
    assert view.together == "the 3 questions of curl, with 3 rules"
    assert [hint.text for row in view.hints for hint in row if hint.label == "g"] == ["all 3 together"]


def test_once_is_without_rules() -> None:
    state = state_of_two_programs()
    press(state, "o", "g")
    assert (shown(state).together, shown(state).is_rule_kept) == ("the 3 questions of curl", False)


@pytest.mark.parametrize("is_named_first", [False, True])
@pytest.mark.parametrize(
    ("keys", "lines"),
    [
        ("fj", {"lan 21027 udp", "n1.shop.test 443 tcp"}),
        ("fjp", {"lan - udp", "n1.shop.test - tcp"}),
    ],
)
def test_each_begins_as_by_itself_and_takes_what_is_chosen(keys: str, lines: set[str], is_named_first: bool) -> None:
    """Else the choice for a question of the link made rules for whole domains of others, and the other way round."""
    state = state_of_link_and_name(is_named_first)
    press(state, *keys, "g")
    assert rules_of(state) == {f"allow {line} /usr/bin/curl" for line in lines}
    remotes = {answer.prompt_id: answer.choice.remote for answer in press(state, "y", now=12.0) if answer.choice}
    assert remotes == {1: RemoteScope.NAME, 2: RemoteScope.DOMAIN}


def test_a_scope_that_is_chosen_is_for_all() -> None:
    state = state_of_link_and_name(is_named_first=False)
    press(state, "f", "j", "d", "g")
    assert rules_of(state) == {
        "allow - 21027 udp /usr/bin/curl",
        "allow - 443 tcp /usr/bin/curl",
    }


def state_of_link_and_name(is_named_first: bool) -> PromptState:
    """Like those of Syncthing: question 1 is for a server with a name, question 2 for all machines of the link."""
    state = PaintedState()
    to_all = msgspec.structs.replace(OUT, protocol=UDP, remote=parse_address("10.0.0.255"), remote_port=21027)
    on_link = msgspec.structs.replace(connection_of(flow=to_all, name=None), is_lan_traffic=True)
    to_lan = Choice(verdict=Verdict.ALLOW, remote=RemoteScope.DOMAIN)
    prompts = [prompt_of(1, connection_of(name="n1.shop.test")), prompt_of(2, on_link, proposal=to_lan)]
    for prompt in prompts if is_named_first else reversed(prompts):
        state.handle(QuestionOpened(prompt), 0.0)
    return state


def test_equal_lines_are_one_rule() -> None:
    state = state_of_two_programs()
    press(state, "f", "d", "g")
    assert state.selected is not None
    assert state.selected.choice.remote is RemoteScope.DOMAIN
    view = shown(state)
    assert (view.together, len(rules_of(state))) == ("the 3 questions of curl, with 1 rule", 1)


# --- what was learned from earlier answers -----------------------------------------------------------------


@pytest.mark.parametrize("verdict", [Verdict.ALLOW, Verdict.DENY])
def test_what_was_learned_is_for_one_verdict_alone(verdict: Verdict) -> None:
    prompt = learned_prompt_of(verdict=verdict)
    question = OpenQuestion(prompt, 60.0, 0.0, prompt.proposal, prompt.proposal)
    other = Verdict.DENY if verdict is Verdict.ALLOW else Verdict.ALLOW
    assert question.is_widened
    assert question.choice_for(verdict) == prompt.proposal
    assert question.choice_for(other) == Choice(verdict=other)
    narrowed = msgspec.structs.replace(question, choice=question.switch())
    assert not narrowed.is_widened
    assert narrowed.choice_for(verdict) == Choice(verdict=verdict)
    assert narrowed.choice_for(other) == Choice(verdict=other)
    assert narrowed.switch() == prompt.proposal


def test_what_a_person_chose_is_for_both_verdicts() -> None:
    prompt = learned_prompt_of()
    choice = msgspec.structs.replace(prompt.proposal, lifetime=Lifetime.DAY, remote=RemoteScope.ANY, any_port=True)
    question = OpenQuestion(prompt, 60.0, 0.0, choice, prompt.proposal)
    assert not question.is_widened
    assert [question.choice_for(verdict) for verdict in (Verdict.ALLOW, Verdict.DENY)] == [
        choice,
        msgspec.structs.replace(choice, verdict=Verdict.DENY),
    ]


def test_a_question_of_which_nothing_was_learned_cannot_be_switched() -> None:
    prompt = prompt_of()
    question = OpenQuestion(prompt, 60.0, 0.0, prompt.proposal, prompt.proposal)
    assert not question.is_widened
    assert question.switch() == prompt.proposal


def test_together_each_question_is_answered_for_itself_alone() -> None:
    """A domain would cover questions that are not among them."""
    state = PaintedState()
    for number, name in enumerate(("img.shop.test", "www.shop.test"), 1):
        state.handle(QuestionOpened(learned_prompt_of(number, name)), 0.0)
    state.handle(KeyPressed("g"), 10.0)
    view = present_prompt(state, 11.0)
    assert (view.wider, view.denied) == ("", ())
    assert {rule.split()[1] for rule in rules_of(state)} == {"img.shop.test", "www.shop.test"}
    answers = press(state, "y", now=12.0)
    assert [answer.choice.remote for answer in answers] == [RemoteScope.NAME] * 2
    assert [answer.choice.verdict for answer in answers] == [Verdict.ALLOW] * 2
