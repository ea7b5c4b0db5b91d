import errno
import io
import json
import os
import shlex
import sys
from pathlib import Path

import pytest

from tests.cli.running import Command, Told
from tests.daemon.requests.small_handler import ALICE, ROOT, Comers, RunningServer, running_server
from tinysnitch.cli.rules import join_words, present_entry
from tinysnitch.core.rules.rule_line import parse_rule
from tinysnitch.daemon.control.permissions import Right
from tinysnitch.output import tables
from tinysnitch.protocol.messages import RuleEntry, RuleGroup, RuleSource

RULE = "allow google.com 443 tcp /usr/bin/curl"


def change(running: RunningServer, command: Command, verb: str, *line: str) -> Told:
    """`tinysnitch rules add --socket ... LINE`, or with `remove`."""
    return command.plain("rules", verb, "--socket", str(running.path), *line)


@pytest.mark.parametrize("words", [("rules",), ("rules", "list")])
def test_the_list_is_a_rules_file(running: RunningServer, command: Command, words: tuple[str, ...]) -> None:
    assert command(*words) == (
        0,
        f"{RULE}\n{'deny - 23 tcp':<{len(RULE)}}  # temporary, expired: it matches nothing any more\n",
        "",
    )


def test_that_the_file_says_something_else_is_told_beside_the_list(running: RunningServer, command: Command) -> None:
    running.handler.rule_errors = (
        "/etc/r:3:1: not a verdict (hint: did you mean 'allow'?)",
        "/etc/r:4:1: not a verdict",
    )
    code, out, err = command("rules")
    assert (code, out.splitlines()[0]) == (0, RULE)
    assert err == (
        "tinysnitch: the rules file did not load, the old rules hold: "
        "/etc/r:3:1: not a verdict (hint: did you mean 'allow'?)\n"
    )
    assert command("rules", "--json").err == err


@pytest.mark.parametrize(
    ("right", "note"), [(ROOT, "there is no rule"), (ALICE, "there is no rule that you may see")], ids=["root", "user"]
)
def test_that_there_is_no_rule_is_told_beside_an_empty_list(
    command: Command, tmp_path: Path, right: Right, note: str
) -> None:
    with running_server(tmp_path / "socket", Comers(right, right, right)) as running:
        running.handler.list_rules = lambda _right, **_how: []  # type: ignore[method-assign]
        assert command("rules") == (0, "", f"tinysnitch: {note}\n")
        assert command("rules", "--json") == (0, "", "")
        running.handler.rule_errors = ("/etc/r:3:1: not a verdict",)
        assert note not in command("rules").err  # the file has rules, which did not load


@pytest.mark.parametrize(
    ("entry", "line"),
    [
        (RuleEntry("deny - - -", RuleSource.FILE), "deny - - -"),
        (RuleEntry("deny until=X - - -", RuleSource.FILE, until=100.0), "deny until=X - - -"),
        (
            RuleEntry("deny until=X - - -", RuleSource.FILE, until=99.0),
            "deny until=X - - -  # expired: it matches nothing any more",
        ),
        (RuleEntry("deny until=X - - -", RuleSource.TEMPORARY, until=100.0), "deny until=X - - -  # temporary"),
        (RuleEntry("deny - - -", RuleSource.QUIT, pid=42), "deny - - -  # until process 42 ends"),
        (RuleEntry("deny - - -", RuleSource.QUIT), "deny - - -  # until its process ends"),
        (RuleEntry("deny - - -", RuleSource.QUIT, number=12), "deny - - -  # 12, until its process ends"),
    ],
)
def test_a_comment_says_what_the_line_does_not(entry: RuleEntry, line: str) -> None:
    assert present_entry(entry, 99.0) == line


def test_the_socket_may_stand_before_the_second_word(running: RunningServer, command: Command) -> None:
    told = command.plain("rules", "--socket", str(running.path), "list")
    assert told.out.splitlines()[0] == RULE


@pytest.mark.parametrize("words", [("rules", "--json"), ("rules", "list", "--json")])
def test_json_is_one_object_a_line(running: RunningServer, command: Command, words: tuple[str, ...]) -> None:
    first, second = map(json.loads, command(*words).out.splitlines())
    assert first == {
        "rule": RULE,
        "source": "file",
        "until": None,
        "pid": None,
        "group": None,
        "note": "",
        "number": None,
    }
    assert (second["source"], second["until"]) == ("temporary", "2023-11-14T22:13:20.000Z")


