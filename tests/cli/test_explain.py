import errno
import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest

from tests.cli.running import Command
from tests.daemon.requests.small_handler import RunningServer
from tinysnitch.cli.explain import present_explanation
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.daemon.control.permissions import Right
from tinysnitch.protocol.messages import BeatenRule, Explain, Explanation


def test_the_winner_and_what_it_beats(running: RunningServer, command: Command) -> None:
    told = command("explain", "/usr/bin/curl", "google.com", "443", "tcp")
    assert told.out == (
        "allow: by a rule\n  allow google.com 443\n  it never decided yet\n"
        "beats  deny - - -\n       the winner is narrower\n"
    )


def test_a_program_that_is_not_there_is_told(running: RunningServer, command: Command) -> None:
    words = ("google.com", "443", "tcp")
    assert command("explain", "/no/such/file", *words).err == "tinysnitch: there is no file /no/such/file\n"
    assert (command("explain", "/bin/sh", *words).err, command("explain", "kernel", *words).err) == ("", "")


def test_a_program_has_its_whole_path(running: RunningServer, command: Command) -> None:
    told = command("explain", "sh -c", "google.com", "443", "tcp")
    sh = shutil.which("sh")
    assert (told.code, told.err) == (
        2,
        f"tinysnitch: error: 'sh -c' is not a path\ntinysnitch: hint: did you mean {sh}?\n",
    )


def test_a_pipe_is_not_waited_for(running: RunningServer, command: Command, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert command("explain", str(pipe), "google.com", "443", "tcp").code == 0


def test_a_protocol_without_ports(running: RunningServer, command: Command) -> None:
    assert "allow 10.0.0.5 0\n" in command("explain", "kernel", "10.0.0.5", "-", "icmp").out


@pytest.mark.parametrize(
    ("words", "name"),
    [(("X", "", "443", "tcp"), "REMOTE"), (("X", "a b", "443", "tcp"), "REMOTE"), (("X", "a", "-", "#"), "PROTOCOL")],
)
def test_a_column_is_one_word(running: RunningServer, command: Command, words: tuple[str, ...], name: str) -> None:
    code, out, err = command("explain", *words)
    assert (code, out) == (2, "")
    assert err.startswith(f"tinysnitch: error: invalid value for '{name}': ")
    assert "is not a single word, as a column of a rule is" in err
    assert command("explain", "X", "'a", "443", "tcp").code == 0  # the daemon says what is wrong with it


def test_what_nearly_matches_is_not_beaten() -> None:
    beaten = (BeatenRule("allow - - - /bin/a -s", "it would match with these arguments"),)
    told = present_explanation(Explanation(verdict=Verdict.ASK, reason="no rule matches", beaten=beaten))
    assert list(told) == [
        "ask: no rule matches",
        "misses allow - - - /bin/a -s",
        "       it would match with these arguments",
    ]


def test_what_would_decide_on_an_interface_is_told_beside() -> None:
    elsewhere = (BeatenRule("deny iface=eth0 - - -", "it would decide on eth0", "work", 7),)
    explanation = Explanation(
        verdict=Verdict.ALLOW, reason="by a rule", rule="allow - - -", number=6, elsewhere=elsewhere
    )
    assert list(present_explanation(explanation)) == [
        "allow: by a rule",
        "  allow - - -  # 6",
        "  it never decided yet",
        "unless deny iface=eth0 - - -  # 7, group work",
        "       it would decide on eth0",
    ]


def test_the_help_says_what_is_taken_for_granted(command: Command) -> None:
    said = " ".join(command.plain("explain", "--help").out.split())
    assert "assumed to have no parents, and to run as root" in said


def test_json_has_the_verdict_and_what_is_beaten(running: RunningServer, command: Command) -> None:
    told = json.loads(command("explain", "kernel", "10.0.0.5", "-", "icmp", "--json").out)
    assert (told["verdict"], told["beaten"]) == (
        "allow",
        [{"rule": "deny - - -", "why": "the winner is narrower", "group": None, "number": None}],
    )


def test_the_sum_of_the_file_goes_with_the_question(
    running: RunningServer, command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[str | None] = []
    explain = running.handler.explain

    def note(question: Explain, right: Right) -> Explanation:
        asked.append(question.sha256 if question.is_sha256_told else "not told")
        return explain(question, right)

    monkeypatch.setattr(running.handler, "explain", note)
    (tmp_path / "binary").write_bytes(b"\x7fELF")
    (tmp_path / "script").write_text("#!/bin/sh\n")
    (tmp_path / "kernel").mkdir()
    monkeypatch.chdir(tmp_path)
    words = ("10.0.0.5", "80", "tcp")
    for program in (f"'{tmp_path}/binary' -x", f"{tmp_path}/script", "/no/such/file", "kernel"):
        assert "cannot be read" not in command("explain", program, *words).err
    assert asked == [hashlib.sha256(b"\x7fELF").hexdigest(), None, None, None]

    def fail(*_words: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(hashlib, "file_digest", fail)
    for program in (f"{tmp_path}", f"{tmp_path}/binary"):
        assert f"{program} cannot be read" in command("explain", program, *words).err
    assert asked[4:] == ["not told", "not told"]


def test_the_blanks_of_a_path_that_is_there_are_its_own(
    running: RunningServer, command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[str] = []
    explain = running.handler.explain

    def note(question: Explain, right: Right) -> Explanation:
        asked.append(question.program)
        return explain(question, right)

    monkeypatch.setattr(running.handler, "explain", note)
    (tmp_path / "my prog").touch()
    command("explain", f"{tmp_path}/my prog", "10.0.0.5", "80", "tcp")
    assert "there is no file /no\n" in command("explain", "/no prog", "10.0.0.5", "80", "tcp").err
    assert asked == [f"'{tmp_path}/my prog'", "/no prog"]
