"""What is offered at Tab for a rule, with a daemon and without."""

import os
import pwd
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete

from tests.daemon.requests.small_handler import RunningServer
from tinysnitch.cli.completion.from_daemon import (
    complete_group,
    complete_list,
    complete_question,
    complete_used_program,
)
from tinysnitch.cli.completion.rule_columns import (
    Complete,
    complete_known_rule,
    complete_port,
    complete_program,
    complete_protocol,
    complete_remote,
    complete_rule,
    complete_user,
)
from tinysnitch.cli.main import tinysnitch
from tinysnitch.core.rules.quoting import Word
from tinysnitch.core.rules.rule_line import COLUMNS
from tinysnitch.protocol.messages import ListEntry, ListState

AS_ALWAYS = {"help_option_names": ["-h", "--help"]}  # as command_runner.py has it; click keeps those of the first call
ME = pwd.getpwuid(os.getuid()).pw_name


# Each argument and option that has words of its own.
COMPLETED = {
    "answer prompt_id": complete_question,
    "explain program": complete_program,
    "explain remote": complete_remote,
    "explain port": complete_port,
    "explain protocol": complete_protocol,
    "history program": complete_used_program,
    "history uid": complete_user,
    "lists update names": complete_list,
    "names program": complete_used_program,
    "names uid": complete_user,
    "rules add line": complete_rule,
    "rules add group": complete_group,
    "rules remove line": complete_known_rule,
    "rules move line": complete_known_rule,
    "rules move group": complete_group,
    "rules enable name": complete_group,
    "rules disable name": complete_group,
}


@pytest.mark.parametrize(("place", "complete"), COMPLETED.items())
def test_who_is_completed_by_what(place: str, complete: Complete) -> None:
    *words, name = place.split()
    command: click.Command = tinysnitch
    for word in words:
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), word)
        assert found is not None
        command = found
    (param,) = (each for each in command.params if each.name == name)
    assert param._custom_shell_complete is complete


def offer(line: str, socket: Path) -> list[str]:
    """The last word of the line is the one at the cursor."""
    *args, word = line.replace("SOCKET", f"--socket {socket}").split(" ")
    items = ShellComplete(tinysnitch, AS_ALWAYS, "tinysnitch", "").get_completions(args, word)
    return [f"({item.type})" if item.type == "file" else item.value for item in items]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("rules add SOCKET a", ["allow", "ask"]),
        ("rules add SOCKET allow @", ["@resolvers", "@ads"]),
        ("rules add SOCKET allow us", ["user="]),
        (f"rules add SOCKET allow user={ME}", [f"user={ME}"]),
        ("rules add SOCKET allow iface=l", ["iface=lo"]),
        ("rules add SOCKET allow user=a lan 44", ["443", "445"]),
        ("rules add SOCKET allow lan 443 tcp", ["tcp", "tcp-src"]),
        ("rules add SOCKET allow lan 443 tcp /usr", ["(file)"]),
        ("rules add SOCKET allow lan 443 tcp /usr/bin/x y", ["(file)"]),
        ("rules add SOCKET allow lan 443 tcp u", ["unknown", "unit:"]),
        ("rules remove SOCKET allow ", ["google.com"]),
        ("rules remove SOCKET allow google.com 443 t", ["tcp"]),
        ("rules remove SOCKET ask ", []),
        ("rules move SOCKET a", ["allow google.com 443 tcp /usr/bin/curl"]),
        ("explain SOCKET k", ["kernel"]),
        ("explain SOCKET kernel lo", ["localhost"]),
        ("explain SOCKET kernel lan 2", ["22", "20", "21", "23", "25", "2049"]),
        ("explain SOCKET kernel lan - i", ["icmp"]),
        (f"history SOCKET --user {ME}", [ME]),
    ],
)
def test_words_of_rules(running: RunningServer, tmp_path: Path, line: str, expected: list[str]) -> None:
    running.handler.rules = ["allow google.com 443 tcp /usr/bin/curl"]
    running.handler.lists = [ListEntry(list="ads", path="/x", rules=0, state=ListState.LOADED)]
    assert set(expected) == {each for each in offer(line, tmp_path / "socket") if not each.startswith("--")}


def test_a_quoted_word_of_a_known_rule_is_one_word(running: RunningServer, tmp_path: Path) -> None:
    running.handler.rules = ["allow a.test 443 tcp '/opt/a b'"]
    assert "/opt/a b" in offer("rules remove SOCKET allow a.test 443 tcp ", tmp_path / "socket")


def test_programs_that_rules_name_are_offered_where_no_path_is_begun(running: RunningServer, tmp_path: Path) -> None:
    assert "/usr/bin/curl" in offer("explain SOCKET ", tmp_path / "socket")


def test_without_a_daemon_there_are_the_words_of_the_grammar(tmp_path: Path) -> None:
    assert offer("rules add SOCKET allow @", tmp_path / "none") == ["@resolvers"]
    assert offer("rules remove SOCKET ", tmp_path / "none") == []


def test_every_word_that_is_offered_is_one_of_its_column() -> None:
    for column in COLUMNS:
        words = [form.spelling for form in column.forms if form.is_word]
        assert words
        for word in words:
            column.parse(Word(word, 1, True, word))