def test_a_rule_is_added_and_removed(running: RunningServer, command: Command) -> None:
    line = "deny *.doubleclick.net - -"
    assert command("rules", "add", line) == (0, f"{line}\n", "")
    assert running.handler.rules == [RULE, line]
    assert change(running, command, "remove", *line.split()) == (0, f"{line}\n", "")
    assert running.handler.rules == [RULE]
    assert command("rules", "remove", line).code == 1


def test_a_change_that_waits_for_a_list_is_told(running: RunningServer, command: Command) -> None:
    """Else somebody who removed an `allow` would believe that it no longer holds."""
    running.handler.old_rules = running.handler.rules[:]
    note = (
        "tinysnitch: the change takes effect once the lists and users that the rules file names are known; "
        "`tinysnitch lists` shows the lists\n"
    )
    assert command("rules", "add", "deny - 24 tcp") == (0, "deny - 24 tcp\n", note)
    assert command("rules", "remove", RULE) == (0, f"{RULE}\n", note)


def test_a_rule_that_is_there_already_is_told(running: RunningServer, command: Command) -> None:
    assert command("rules", "add", RULE) == (0, f"{RULE}\n", "tinysnitch: the rule was already in the file\n")
    assert command("rules", "add", "deny - 23 tcp").err == ""  # it was temporary


def test_a_bad_line_is_refused_with_its_column(running: RunningServer, command: Command) -> None:
    code, out, err = command("rules", "add", "allo - - -")
    assert (code, out) == (1, "")
    assert err == "tinysnitch: error: column 1: not a verdict\ntinysnitch: hint: write allow or deny\n"


def test_check_names_file_line_column_and_a_hint(tmp_path: Path, command: Command) -> None:
    path = tmp_path / "rules"
    path.write_bytes(b"# fine\nallow - - -\nallow - 99999 tcp\nallow \xff\x1b - -\n")
    code, out, err = command.plain("rules", "check", str(path))
    assert code == 1
    assert err == "tinysnitch: 2 of 3 rules are wrong\n"
    assert [line.split(": ")[0] for line in out.splitlines()] == [f"{path}:3:9", f"{path}:4:7"]
    assert all(" (hint: " in line for line in out.splitlines())
    assert all(line.isprintable() for line in out.splitlines())


def test_check_counts_one_bad_line_as_one(tmp_path: Path, command: Command) -> None:
    (tmp_path / "rules").write_text("allow - - -\nallow - -\n")
    assert command.plain("rules", "check", str(tmp_path / "rules")).err == "tinysnitch: 1 of 2 rules is wrong\n"


def test_check_is_glad(tmp_path: Path, command: Command) -> None:
    """Beside the data, like how many are wrong: standard output has a line for each bad one, so none."""
    (tmp_path / "rules").write_text(f"{RULE}\n")
    assert command.plain("rules", "check", str(tmp_path / "rules")) == (0, "", "tinysnitch: 1 rule, no errors\n")
    (tmp_path / "rules").write_text("")
    assert command.plain("rules", "check", str(tmp_path / "rules")) == (0, "", "tinysnitch: 0 rules, no errors\n")


def test_check_reads_stdin(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"allo\n")))
    assert command.plain("rules", "check", "-").out.startswith("<stdin>:1:1: ")


def test_check_of_a_closed_stdin(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    code, _out, err = command.plain("rules", "check", "-")
    assert (code, err.splitlines()[0]) == (1, "tinysnitch: error: cannot read: standard input is closed")


def test_check_of_what_may_not_be_read_is_4(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, mode: str) -> object:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)
    code, out, err = command.plain("rules", "check", "/etc/secret.rules")
    assert (code, out) == (4, "")
    assert err.startswith("tinysnitch: error: cannot read /etc/secret.rules: Permission denied\ntinysnitch: hint: ")


@pytest.mark.parametrize("file", ["-", "rules", "pipe", "/dev/zero"])
def test_check_reads_no_more_than_the_daemon_does(
    tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    monkeypatch.setattr("tinysnitch.cli.rules.MAX_BYTES", 1000)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(bytes(2000))))
    (tmp_path / "rules").write_bytes(bytes(2000))
    os.mkfifo(tmp_path / "pipe")
    held = os.open(tmp_path / "pipe", os.O_RDWR)  # a writer that never ends
    os.write(held, bytes(2000))
    monkeypatch.chdir(tmp_path)
    code, out, err = command.plain("rules", "check", file)
    os.close(held)
    assert (code, out) == (1, "")
    assert " has more than " in err
    assert "\ntinysnitch: hint: " in err


