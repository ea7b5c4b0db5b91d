import json

import pytest
from msgspec.structs import replace

from tests.cli.running import Command
from tests.daemon.requests.small_handler import HOSTILE, RunningServer, make_prompt
from tinysnitch.core.model.process import UNKNOWN


def test_an_ask_is_two_lines(running: RunningServer, command: Command) -> None:
    running.handler.prompts = {3: make_prompt(3)}
    first, second = command("asks").out.splitlines()
    assert first == "3  tcp 10.0.0.2:40516 -> google.com:80  2 connections wait  52 s left"
    assert second == "   4263 /usr/bin/curl google.com"


def test_a_question_about_one_connection_of_no_known_process(running: RunningServer, command: Command) -> None:
    prompt = make_prompt(3)
    unknown = replace(prompt.connection, attribution=UNKNOWN)
    running.handler.prompts = {3: replace(prompt, connection=unknown, count=1)}
    assert command("asks").out.splitlines() == ["3  tcp 10.0.0.2:40516 -> google.com:80  52 s left", "   unknown"]


def test_another_file_than_the_hosts_is_marked(running: RunningServer, command: Command) -> None:
    running.handler.prompts = {3: make_prompt(3, is_host_file=False)}
    assert command("asks").out.splitlines()[1] == "   4263 /usr/bin/curl (another file) google.com"
    running.handler.prompts = {3: make_prompt(3, program="/usr/bin/curl (another file)", args=())}
    assert command("asks").out.splitlines()[1] == "   4263 '/usr/bin/curl (another file)'"
    running.handler.prompts = {
        3: make_prompt(3, is_host_file=False, args=(), owners=("container:web\n 1", "unit:x.service"))
    }
    assert command("asks").out.splitlines()[1] == r"   4263 /usr/bin/curl (another file, of $'container:web\n 1')"


def test_a_program_of_several_names_has_the_one_it_was_started_by(running: RunningServer, command: Command) -> None:
    running.handler.prompts = {3: make_prompt(3, started_as="/usr/bin/other curl")}
    assert command("asks").out.splitlines()[1] == "   4263 /usr/bin/curl google.com  # started as '/usr/bin/other curl'"


def test_json_has_the_fields_of_the_log(running: RunningServer, command: Command) -> None:
    (line,) = command("asks", "--json").out.splitlines()
    ask = json.loads(line)
    assert line.isascii()
    assert (ask["event"], ask["id"], ask["count"], ask["remaining_s"]) == ("ask", 3, 2, 52.0)
    assert (ask["program"], ask["args"], ask["name"], ask["remote_port"]) == (
        "/usr/bin/curl",
        [HOSTILE],
        "google.com",
        80,
    )


def test_hostile_arguments_stay_in_their_line(running: RunningServer, command: Command) -> None:
    lines = command("asks").out.splitlines()
    assert len(lines) == 2
    assert all(line.isprintable() for line in lines)


def test_nothing_is_open(running: RunningServer, command: Command) -> None:
    running.handler.prompts = {}
    assert command("asks") == (0, "", "tinysnitch: no question is open\n")
    assert command("asks", "--json") == (0, "", "")


def test_a_secret_is_shortened_in_the_list_and_whole_in_json(running: RunningServer, command: Command) -> None:
    running.handler.prompts = {3: make_prompt(3, args=("--token", "0mWk3Zq8TxLr5Vb1Nc7H"))}
    assert command("asks").out.splitlines()[1] == "   4263 /usr/bin/curl --token '0mWk…'"
    assert json.loads(command("asks", "--json").out)["args"] == ["--token", "0mWk3Zq8TxLr5Vb1Nc7H"]


def test_on_a_terminal_it_is_a_table_below_what_answers(
    running: RunningServer, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tinysnitch.output.tables.os.isatty", lambda _fd: True)
    monkeypatch.setenv("COLUMNS", "80")
    told, blank, head, row = command("asks").out.splitlines()
    assert (told, blank) == ("1 question is open; `tinysnitch answer ID yes` (or `no`) answers one", "")
    assert head.split() == ["program", "remote", "port", "waiting", "left"]
    assert row.split()[-7:] == ["→", "google.com", "80", "tcp", "2", "52", "s"]
