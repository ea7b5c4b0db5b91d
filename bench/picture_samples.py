"""What the pictures of pages and commands show: one machine on an afternoon, the same each time."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec

from tests.daemon.requests.small_handler import make_connection
from tests.view.history.test_history_view import make_line
from tests.view.live.sample_traffic import FIREFOX, SSHD
from tests.view.pages.open_page import entry_of
from tinysnitch.core.engine.records import (
    ConnectionDecided,
    LossCounted,
    ModeChanged,
    PromptAnswered,
    Record,
    RulesReplaced,
)
from tinysnitch.core.model.flow import Direction
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.decision import Decision
from tinysnitch.core.prompts.prompt import Prompt
from tinysnitch.core.rules.changes import Act, Change, ChangedRule, Place, TakenBack
from tinysnitch.core.rules.list_entries import BadLine
from tinysnitch.core.rules.rule_line import parse_rule
from tinysnitch.core.traffic.asked_names import AskedName, AskingProgram, NamesTotal
from tinysnitch.core.traffic.queries import TrafficLine, TrafficTotal
from tinysnitch.protocol.framing import encode_object
from tinysnitch.protocol.log_lines import log_line_of
from tinysnitch.protocol.messages import ListEntry, ListState, RuleEntry, RuleGroup, RuleSource
from tinysnitch.qt.demo import SAMPLES, sample_prompt

NOW = datetime(2026, 12, 2, 20, 40, 17, tzinfo=UTC)
NOW_S = NOW.timestamp()
USERS = {0: "root", 1000: "alice", 1001: "bob"}
CHROMIUM = "/usr/lib/chromium/chromium"
TALKERS = [  # program, name, port, bytes a second in, and out
    (FIREFOX, "cdn.shop.test", 443, 9e5, 4e4),
    (FIREFOX, "img.shop.test", 443, 3e5, 2e4),
    (FIREFOX, "fonts.type.test", 443, 2e4, 900),
    (FIREFOX, "t.ads.test", 443, 0, 0),
    ("/usr/bin/git", "github.com", 22, 6e4, 1e5),
    ("/usr/bin/apt", "deb.mirror.test", 80, 2e6, 3e4),
    ("/usr/bin/curl", "shop.test", 443, 3000, 300),
    (SSHD, None, 22, 900, 4000),
    ("/usr/bin/python3.13", "api.weather.test", 443, 1200, 400),
    ("/opt/zoom/zoom", "a.very.long.name.of.media.zoom.test", 8801, 3e5, 2e5),
    ("/usr/lib/systemd/systemd-timesyncd", "2.pool.ntp.test", 123, 90, 90),
]


def used(number: int, count: int, hours: float, line: str, **more: object) -> RuleEntry:
    """A rule that decided so often, the last time so many hours ago."""
    return entry_of(line, number=number, count=count, last=NOW_S - 3600 * hours if count else None, **more)


GROUPS = (RuleGroup("work", "/etc/tinysnitch.d/work.rules", is_on=True, rules=2),)
RULES = [
    used(1, 48_210, 0.1, "allow @resolvers 53 udp"),
    used(2, 12_034, 0.3, f"allow - 443 tcp {FIREFOX}"),
    used(3, 1892, 1, "deny *.ads.test - -", note="by alice 2026-12-01 no ads"),
    used(5, 7, 12 * 24, "allow lan 22 tcp-src /usr/sbin/sshd"),
    used(6, 0, 0, "ask - - - unknown"),
    used(9, 96, 2, "allow user=1000 api.weather.test 443 tcp /usr/bin/python3.13 /home/alice/bin/weather.py"),
    used(10, 0, 0, "deny - 25 tcp"),
    used(12, 31, 150, "allow cdn.shop.test 443 tcp /usr/bin/curl", note="by alice 2026-11-24"),
    used(13, 12, 171, "allow api.shop.test 443 tcp /usr/bin/curl", note="by alice 2026-11-25"),
    used(14, 2, 190, "allow img.shop.test 443 tcp /usr/bin/curl", note="by alice 2026-11-24"),
    used(21, 1, 0.2, "allow shop.test 443 tcp /usr/bin/curl", source=RuleSource.TEMPORARY, until=NOW_S + 400),
    used(22, 3, 0.4, "deny x.test - - /opt/zoom/zoom", source=RuleSource.QUIT, pid=4711),
    used(15, 412, 30, "allow github.com 22 tcp /usr/bin/git", group="work", note="by bob 2026-10-07"),
    used(16, 64, 5, "allow git.work.test 443 tcp /usr/bin/git", group="work", note="by bob 2026-10-07 the shop"),
]
LEARNED = [  # lines, since when, how often
    ("allow packages.npm.test 443 tcp /usr/bin/node", "pause since 2026-12-02T18:05:11Z", 211),
    ("allow cdn.npm.test 443 tcp /usr/bin/node", "pause since 2026-12-02T18:05:11Z", 34),
    ("allow deb.mirror.test 80 tcp /usr/lib/apt/methods/http", "learn since 2026-12-02T12:20:03Z", 18),
    ("allow t.ads.test 443 tcp /usr/bin/node", "pause since 2026-12-02T18:05:11Z", 2),
]
STATUS = {
    "prompts": 3,
    "prompt_clients": 2,
    "rules": len(RULES),
    "hits": 182_422,
    "misses": 907,
    "tables": {"flows": 120, "verdicts": 38, "listening ports": 12, "conversations": 4, "processes": 212},
    "losses": {"history rows": 4, "log lines": 0, "names not learned": 0},
    "rules_file": "/etc/tinysnitch.rules",
    "uptime_s": 273_660.0,
    "asking": Verdict.ALLOW,
    "asking_left_s": 512.0,
    "learned_rules": "/var/lib/tinysnitch/learned.rules",
}


def _changed(line: str, place: Place = Place.FILE, **more: object) -> ChangedRule:
    return ChangedRule(line, place, **more)  # type: ignore[arg-type]


def _change(number: int, hours: float, uid: int, act: Act, *rules: ChangedRule, back: float | None = None) -> Change:
    taken_back = None if back is None else TakenBack(uid, NOW_S - 3600 * back)
    return Change(number=number, wall_s=NOW_S - 3600 * hours, uid=uid, act=act, rules=rules, taken_back=taken_back)


CHANGES = [
    _change(31, 200, 1001, Act.ADD, _changed("allow git.work.test 443 tcp /usr/bin/git", group="work")),
    _change(32, 171, 1000, Act.YES, _changed("allow api.shop.test 443 tcp /usr/bin/curl")),
    _change(33, 26, 1000, Act.NO, _changed("deny metrics.shop.test 443 tcp /usr/bin/curl"), back=25.9),
    _change(34, 5, 0, Act.REMOVE, _changed("allow - 25 tcp", is_removed=True)),
    _change(35, 4.9, 0, Act.ADD, _changed("deny - 25 tcp")),
    _change(
        36,
        2.1,
        1000,
        Act.TIDY,
        _changed("allow *.mirror.test 80 tcp /usr/bin/apt"),
        _changed("allow deb.mirror.test 80 tcp /usr/bin/apt", is_removed=True),
        _changed("allow sec.mirror.test 80 tcp /usr/bin/apt", is_removed=True),
    ),
    _change(37, 0.4, 1000, Act.NO, _changed("deny x.test - - /opt/zoom/zoom", Place.QUIT)),
    _change(38, 0.2, 1000, Act.YES, _changed("allow shop.test 443 tcp /usr/bin/curl", Place.TEMPORARY)),
]


def _decided(
    seconds: float, verdict: Verdict, program: str, remote: str, port: int, rule: str = "", **more: object
) -> ConnectionDecided:
    """A connection that was decided so many seconds ago, by a rule or for a reason."""
    connection = make_connection(program=program, args=())
    flow = msgspec.structs.replace(connection.flow, remote_port=port, **more)
    found = parse_rule(rule) if rule else None
    reason = "a rule matches" if found else "no answer within 60 s"
    named = msgspec.structs.replace(connection, name=remote, flow=flow)
    decision = Decision(verdict=verdict, reason=reason, rule=found)
    return ConnectionDecided(named, decision, wall_s=NOW_S - seconds, is_cached=False)


_RECORDS: list[Record] = [
    RulesReplaced(14, (), wall_s=NOW_S - 94_000),
    _decided(90_100, Verdict.ALLOW, "/usr/bin/git", "github.com", 22, "allow github.com 22 tcp /usr/bin/git"),
    _decided(4000, Verdict.ALLOW, FIREFOX, "cdn.shop.test", 443, f"allow - 443 tcp {FIREFOX}"),
    _decided(3999, Verdict.DENY, FIREFOX, "t.ads.test", 443, "deny *.ads.test - -"),
    _decided(2100, Verdict.DENY, "/opt/zoom/zoom", "a.very.long.name.of.media.zoom.test", 8801),
    _decided(
        1800,
        Verdict.ALLOW,
        SSHD,
        "laptop.lan",
        40516,
        "allow lan 22 tcp-src /usr/sbin/sshd",
        direction=Direction.INBOUND,
        local_port=22,
    ),
    LossCounted("history rows", 4, wall_s=NOW_S - 1700),
    PromptAnswered(7, "allow shop.test 443 tcp /usr/bin/curl", 1000, wall_s=NOW_S - 600),
    _decided(600, Verdict.ALLOW, "/usr/bin/curl", "shop.test", 443, "allow shop.test 443 tcp /usr/bin/curl"),
    ModeChanged(Verdict.ALLOW, NOW_S + 512, 1000, wall_s=NOW_S - 88),
]
LOG = [encode_object(log_line_of(record)) for record in _RECORDS]


def _asking(prompt_id: int, sample: str, left_s: float, count: int = 1) -> Prompt:
    prompt = sample_prompt(prompt_id, SAMPLES[sample], count)
    return msgspec.structs.replace(prompt, remaining_s=left_s)


_ASKING = (_asking(7, "question", 52.0), _asking(8, "warnings", 12.0, 3), _asking(9, "inbound", 171.0))
PROMPTS = {prompt.prompt_id: prompt for prompt in _ASKING}
_LISTS = Path("/etc/tinysnitch.d/lists")
LISTS = [
    ListEntry(
        list="ads",
        path=str(_LISTS / "ads"),
        rules=1,
        state=ListState.LOADED,
        names=102_412,
        bad_lines=2,
        bad_examples=(BadLine(7, "0.0.0.0 ads test"), BadLine(9001, "||ads.test^$third-party")),
        updated=NOW_S - 9 * 3600,
        source="https://lists.test/ads.txt",
    ),
    ListEntry(
        list="office",
        path=str(_LISTS / "office"),
        rules=2,
        state=ListState.LOADED,
        networks=12,
        addresses=3,
        updated=NOW_S - 171 * 86400,
    ),
    ListEntry(list="trackers", path=str(_LISTS / "trackers"), rules=1, state=ListState.MISSING),
]


def past() -> list[TrafficLine]:
    """A line for each program."""
    return [
        make_line(
            program,
            12 * (8 - number) ** 3,
            received=int(rate_in * 900),
            sent=int(rate_out * 900),
            denied=40 if program == FIREFOX else 0,
            inbound=12 * (8 - number) ** 3 if program == SSHD else 0,
            last_s=NOW_S - 600 * number,
        )
        for number, (program, _name, _port, rate_in, rate_out) in enumerate(TALKERS[3:])
    ]


_DOMAINS = [  # and how many connections of how many were denied, megabytes in and out, hours since the last
    ("shop.test", 4210, 0, 918.0, 31.0, 0.1),
    ("mirror.test", 1880, 0, 2310.0, 8.2, 1.0),
    ("github.com", 1204, 0, 74.0, 121.0, 0.3),
    ("ads.test", 918, 918, 0.0, 0.0, 0.2),
    ("news.test", 644, 0, 61.0, 2.9, 0.7),
    ("type.test", 402, 0, 22.0, 0.8, 0.7),
    ("zoom.test", 96, 3, 1210.0, 870.0, 30.0),
    ("", 61, 4, 0.4, 1.9, 2.0),
    ("weather.test", 48, 0, 0.3, 0.1, 0.4),
    ("metrics.example", 31, 31, 0.0, 0.0, 3.0),
    ("ntp.test", 12, 0, 0.001, 0.001, 5.0),
]


def domains() -> list[TrafficLine]:
    return [
        make_line(
            domain,
            connections,
            denied=denied,
            received=int(mb_in * 1e6),
            sent=int(mb_out * 1e6),
            last_s=NOW_S - 3600 * hours,
        )
        for domain, connections, denied, mb_in, mb_out, hours in _DOMAINS
    ]


def total_of(lines: list[TrafficLine]) -> TrafficTotal:
    return TrafficTotal(
        len(lines),
        sum(line.connections for line in lines),
        sum(line.denied for line in lines),
        sum(line.received for line in lines),
        sum(line.sent for line in lines),
    )


ASKING = [
    AskingProgram(
        program=program,
        questions=questions,
        names=names,
        domains=domains,
        used=use,
        denied=denied,
        first_s=NOW_S - 40_000,
        last_s=NOW_S - 60 * minutes,
    )
    for program, questions, names, domains, use, denied, minutes in (
        (CHROMIUM, 1204, 318, 97, 201, 44, 1),
        (FIREFOX, 866, 240, 81, 150, 31, 12),
        ("/usr/lib/apt/methods/http", 48, 4, 2, 3, 0, 63),
        ("/usr/bin/git", 31, 2, 2, 2, 0, 20),
        ("/opt/zoom/zoom", 28, 9, 3, 4, 2, 300),
        ("/usr/bin/python3.13", 24, 1, 1, 1, 0, 25),
        ("/usr/lib/systemd/systemd-timesyncd", 8, 4, 1, 1, 0, 310),
        ("/usr/bin/curl", 3, 2, 1, 2, 0, 14),
        ("/usr/bin/gnome-shell", 2, 1, 1, 0, 0, 500),
    )
]
ASKING_TOTAL = NamesTotal(len(ASKING), sum(each.questions for each in ASKING), sum(each.names for each in ASKING), 163)
_PAGE = [  # the names of a page, the seconds after its beginning, and what became of them
    ("news.test", 0.0, "used"),
    ("www.news.test", 0.1, "used"),
    ("static.news.test", 0.4, "used"),
    ("img1.news.test", 0.4, "used"),
    ("img2.news.test", 0.4, "used"),
    ("fonts.type.test", 0.5, "used"),
    ("cdn.jsdist.test", 0.5, "used"),
    ("a.ads.test", 0.9, "denied"),
    ("b.ads.test", 0.9, "denied"),
    ("sync.ads.test", 1.2, "denied"),
    ("pixel.metrics.example", 1.2, "denied"),
    ("beacon.eu-west-1.collector.metrics.example", 1.3, "denied"),
    ("consent.cookies.test", 1.4, "used"),
    ("video.news.test", 2.1, ""),
    ("live.video-cdn.test", 2.1, "used"),
    ("comments.talk.test", 2.6, ""),
    ("avatars.talk.test", 2.6, ""),
    ("weather.test", 2.9, "used"),
    ("api.weather.test", 3.0, "used"),
    ("push.browser.test", 3.3, "used"),
]


def _load(load: int, ago_s: float, page: list[tuple[str, float, str]]) -> list[AskedName]:
    return [
        AskedName(
            load=load,
            at_s=NOW_S - ago_s + after_s,
            program=CHROMIUM,
            name=name,
            domain=".".join(name.split(".")[-2:]),
            questions=4 if name == "www.news.test" else 2,
            is_used=then == "used",
            is_denied=then == "denied",
        )
        for name, after_s, then in page
    ]


ASKED = _load(0, 97, _PAGE)
ASKED_TOTAL = NamesTotal(1, sum(each.questions for each in ASKED), len(ASKED), len({each.domain for each in ASKED}))