def test_check_of_no_file(tmp_path: Path, command: Command) -> None:
    code, out, err = command.plain("rules", "check", str(tmp_path / "none"))
    assert (code, out) == (1, "")
    assert err.startswith("tinysnitch: error: cannot read ")
    assert "\ntinysnitch: hint: " in err


@pytest.mark.parametrize(
    "arguments", ["-s --compressed 'a b'", "-- x", "--socket /tmp/x", "--help", "--socket=x --json -", "x --socket"]
)
def test_what_looks_like_an_option_of_ours_belongs_to_the_rule(
    running: RunningServer, command: Command, arguments: str
) -> None:
    line = [*RULE.split(), *shlex.split(arguments)]
    for words in (line, ["--", *line]):
        assert change(running, command, "add", *words)[:2] == (0, f"{RULE} {arguments}\n")
    assert change(running, command, "remove", *line) == (0, f"{RULE} {arguments}\n", "")
    assert running.handler.rules == [RULE]


@pytest.mark.parametrize("verb", ["add", "remove"])
def test_options_of_ours_stand_before_the_rule(running: RunningServer, command: Command, verb: str) -> None:
    assert command.plain("rules", verb, "--help").out.startswith(f"Usage: tinysnitch rules {verb} [OPTIONS] LINE...\n")
    assert command.plain("rules", "--socket", str(running.path), verb, *RULE.split()).out == f"{RULE}\n"
    code, _out, err = command.plain("rules", verb, "--sokcet", "x", *RULE.split())
    assert (code, err.startswith("tinysnitch: error: no such option '--sokcet'")) == (2, True)


def test_behind_a_rule_that_is_one_word_options_of_ours_may_stand(running: RunningServer, command: Command) -> None:
    for before in ([], ["--socket", str(running.path)], [f"--socket={running.path}"]):
        assert command("rules", "add", *before, RULE).out == f"{RULE}\n"


@pytest.mark.parametrize(
    "line", [RULE, "allow *.google.com - -", "deny - - - /opt/*/bin", "allow - - - /usr/bin/a 'b c' $'d\\n' ''"]
)
def test_words_make_the_line_that_the_shell_took_apart(line: str) -> None:
    rule = parse_rule(line)
    words = [*line.split()[:5], *(rule.args or ())]
    assert parse_rule(join_words(tuple(words))) == rule
    assert join_words((line,)) == line


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("allow", "until=2030-01-01 10:00", "-", "-", "-"), "allow until='2030-01-01 10:00' - - -"),
        (("deny", "user=a'b", "parent=/my app", "-", "-", "-"), r"deny user=$'a\'b' parent='/my app' - - -"),
        (("allow", "-", "-", "-", "/a", "--x=y z", "a=b c"), "allow - - - /a --x='y z' a='b c'"),
        (("deny", "-", "-", "-", "/a", "()", "*", "$HOME", "#b", "\u2800"), r"deny - - - /a () * $HOME '#b' $'\u2800'"),
    ],
)
def test_what_the_shell_left_is_quoted_where_it_must_be(words: tuple[str, ...], line: str) -> None:
    assert join_words(words) == line
    assert parse_rule(line)


SECRETIVE = "allow shop.test 443 tcp /usr/bin/curl --token 0mWk3Zq8TxLr5Vb1Nc7H"
SHORT = "tinysnitch: the rule holds what looks like a secret: allow shop.test 443 tcp /usr/bin/curl --token '0mWk…'\n"


def test_that_a_rule_holds_a_secret_is_told_when_it_is_added(running: RunningServer, command: Command) -> None:
    added = change(running, command, "add", SECRETIVE)
    assert (added.code, added.out) == (0, f"{SECRETIVE}\n")
    assert SHORT in added.err
    assert "secret" not in change(running, command, "add", RULE).err


def test_check_tells_of_secrets_and_is_glad(tmp_path: Path, command: Command) -> None:
    (tmp_path / "rules").write_text(f"{RULE}\n{SECRETIVE}\n")
    told = command.plain("rules", "check", str(tmp_path / "rules"))
    assert (told.code, told.err) == (0, f"{SHORT}tinysnitch: 2 rules, no errors\n")


