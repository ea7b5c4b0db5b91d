import errno
import io
import json
import sys
from pathlib import Path

import pytest

from tests.cli.running import Command
from tests.daemon.small_desk import RunningServer
from tinysnitch.cli.rules import join_words
from tinysnitch.core.rule_text import parse_rule

RULE = "allow google.com 443 tcp /usr/bin/curl"


@pytest.mark.parametrize("words", [("rules",), ("rules", "list")])
def test_the_list_is_a_rules_file(running: RunningServer, command: Command, words: tuple[str, ...]) -> None:
    assert command(*words) == (0, f"{RULE}\ndeny - 23 tcp  # temporary until 2023-11-14T22:13:20.000Z\n", "")


def test_the_socket_may_stand_before_the_second_word(running: RunningServer, command: Command) -> None:
    told = command.plain("rules", "--socket", str(running.path), "list")
    assert told.out.splitlines()[0] == RULE


@pytest.mark.parametrize("words", [("rules", "--json"), ("rules", "list", "--json")])
def test_json_is_one_object_a_line(running: RunningServer, command: Command, words: tuple[str, ...]) -> None:
    first, second = map(json.loads, command(*words).out.splitlines())
    assert first == {"rule": RULE, "source": "file", "until": None, "pid": None}
    assert (second["source"], second["until"]) == ("temporary", "2023-11-14T22:13:20.000Z")


def test_a_rule_is_added_and_removed(running: RunningServer, command: Command) -> None:
    line = "deny *.doubleclick.net - -"
    assert command("rules", "add", line) == (0, f"{line}\n", "")
    assert running.desk.rules == [RULE, line]
    assert command("rules", "remove", *line.split()) == (0, f"{line}\n", "")
    assert running.desk.rules == [RULE]
    assert command("rules", "remove", line).code == 1


def test_arguments_that_look_like_options_belong_to_the_rule(running: RunningServer, command: Command) -> None:
    assert command("rules", "add", *RULE.split(), "-s", "--compressed", "a b").code == 0
    assert running.desk.rules[-1] == f"{RULE} -s --compressed 'a b'"


def test_a_bad_line_is_refused_with_its_column(running: RunningServer, command: Command) -> None:
    code, out, err = command("rules", "add", "allo - - -")
    assert (code, out) == (1, "")
    assert err == "tinysnitch: error: <argument>:1:1: not a verdict\ntinysnitch: hint: write allow or deny\n"


@pytest.mark.parametrize(
    "line", [RULE, "allow *.google.com - -", "deny - - - /opt/*/bin", "allow - - - /usr/bin/a 'b c' $'d\\n' ''"]
)
def test_words_make_the_line_that_the_shell_took_apart(line: str) -> None:
    rule = parse_rule(line)
    words = [*line.split()[:5], *(rule.args or ())]
    assert parse_rule(join_words(tuple(words))) == rule
    assert join_words((line,)) == line


def test_check_names_file_line_column_and_a_hint(tmp_path: Path, command: Command) -> None:
    path = tmp_path / "rules"
    path.write_bytes(b"# fine\nallow - - -\nallow - 99999 tcp\nallow \xff\x1b - -\n")
    code, out, err = command.plain("rules", "check", str(path))
    assert code == 1
    assert err == "tinysnitch: 2 of 3 rules are wrong\n"
    assert [line.split(": ")[0] for line in out.splitlines() if not line.startswith(" ")] == [
        f"{path}:3:9",
        f"{path}:4:7",
    ]
    assert "  hint: " in out
    assert all(line.isprintable() for line in out.splitlines())


def test_check_is_glad(tmp_path: Path, command: Command) -> None:
    (tmp_path / "rules").write_text(f"{RULE}\n")
    assert command.plain("rules", "check", str(tmp_path / "rules")) == (0, "1 rule, no errors\n", "")
    (tmp_path / "rules").write_text("")
    assert command.plain("rules", "check", str(tmp_path / "rules")) == (0, "0 rules, no errors\n", "")


def test_check_reads_stdin(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"allo\n")))
    assert command.plain("rules", "check", "-").out.startswith("<stdin>:1:1: ")


def test_check_of_a_closed_stdin(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    code, _out, err = command.plain("rules", "check", "-")
    assert (code, err.splitlines()[0]) == (1, "tinysnitch: error: cannot read: standard input is closed")


def test_check_of_what_may_not_be_read_is_4(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_bytes(path: Path) -> bytes:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    code, out, err = command.plain("rules", "check", "/etc/secret.rules")
    assert (code, out) == (4, "")
    assert err.startswith("tinysnitch: error: cannot read /etc/secret.rules: Permission denied\ntinysnitch: hint: ")


def test_check_of_no_file(tmp_path: Path, command: Command) -> None:
    code, out, err = command.plain("rules", "check", str(tmp_path / "none"))
    assert (code, out) == (1, "")
    assert err.startswith("tinysnitch: error: cannot read ")
    assert "\ntinysnitch: hint: " in err
