"""Rules files of 2019 with four and with six columns, and what `rules check` says of broken lines."""

import json
from pathlib import Path

import pytest

from tests.lab.daemon import BIN
from tests.lab.lab import DNS_RULE, Lab

pytestmark = [pytest.mark.privileged]

FOUR_COLUMNS = """\
# rules of 2019: verdict, remote, port, protocol
allow shop.test      80   tcp
deny  *.doubleclick.net - tcp
allow 10.77.*.*      53   udp
deny  -              23   tcp
"""
SIX_COLUMNS = """\
allow shop.test      80   tcp /usr/bin/curl -4 -sS http://shop.test/
deny  shop.test      80   tcp /usr/bin/wget -
allow 10.77.0.1      53   udp - -
allow 192.168.1.1    8000 tcp-src /usr/bin/python3.7 -m http.server
"""
CURL = ["curl", "-4", "-sS", "http://shop.test/"]
BROKEN = {  # the line, and the column at which it is wrong
    "alow shop.test 80 tcp": 1,
    "allow shop.test eighty tcp": 17,
    "allow shop.test 80 tpc": 20,
    "allow 10.0.0.0/33 80 tcp": 7,
    "allow user= - - -": 7,
    "allow shop.test 80 tcp '/usr/bin/curl": 24,
}


def test_four_columns_load_unchanged(lab: Lab) -> None:
    daemon = lab.start_daemon(FOUR_COLUMNS)
    assert daemon.records("rules")[0]["errors"] == []
    assert lab.run(CURL).returncode == 0
    assert daemon.read_rules() == FOUR_COLUMNS


def test_six_columns_load_unchanged(lab: Lab) -> None:
    daemon = lab.start_daemon(SIX_COLUMNS)
    assert daemon.records("rules")[0]["errors"] == []
    assert lab.run(CURL).returncode == 0
    assert lab.run(["wget", "-4", "-q", "-t1", "-O-", "http://shop.test/"]).returncode == 4
    assert daemon.read_rules() == SIX_COLUMNS


def test_check_accepts_both(tmp_path: Path, lab: Lab) -> None:
    for number, text in enumerate((FOUR_COLUMNS, SIX_COLUMNS)):
        rules = tmp_path / f"rules-{number}"
        rules.write_text(text)
        checked = lab.run([str(BIN / "tinysnitch"), "rules", "check", str(rules)])
        assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("line", BROKEN)
def test_check_names_file_line_column_and_a_hint(tmp_path: Path, lab: Lab, line: str) -> None:
    rules = tmp_path / "rules"
    rules.write_text(f"allow - - -\n{line}\n")
    checked = lab.run([str(BIN / "tinysnitch"), "rules", "check", str(rules)])
    assert checked.returncode == 1
    told = checked.stdout + checked.stderr
    assert f"{rules}:2:{BROKEN[line]}: " in told
    assert "hint: " in told


def test_add_and_remove_edit_the_file(lab: Lab) -> None:
    daemon = lab.start_daemon("# mine\n" + DNS_RULE)
    line = "allow shop.test 80 tcp /usr/bin/curl"
    assert daemon.cli("rules", "add", line).returncode == 0
    assert lab.run(CURL).returncode == 0
    listed = [json.loads(row) for row in daemon.cli("rules", "list", "--json").stdout.splitlines()]
    assert [entry["rule"].split() for entry in listed] == [DNS_RULE.split(), line.split()]
    assert daemon.cli("rules", "remove", line).returncode == 0
    assert daemon.read_rules() == "# mine\n" + DNS_RULE
    assert daemon.cli("rules", "remove", line).returncode == 1
