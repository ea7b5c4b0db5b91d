"""`tinysnitch import` prints lines for a group, and refuses what it cannot read. It needs no daemon."""

import json
from pathlib import Path

import pytest

from tests.cli.running import Command
from tinysnitch.cli.main import tinysnitch
from tinysnitch.cli.rules import read_file
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.core.rules.rule_line import parse_rules

OPENSNITCH = {
    "name": "curl",
    "action": "allow",
    "duration": "always",
    "enabled": True,
    "operator": {"type": "simple", "operand": "process.path", "data": "/usr/bin/curl"},
}


def test_a_folder_of_opensnitch(command: Command, tmp_path: Path) -> None:
    (tmp_path / "curl.json").write_text(json.dumps(OPENSNITCH))
    (tmp_path / "off.json").write_text(json.dumps(OPENSNITCH | {"name": "off", "enabled": False}))
    (tmp_path / "notes.txt").write_text("not ours")
    told = command.plain("import", "opensnitch", str(tmp_path))
    assert told.out.splitlines() == [
        f"# from {tmp_path}: 1 of 2 rules",
        "allow - - - /usr/bin/curl  # curl",
        "# not taken over: off: it is switched off",
    ]
    assert told.err == "tinysnitch: 1 of 2 rules did not come over: the last comments say why\n"
    assert told.code == 0
    told = command.plain("import", "opensnitch", "--json", str(tmp_path))
    assert list(map(json.loads, told.out.splitlines())) == [
        {"name": "curl", "rule": "allow - - - /usr/bin/curl", "remarks": []},
        {"name": "off", "rule": None, "remarks": ["it is switched off"]},
    ]
    assert "`remarks` say why" in told.err


def test_files_of_little_snitch_and_ufw(command: Command, tmp_path: Path) -> None:
    (tmp_path / "x").write_text('{"denied-remote-domains": ["ads.test"]}')
    told = command.plain("import", "lsrules", str(tmp_path / "x"))
    assert (told.out.splitlines()[1], told.err) == ("deny *.ads.test - -  # denied-remote-domains", "")
    (tmp_path / "y").write_text("### tuple ### deny tcp 23 0.0.0.0/0 any 10.0.0.0/8 in\n")
    told = command.plain("import", "ufw", str(tmp_path / "y"))
    assert parse_rules(told.out, "y")[1] == []
    assert told.out.splitlines()[1] == "deny 10.0.0.0/8 23 tcp-src  # line 1"


@pytest.mark.parametrize(
    ("words", "problem", "hint"),
    [
        (("opensnitch", "{}"), "there is no JSON file in", "/etc/opensnitchd/rules"),
        (("opensnitch", "{}/none"), "cannot read {}/none: No such file", "name a folder"),
        (("lsrules", "{}/none"), "cannot read {}/none: No such file", "name a file that can be read"),
        (("lsrules", "{}/text"), "error: {}/text:1:1: not JSON", "a file that Little Snitch exported"),
        (("ufw", "{}/text"), "error: {}/text: not a file of ufw's rules", "/etc/ufw/user.rules"),
        (("ufw",), "missing argument 'FILE'", "usually /etc/ufw/user.rules"),
        (("opensnitch",), "missing argument 'DIR'", "usually /etc/opensnitchd/rules"),
        (("lsrules",), "missing argument 'FILE'", "see `tinysnitch import lsrules --help`"),
        (("iptables", "x"), "there is no command 'iptables'", "write one of: lsrules, opensnitch, ufw"),
    ],
)
def test_what_cannot_be_read_is_an_error_with_a_hint(
    command: Command, tmp_path: Path, words: tuple[str, ...], problem: str, hint: str
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "text").write_text("hello\n")
    told = command.plain("import", *(word.format(folder) for word in words))
    assert told.code in (1, 2)
    assert problem.format(folder) in told.err
    assert hint in told.err.partition("hint:")[2]


def test_a_file_that_may_not_be_read_and_a_closed_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x").write_bytes(b"a\xff")
    assert read_file(str(tmp_path / "x"), "name it") == "a\udcff"
    with pytest.raises(SnitchError, match="Is a directory") as refused:
        read_file(str(tmp_path), "name it")
    assert refused.value.hint == "name it"
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(SnitchError, match="standard input is closed"):
        read_file("-", "name it")


def test_the_help_has_the_way_into_a_group() -> None:
    group = tinysnitch.get_command(None, "import")  # type: ignore[arg-type]
    assert group
    assert "tinysnitch rules enable ufw" in (group.epilog or "")
