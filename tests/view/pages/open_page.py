"""A page of rules as the daemon would fill it, and keys that are typed slowly."""

from tinysnitch.protocol.messages import FromDaemon, ListRules, Mode, ReadStatus, Request, RuleEntry, RuleSource, Status
from tinysnitch.view.pages.list_page import ListPage, Requests
from tinysnitch.view.pages.rules_page import RulesPage
from tinysnitch.view.prompt_events import KeyPressed

LINES = ("allow shop.test 443 tcp /usr/bin/curl", "deny *.ads.test - -", "allow user=0 lan 22 tcp /usr/bin/ssh")
STATUS = Status(
    pid=1, mode=Mode.BPF, netns=1, cgroup="/", rules_file="/r", uptime_s=0.0, rules=3, prompts=0, clients=1,
    hits=0, misses=0,
)  # fmt: skip


def entry_of(line: str, **more: object) -> RuleEntry:
    return RuleEntry(line, **{"source": RuleSource.FILE, **more})  # type: ignore[arg-type]


def rules_page(*entries: RuleEntry) -> RulesPage:
    page = RulesPage()
    page.wall_ahead_s = 1_700_000_000.0
    assert page.open(0.0) == (ListRules(), ReadStatus())
    fill(page, *(entries or map(entry_of, LINES)))
    return page


def fill(page: RulesPage, *entries: RuleEntry) -> None:
    page.take(ListRules(), entries)
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
