import msgspec

from tests.view.painted_state import PaintedState
from tests.view.sample_prompts import prompt_of
from tinysnitch.tui.plain_lines import begin_edit_lines, fact_lines, help_lines, question_lines, ready_line
from tinysnitch.view.help_view import HelpRow
from tinysnitch.view.prompt_events import KeyPressed, QuestionOpened
from tinysnitch.view.prompt_view import PromptView, present_prompt
from tinysnitch.view.span import Line, Span


def sample_view() -> PromptView:
    state = PaintedState()
    state.handle(QuestionOpened(prompt_of(1)), 0.0)
    return present_prompt(state, 0.0)


def test_a_question_is_told_line_by_line() -> None:
    assert question_lines(sample_view()) == [
        "",
        "one question: curl wants to reach shop.test",
        "path: /usr/bin/curl",
        "arguments: -s https://shop.test/",
        "parents: /usr/bin/bash, /usr/sbin/sshd, /usr/lib/systemd/systemd",
        "user: uid 1000",
        "belongs to: unit:ssh.service",
        "name: shop.test",
        "address: 10.0.0.9",
        "port: 443 https, tcp",
        "direction: outbound, from this machine",
        "asked because no rule matches; 60 seconds left, then it is denied",
        "rule: allow until=2023-11-14T22:22:20Z shop.test 443 tcp /usr/bin/curl -s https://shop.test/",
        "holds: for 9 minutes",
    ]


def test_what_is_still_looked_up_is_not_told() -> None:
    lines = (Line("path", (Span("/a"),)), Line("package", (Span("…"),), is_pending=True))
    assert fact_lines(PromptView(title="", is_question=True, lines=lines)) == ["path: /a"]


def test_the_keys_to_begin_with_are_said() -> None:
    assert ready_line(sample_view()) == "keys: y allow, n deny, h help"


def test_an_editor_begins_with_the_whole_line_and_how_long_it_holds() -> None:
    state = PaintedState(0.0)
    state.handle(QuestionOpened(prompt_of(1)), 0.0)
    for key in "oe":
        state.handle(KeyPressed(key), 0.0)
    assert begin_edit_lines(present_prompt(state, 0.0)) == [
        "edit the rule; Enter answers with it, Esc goes back",
        "rule: allow until=2023-11-14T22:22:20Z shop.test 443 tcp /usr/bin/curl -s https://shop.test/",
        "holds: until the time in the line",
        "no line can say once: this one began with 9 minutes",
    ]


def test_help_is_told_key_by_key() -> None:
    row = HelpRow("answer", "y", "allow it")
    stop = "Ctrl-Z: stop the prompt, `fg` goes on"
    assert help_lines((row,), PromptView(title="", is_question=False)) == ["", "y: allow it", stop, "any key goes back"]
    behind = "any key goes back; 60 seconds left, then it is denied"
    assert help_lines((row,), sample_view(), is_guest=True) == ["", "y: allow it", behind]
    last_second = msgspec.structs.replace(sample_view(), seconds_left=1)
    assert help_lines((row,), last_second)[-1] == "any key goes back; 1 second left, then it is denied"
