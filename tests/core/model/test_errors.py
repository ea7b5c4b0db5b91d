"""What people get to read, and what says nothing."""

import errno

import pytest

from tinysnitch.core.model.errors import (
    DaemonNotRunning,
    NotPermitted,
    RuleSyntaxError,
    SnitchError,
    hint_for,
    unless_short,
    words_of,
)


def test_an_error_is_its_text_and_a_hint() -> None:
    error = SnitchError("no such rule", "look")
    assert (str(error), error.hint, error.exit_code) == ("no such rule", "look", 1)
    assert SnitchError("x").hint == ""


def test_exit_codes() -> None:
    assert (DaemonNotRunning.exit_code, NotPermitted.exit_code) == (3, 4)


def test_a_bad_line_names_its_place() -> None:
    error = RuleSyntaxError("rules", 3, 7, "not a port", "write 443")
    assert str(error) == "rules:3:7: not a port"
    assert error == RuleSyntaxError("rules", 3, 7, "not a port", "write 443")
    assert error.with_hint() == "rules:3:7: not a port (hint: write 443)"
    assert RuleSyntaxError("rules", 3, 7, "not a port").with_hint() == "rules:3:7: not a port"
    assert error.exit_code == 1


def test_a_shortage_is_no_answer() -> None:
    assert unless_short(OSError(errno.ENOENT, "no such file"), "absent") == "absent"
    assert unless_short(ValueError("a zero byte"), None) is None
    for number in (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS):
        with pytest.raises(OSError, match="too few"):
            unless_short(OSError(number, "too few"), "absent")
    with pytest.raises(MemoryError):
        unless_short(MemoryError(), "absent")


def test_want_of_memory_has_words() -> None:
    assert (words_of(MemoryError()), words_of(OSError("no"))) == ("too little memory", "no")


def test_what_helps_against_a_shortage_is_no_other_place() -> None:
    assert hint_for(OSError(errno.ENOSPC, "no room"), "name another place") == "name another place"
    assert "ulimit" in hint_for(OSError(errno.EMFILE, "too few"), "name another place")
