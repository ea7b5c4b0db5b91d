import json
import time
from collections.abc import Iterator
from datetime import datetime

import click
import pytest

from tests.cli.running import Command
from tests.daemon.requests.small_handler import RunningServer
from tinysnitch.cli.answers.undo import present_change, present_changes, present_undone, undo_command
from tinysnitch.cli.main import tinysnitch
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.core.rules.changes import Act, Change, ChangedRule, Place, TakenBack
from tinysnitch.daemon.control.permissions import Right
from tinysnitch.protocol.messages import ChangedLine, RuleKept, Undone, change_entry
from tinysnitch.view.span import text_of

SECRET = "0mWk3Zq8TxLr5Vb1Nc7H"
SHOP = "deny shop.test 443 tcp /usr/bin/curl"
NOW = time.time()
TODAY = time.strftime("%H:%M:%S", time.localtime(NOW))
CHANGES = [
    Change(number=3, wall_s=86_400.0, uid=4_000_000, act=Act.ADD, rules=(ChangedRule(SHOP, group="work"),)),
    Change(
        number=12,
        wall_s=NOW,
        uid=0,
        act=Act.NO,
        rules=(ChangedRule(f"{SHOP} --token {SECRET}", Place.QUIT), ChangedRule("deny \x1b - -", Place.ONCE)),
        taken_back=TakenBack(4_000_000, 90_000.0),
    ),
    Change(
        number=13,
        wall_s=NOW,
        uid=0,
        act=Act.TIDY,
        rules=(ChangedRule("deny *.test - -"), ChangedRule(SHOP, is_removed=True)),
    ),
    Change(
        number=14,
        wall_s=NOW,
        uid=0,
        act=Act.MOVE,
        rules=(ChangedRule(SHOP), ChangedRule(SHOP, group="work", is_removed=True)),
    ),
]
LINE = ChangedLine(SHOP, Place.FILE)


class SmallUndo:
    taken: list[int | None]

    def __init__(self) -> None:
        self.taken = []

    def list_changes(self, _right: Right) -> list[Change]:
        return CHANGES

    def take_back(self, number: int | None, _right: Right) -> Undone:
        self.taken.append(number)
        if number == 9:
            raise SnitchError("there is no change 9", "see the list")
        return Undone(change=change_entry(CHANGES[0]), removed=(LINE,))


@pytest.fixture
def undo(running: RunningServer) -> Iterator[SmallUndo]:
    small = SmallUndo()
    running.handler._undo = small  # type: ignore[assignment]
    return small


def test_the_command_is_found() -> None:
    assert tinysnitch.get_command(click.Context(tinysnitch), "undo") is undo_command


@pytest.mark.usefixtures("undo")
def test_the_list_has_time_who_what_and_each_line(command: Command) -> None:
    first, second, third, *others = command("undo", "--list").out.splitlines()
    assert first == f"  3  02 Jan    uid 4000000  add     + {SHOP}  # group work"
    assert second.startswith(f" 12  {TODAY}  root         no      + {SHOP} --token")
    assert second.endswith("…'  # until its process ends  # taken back by uid 4000000")
    assert SECRET not in second
    today = datetime.now().astimezone().date().isoformat()
    assert second == next(present_change(change_entry(CHANGES[1]), today, len("uid 4000000")))
    assert third == f"{' ' * 36}+ deny \\x1b - -  # once"
    head = f"  {TODAY}  root         "
    assert others == [
        f" 13{head}tidy    + deny *.test - -",
        f"{' ' * 36}- {SHOP}",
        f" 14{head}move      {SHOP}  # to main",
    ]


def test_on_a_terminal_it_is_a_table_in_which_nothing_is_raw() -> None:
    now = datetime.fromtimestamp(NOW).astimezone()
    table = present_changes([change_entry(change) for change in CHANGES], now)
    rows = [tuple(map(text_of, row)) for row in table.rows]
    hour = TODAY[:5]
    assert rows[0] == ("3", "1970-01-02", "uid 4000000", "add", f"+ {SHOP}", "group work")
    assert rows[1][:4] == ("12", hour, "root", "no")
    assert (SECRET in rows[1][4], rows[1][5]) == (False, "its process, taken back by uid 4000000")
    assert rows[2] == ("", "", "", "", "+ deny \\x1b - -", "once")
    assert [row[4] for row in rows[3:5]] == ["+ deny *.test - -", f"- {SHOP}"]
    assert rows[5][3:] == ("move", f"  {SHOP}", "to main")


@pytest.mark.usefixtures("undo")
def test_json_has_all_of_it_with_times_as_in_the_log(command: Command) -> None:
    _first, change, *_others = map(json.loads, command("undo", "--list", "--json").out.splitlines())
    assert (change["number"], change["act"], change["uid"]) == (12, "no", 0)
    assert (change["taken_back"], change["taken_back_by"]) == ("1970-01-02T01:00:00.000Z", 4_000_000)
    assert change["written"][0] == {"rule": f"{SHOP} --token {SECRET}", "place": "quit", "group": None}
    undone = json.loads(command("undo", "--json").out)
    assert (undone["removed"][0]["rule"], undone["change"]["time"]) == (SHOP, "1970-01-02T00:00:00.000Z")


def test_the_last_one_is_taken_back_or_the_one_with_the_number(undo: SmallUndo, command: Command) -> None:
    assert command("undo") == (0, f"removed   {SHOP}\n", "")
    assert command("undo", "3").code == 0
    assert command("undo", "9") == (
        1,
        "",
        "tinysnitch: error: there is no change 9\ntinysnitch: hint: see the list\n",
    )
    assert undo.taken == [None, 3, 9]
    assert [command("undo", *words).code for words in (("x",), ("-1",), ("3", "--list"))] == [2, 2, 2]


def test_what_is_left_is_told_with_its_reason() -> None:
    undone = Undone(
        change=change_entry(CHANGES[0]),
        put_back=(ChangedLine("a", Place.FILE, "work"),),
        forgotten=(ChangedLine("b", Place.ONCE),),
        kept=(RuleKept("c", "it is not there"),),
    )
    assert list(present_undone(undone)) == [
        "put back  a  # group work",
        "forgotten b  # once",
        "stays     c",
        "          it is not there",
    ]