def test_what_allows_a_whole_public_suffix_is_told(tmp_path: Path, running: RunningServer, command: Command) -> None:
    wide = "allow *.co.uk 443 tcp"
    (tmp_path / "rules").write_text(f"{wide}\nallow *.shop.test - -\n")
    note = f"tinysnitch: anybody can have a name in *.co.uk: {wide}\n"
    assert command.plain("rules", "check", str(tmp_path / "rules")).err == f"{note}tinysnitch: 2 rules, no errors\n"
    assert note in change(running, command, "add", wide).err


def test_groups_have_a_heading_and_their_rules_a_note(running: RunningServer, command: Command) -> None:
    running.handler.grouped = [("work", "allow git.test 443 tcp")]
    running.handler.groups = (
        RuleGroup("games", "/etc/tinysnitch.d/games.rules.off", is_on=False),
        RuleGroup("work", "/etc/tinysnitch.d/work.rules", is_on=True, rules=1),
    )
    told = command("rules").out.splitlines()
    assert told[0] == RULE
    assert told[2:] == [
        "# group games is off: /etc/tinysnitch.d/games.rules.off",
        "# group work: /etc/tinysnitch.d/work.rules",
        f"{'allow git.test 443 tcp':<{len(RULE)}}  # why",
    ]
    last = json.loads(command("rules", "--json").out.splitlines()[-1])
    assert (last["group"], last["note"]) == ("work", "why")
    running.handler.rule_errors = ("/etc/tinysnitch.d/work.rules:3:1: not a verdict",)
    assert "the group work did not load, the old rules hold: /etc/tinysnitch.d/work.rules:3:1" in command("rules").err
    running.handler.groups = ()
    assert "# group work" in command("rules").out.splitlines(), "who does not see all is told no file"


def test_a_rule_is_added_to_a_group_and_moved(running: RunningServer, command: Command) -> None:
    line = "deny *.doubleclick.net - -"
    assert change(running, command, "add", "--group", "ads", line) == (0, f"{line}\n", "")
    assert running.handler.grouped == [("ads", line)]
    assert change(running, command, "add", "--group", "ads", *line.split()).err.startswith("tinysnitch: the rule was")
    running.handler.numbers = {RULE: 18}
    assert change(running, command, "move", RULE, "ads") == (
        0,
        f"{RULE}\n",
        "tinysnitch: moved to ads, as rule 18\n",
    )
    assert (running.handler.rules, running.handler.grouped[-1]) == ([], ("ads", RULE))
    running.handler.rules = [RULE]
    assert change(running, command, "move", RULE, "main").err == "tinysnitch: moved to main\n", "it has no number"
    assert running.handler.rules == [RULE]


def test_a_group_is_switched(running: RunningServer, command: Command) -> None:
    assert command("rules", "disable", "ads").out == "ads is off: /etc/tinysnitch.d/ads.rules.off\n"
    assert command("rules", "enable", "ads").out == "ads is on, 1 rule: /etc/tinysnitch.d/ads.rules\n"


def test_what_a_change_wrote_is_told_as_json_too(running: RunningServer, command: Command) -> None:
    def told(*words: str) -> dict[str, object]:
        return json.loads(command.plain("rules", *words).out)  # type: ignore[no-any-return]

    place = ("--socket", str(running.path))
    written = {"rule": "deny a.test - -", "problem": "", "hint": ""}
    assert told("add", *place, "--json", "deny", "a.test", "-", "-") == written
    assert told("--json", "move", *place, "deny a.test - -", "work") == written
    assert told("add", *place, "--json", "deny a.test - -") == written
    assert told("remove", *place, "--json", "deny a.test - -") == written
    group = {"group": "work", "path": "/etc/tinysnitch.d/work.rules.off", "is_on": False, "rules": 0}
    assert told("disable", "work", *place, "--json") == group
    assert told("--json", "enable", *place, "work")["is_on"] is True


def test_what_is_wrong_in_a_file_is_an_object_a_line(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "rules"
    file.write_text("alow - - -\nallow - - -\n")
    code, out, _err = command.plain("rules", "check", "--json", str(file))
    assert (code, json.loads(out)) == (
        1,
        {"source": str(file), "line": 1, "column": 1, "problem": "not a verdict", "hint": "did you mean 'allow'?"},
    )


def test_on_a_terminal_it_is_a_table(running: RunningServer, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    head, first, second = command("rules").out.splitlines()
    assert head.split() == ["rule", "remote", "port", "protocol", "program"]
    assert (first.split()[1], second.split()[-4:]) == ("google.com", ["its", "time", "is", "over"])
