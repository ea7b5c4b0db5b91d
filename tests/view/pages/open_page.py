"""A page of rules as the daemon would fill it, and keys that are typed slowly."""

from datetime import UTC, datetime

from tinysnitch.core.rules.changes import Act, Place
from tinysnitch.protocol.messages import (
    ChangedLine,
    ChangeEntry,
    FromDaemon,
    ListChanges,
    ListRules,
    Mode,
    ReadStatus,
    Request,
    RuleEntry,
    RuleSource,
    Status,
)
from tinysnitch.view.pages.list_page import ListPage, Requests
from tinysnitch.view.pages.rules_page import RulesPage
from tinysnitch.view.prompt_events import KeyPressed

LINES = ("allow shop.test 443 tcp /usr/bin/curl", "deny *.ads.test - -", "allow user=0 lan 22 tcp /usr/bin/ssh")
READ = (ListRules(is_used=True), ReadStatus(), ListChanges())
WALL_S = 1_700_000_000.0  # when the clock of keys is 0
NOW = datetime.fromtimestamp(WALL_S, UTC)  # 14 November, 22:13
STATUS = Status(
    pid=1, mode=Mode.BPF, netns=1, cgroup="/", rules_file="/r", uptime_s=0.0, rules=3, prompts=0, clients=1,
    hits=0, misses=0,
)  # fmt: skip


def entry_of(line: str, **more: object) -> RuleEntry:
    return RuleEntry(line, **{"source": RuleSource.FILE, **more})  # type: ignore[arg-type]


def change_of(number: int, *written: str, removed: tuple[str, ...] = (), **more: object) -> ChangeEntry:
    """What the person did 100 s before the clock of keys began, unless `more` says otherwise."""
    lines = [tuple(ChangedLine(line, Place.FILE) for line in each) for each in (written, removed)]
    fields = {"time": WALL_S - 100, "uid": 1000, "act": Act.NO, "written": lines[0], "removed": lines[1], **more}
    return ChangeEntry(number=number, **fields)  # type: ignore[arg-type]


def rules_page(*entries: RuleEntry) -> RulesPage:
    page = RulesPage()
    page.wall_ahead_s, page.own_uid = WALL_S, 1000
    assert page.open(0.0) == READ
    fill(page, *(entries or map(entry_of, LINES)))
    return page


def fill(page: RulesPage, *entries: RuleEntry) -> None:
    page.take(READ[0], entries)
    page.take(ReadStatus(), (STATUS,))


def press(page: ListPage, *keys: str, start_s: float = 10.0) -> Requests:
    """The requests of the last key; each is typed a second after the one before."""
    requests: Requests = ()
    for second, key in enumerate(keys):
        requests = page.press(KeyPressed(key), start_s + second)
    return requests


def done(page: ListPage, requests: Requests, *replies: FromDaemon) -> list[Request]:
    """Each is carried out; what the page asks for then."""
    return [more for request in requests for more in page.take(request, replies)]
