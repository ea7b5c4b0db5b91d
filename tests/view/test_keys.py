import re
from pathlib import Path

import pytest

from tests.view.test_prompt_state import opened, press
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.prompts.choice import Lifetime
from tinysnitch.view.key_guard import TEXT_S
from tinysnitch.view.keys import (
    KEYS,
    LIST_KEYS,
    Act,
    Forever,
    Group,
    find_key,
    hint_at,
    is_list_move,
    is_of_text,
    keys_of,
    suggests_caps_lock,
    without_caps_lock,
)
from tinysnitch.view.prompt_events import Leave
from tinysnitch.view.prompt_state import Page


def test_no_key_has_two_meanings() -> None:
    names = [name for key in KEYS for name in key.names]
    assert len(names) == len(set(names))


def test_every_lifetime_and_act_has_a_key() -> None:
    assert {key.effect for key in KEYS} == {*Lifetime, *Act, *Forever, Verdict.ALLOW, Verdict.DENY}


def test_keys_are_found_by_any_of_their_names() -> None:
    assert find_key("question_mark") is find_key("h")
    assert find_key("x") is None


def test_the_readme_explains_every_key() -> None:
    """On the help page, which says in words how to go back."""
    section = (
        Path(__file__).parents[2].joinpath("README.md").read_text().partition("## The keys")[2].partition("## ")[0]
    )
    explained = set(re.findall(r"`([^`]+)`", " ".join(re.findall(r"^\| (`.*?) \|", section, re.MULTILINE))))
    assert {key.label for key in KEYS} - {"S-Tab"} == explained - {"Ctrl-Z", "Space"}
    assert "Space" in {key.label for key in LIST_KEYS} & explained


def test_moves_in_the_list_are_told_from_leaving_out() -> None:
    assert [name for name in ("down", "pagedown", "wheel up", " ", "space", "y") if is_list_move(name)] == [
        "down",
        "pagedown",
        "wheel up",
    ]


def test_a_capital_letter_is_no_key_and_told_why() -> None:
    assert hint_at("D") == "D is no key, d is: is Caps Lock on?"
    assert [hint_at(name) for name in ("x", "X", "?", "y", "Y", "N", "€")] == [""] * 7


@pytest.mark.parametrize(
    ("names", "is_on"),
    [("U", True), ("UY", True), ("UYN", True), ("UYu", False), ("Y", False), ("yN", False), ("U1", True)],
)
def test_what_suggests_caps_lock(names: str, is_on: bool) -> None:
    seems_on = False
    for name in (*names, "tab", "question_mark", "enter"):
        seems_on = suggests_caps_lock(name, seems_on)
    assert seems_on is is_on


def test_only_what_answers_forever_means_another_key_with_caps_lock_on() -> None:
    assert [without_caps_lock(name) for name in ("Y", "N", "U", "y", "tab")] == ["y", "n", "U", "y", "tab"]


@pytest.mark.parametrize(("name", "text"), [("н", ""), ("cyrillic_small_letter_en", "н"), ("η", "")])
def test_a_letter_of_another_keyboard_layout_is_no_key_and_told_why(name: str, text: str) -> None:
    assert hint_at(name, text) == f"{text or name} is no key: is another keyboard layout on?"


@pytest.mark.parametrize(
    ("name", "text", "is_text"),
    [
        ("s", "", True),
        ("enter", "\r", False),
        ("alt+x", "x", False),
        ("minus", "-", True),
        ("space", " ", True),
        ("space", "", True),
        ("backspace", "", True),
        ("y", "y", False),
        ("Y", "Y", False),
        ("f5", "", False),
    ],
)
def test_keys_that_texts_are_typed_with(name: str, text: str, is_text: bool) -> None:
    assert is_of_text(name, text) is is_text


def test_groups_hold_every_key_in_order() -> None:
    assert tuple(key for group in Group for key in keys_of(group)) == KEYS


@pytest.mark.parametrize("page", ["h", "l"])
def test_q_closes_the_help_as_any_key_does_and_ctrl_c_leaves(page: str) -> None:
    state = opened(1)
    assert (press(state, page, "q"), state.page) == ([], Page.QUESTION)
    assert press(state, page, "ctrl+c") == [Leave()]


@pytest.mark.parametrize("prompt_ids", [(), (1,)])
def test_a_q_in_a_text_does_not_leave(prompt_ids: tuple[int, ...]) -> None:
    """`make run` would end with it, and take the firewall away."""
    state = opened(*prompt_ids)
    assert press(state, *"sql ", now=1.0) == []
    assert press(state, "q", now=1.0 + TEXT_S / 2) == []
    assert press(state, "ctrl+c", now=1.0 + TEXT_S / 2) == [Leave()]
    assert press(state, "q", now=1.0 + 2 * TEXT_S) == [Leave()]
