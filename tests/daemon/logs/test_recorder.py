""""""

import asyncio
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.core.engine.transcript import CURL, SHOP, flow_of, inbound, whose
from tests.daemon.loop import driver_place
from tinysnitch.core.engine.events import PacketQueued
from tinysnitch.core.engine.records import (
    ConnectionDecided,
    LossCounted,
    PromptAnswered,
    Record,
    RulesReplaced,
    ServerNameRead,
    uid_told_of,
)
from tinysnitch.core.model.asking_mode import begin_mode
from tinysnitch.core.model.clock import Instant
from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.errors import RuleSyntaxError
from tinysnitch.core.model.process import KERNEL, NOT_LISTENING, Attribution
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.decision import Decision, let_pass
from tinysnitch.core.rules.learned_line import split_learned
from tinysnitch.daemon.logs.history_quota import HistoryQuota, Share
from tinysnitch.daemon.logs.log_output import LogOutput
from tinysnitch.daemon.logs.recorder import Recorder
from tinysnitch.daemon.options import LogFormat
from tinysnitch.protocol.log_lines import ReadyLine
from tinysnitch.protocol.messages import Mode
from tinysnitch.store import history
from tinysnitch.store.history import History
from tinysnitch.store.learned_rules import CROWD, LearnedRules

ANSWER = PromptAnswered(7, "allow \udcff - -", 1000, 1.5)
LOSS = LossCounted("packets", 3, 2.5)
NOW = Instant(10.0, 10.0)
READY = ReadyLine(time="1970-01-01T00:00:01.000Z", pid=1, mode=Mode.BPF, netns=4, rules=0, socket="/s", cgroup="/c")


class Place:
    def __init__(self, folder: Path, log_format: LogFormat) -> None:
        self._path = folder / "log"
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT)
        self.log, self.history = LogOutput(descriptor), History(folder / "history")
        os.close(descriptor)
        self.learned = LearnedRules(folder / "learned")
        self.recorder = Recorder(self.log, log_format, self.history, self.learned)

    def begin(self) -> None:
        self.recorder.begin(READY)

    def record(self, *records: Record) -> list[bytes]:
        lines = [self.recorder.record(record, uid_told_of(record), NOW) for record in records]
        self.recorder.flush(NOW)
        return lines

    def read_log(self) -> list[bytes]:
        return self._path.read_bytes().splitlines()

    def close(self) -> None:
        self.log.close()
        self.history.close()


@pytest.fixture
def place(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Place]:
    with closing(Place(tmp_path, getattr(request, "param", LogFormat.JSON))) as made:
        yield made


def test_log_history_and_followers_get_the_same_lines(place: Place) -> None:
    place.begin()
    lines = place.record(ANSWER, LOSS)
    assert place.read_log()[1:] == lines
    deadline_s = place.recorder.due_s
    assert deadline_s is not None
    place.recorder.flush(Instant(deadline_s, deadline_s))
    assert sorted(place.history.read_newest(10)) == sorted(lines)
    assert place.recorder.due_s is None


@pytest.mark.parametrize("place", [LogFormat.TEXT], indirect=True)
def test_the_text_log_is_for_people_and_the_history_stays_json(place: Place) -> None:
    place.begin()
    (line,) = place.record(ANSWER)
    _ready, text = place.read_log()
    assert line.startswith(b"{")
    assert not text.startswith(b"{")
    assert b"\\udcff" in text


def test_the_log_begins_with_the_ready_line(place: Place) -> None:
    before = LossCounted("packets", 3, 0.25)
    (early,) = place.record(before)
    assert place.read_log() == []
    place.begin()
    (late,) = place.record(ANSWER)
    ready, told, last = place.read_log()
    assert b'"event":"ready"' in ready
    assert told == early.replace(b"00.250Z", b"01.000Z"), "its time is the ready line's: times never go back"
    assert last == late


@pytest.mark.parametrize("place", [LogFormat.TEXT], indirect=True)
def test_what_json_has_no_field_for_is_in_the_text_log(place: Place) -> None:
    place.recorder.begin(READY, "observing")
    (line,) = place.record(RulesReplaced(2, (RuleSyntaxError("/r", 1, 2, "no port", "write one"),), 1.5))
    ready, text = place.read_log()
    assert ready.endswith(b", observing")
    assert all(b"/r:1:2: no port (hint: write one)" in each for each in (text, line))


def test_losses_are_told_apart(place: Place) -> None:
    place.log.lost, place.history.lost, place.learned.lost = 2, 5, 4
    assert place.recorder.losses() == {"log lines": 2, "history rows": 5, "learned rules": 4}


def test_a_port_scan_is_in_the_log_and_pushes_nothing_out_of_the_history(place: Place) -> None:
    place.begin()
    decision = Decision(verdict=Verdict.DENY, reason="no program listens on this port")
    scanned = ConnectionDecided(Connection(flow=inbound(), attribution=NOT_LISTENING), decision, False, 1.5)
    burst = Share.CLOSED_PORTS.burst
    place.record(*[scanned] * (burst + 7), ANSWER)
    assert len(place.read_log()) == 1 + burst + 8
    assert len(list(place.history.read_newest(1000))) == burst + 1
    assert place.recorder.not_kept()["packets to ports that no program listens on, in the log alone"] == 7


CODE = "get('https://shop.test/?token=0mWk3Zq8TxLr5Vb1Nc7H')"
RULED = Decision(verdict=Verdict.ALLOW, reason="allowed by a rule")
ASKED = Decision(verdict=Verdict.ASK, reason="no rule matches")
LEARNED = let_pass(ASKED)


def decided(decision: Decision, who: Attribution, remote: str = SHOP) -> ConnectionDecided:
    return ConnectionDecided(Connection(flow=flow_of(remote=remote), attribution=who), decision, False, 1.5)


def test_what_observing_let_pass_is_a_rule_where_a_rule_can_speak_of_it(place: Place) -> None:
    other_file = whose(9, "/tmp/x", is_host_file=False)
    place.record(decided(LEARNED, CURL), decided(LEARNED, other_file), decided(RULED, CURL, "10.0.0.9"))
    place.record(decided(LEARNED, KERNEL), decided(LEARNED, CURL))
    header, *rules = (place.learned.path).read_text().splitlines()
    note = "# learn since 1970-01-01T00:00:01Z"
    assert rules == [f"allow {SHOP} 443 tcp /usr/bin/curl () {note}", f"allow {SHOP} 443 tcp kernel {note}"]
    assert header.startswith("# ")


def test_no_rule_with_a_secret_is_learned(place: Place) -> None:
    place.record(*(decided(LEARNED, whose(9, "/usr/bin/python3", args=("-c", code))) for code in (CODE, "pass")))
    assert learned_in(place) == [f"allow {SHOP} 443 tcp /usr/bin/python3 -c pass"]


def learned_in(place: Place) -> list[str]:
    return [split_learned(line)[0] for line in place.learned.path.read_text().splitlines()[1:]]


def test_what_passed_in_a_pause_says_so(place: Place) -> None:
    paused = let_pass(ASKED, begin_mode(Verdict.ALLOW, 600.0, NOW))
    place.record(decided(paused, CURL), decided(let_pass(ASKED, begin_mode(Verdict.ALLOW, None, NOW)), KERNEL))
    notes = [split_learned(line)[1] for line in place.learned.path.read_text().splitlines()[1:]]
    assert notes == ["pause since 1970-01-01T00:00:01Z"] * 2


def test_what_the_log_lets_pass_is_listed_though_the_daemon_is_killed(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(place.log, "flush", killed)
    with pytest.raises(KeyboardInterrupt):
        place.record(decided(LEARNED, KERNEL))
    assert learned_in(place) == [f"allow {SHOP} 443 tcp kernel"]


def test_who_visits_a_server_is_one_rule_in_the_end(place: Place) -> None:
    place.record(*(decided(LEARNED, CURL, f"10.0.1.{number}") for number in range(CROWD + 2)))
    assert learned_in(place)[-1] == "allow - 443 tcp /usr/bin/curl ()"


def test_the_history_is_written_though_nothing_more_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "FLUSH_AFTER_S", 0.5)  # if shorter, it might be due before we look

    async def run() -> None:
        with closing(driver_place.Place(tmp_path, "allow - - -\n")) as place:
            place.driver.feed(PacketQueued(1, flow_of(1), whose()))
            assert place.ports.recorder.due_s is not None
            await driver_place.until(lambda: place.ports.recorder.due_s is None)

    asyncio.run(run())


DENIED = Decision(verdict=Verdict.DENY, reason="no program listens on this port")
ALLOWED = Decision(verdict=Verdict.ALLOW, reason="allowed by a rule")
NO_ROOM = Decision(verdict=Verdict.DENY, reason="too many open questions", is_turned_away=True)
TO_NOBODY = ConnectionDecided(Connection(flow=inbound(), attribution=NOT_LISTENING), DENIED, False, 1.5)
TO_SOMEBODY = ConnectionDecided(Connection(flow=inbound(), attribution=whose()), DENIED, False, 1.5)
LET_IN = ConnectionDecided(Connection(flow=inbound(), attribution=whose()), ALLOWED, False, 1.5)
REFUSED = ConnectionDecided(Connection(flow=flow_of(), attribution=whose()), DENIED, False, 1.5)
AWAY = ConnectionDecided(Connection(flow=flow_of(), attribution=whose()), NO_ROOM, False, 1.5)
PORTS, USER = Share.CLOSED_PORTS, Share.USER


def kept(budget: HistoryQuota, records: list[Record], now_s: float) -> list[Record]:
    return [record for record in records if budget.has_room(record, now_s)]


def test_the_first_of_a_scan_are_kept_and_everything_else_always() -> None:
    budget = HistoryQuota()
    assert kept(budget, [TO_NOBODY] * (PORTS.burst + 7), 50.0) == [TO_NOBODY] * PORTS.burst
    assert budget.left_out[PORTS] == 7
    assert kept(budget, [TO_NOBODY, TO_SOMEBODY, LOSS] * 200, 50.0) == [TO_SOMEBODY, LOSS] * 200
    assert kept(budget, [LET_IN, REFUSED, LOSS] * 2000, 50.0) == [LET_IN, REFUSED, LOSS] * 2000


def test_then_one_in_a_while() -> None:
    budget = HistoryQuota()
    kept(budget, [TO_NOBODY] * PORTS.burst, 50.0)
    assert sum(budget.has_room(TO_NOBODY, 50.0 + second) for second in range(1, 101)) == 100 / PORTS.each_s
    assert kept(budget, [TO_NOBODY] * 200, 50.0 + 200 * PORTS.burst * PORTS.each_s) == [TO_NOBODY] * PORTS.burst


@pytest.mark.parametrize(("record", "share"), [(TO_SOMEBODY, Share.VISITORS), (AWAY, Share.TURNED_AWAY)])
def test_so_it_is_with_visitors_and_what_is_turned_away(record: ConnectionDecided, share: Share) -> None:
    budget = HistoryQuota()
    assert len(kept(budget, [record] * (share.burst + 7), 50.0)) == share.burst
    assert budget.left_out == {share: 7}
    assert sum(budget.has_room(record, 50.0 + second) for second in range(1, 101)) == 100 / share.each_s


def test_no_user_pushes_all_else_out() -> None:
    """Allowed connections to all addresses of 127.0.0.0/8 would fill the history."""
    mine, others = (
        [ConnectionDecided(Connection(flow=flow_of(), attribution=whose(uid=uid)), ALLOWED, False, 1.5) for uid in uids]
        for uids in ((200_000, 300_000), (0, 1001))
    )
    budget = HistoryQuota()
    assert len(kept(budget, mine * USER.burst, 50.0)) == USER.burst
    assert budget.left_out[USER] == USER.burst
    assert kept(budget, others, 50.0) == others
    assert len(kept(budget, [others[0]] * USER.burst * 2, 50.0)) == 2 * USER.burst
    assert sum(budget.has_room(mine[0], 50.0 + second / 4) for second in range(1, 101)) == 25 / USER.each_s


def test_what_connections_say_of_themselves_is_of_their_users_share() -> None:
    said = ServerNameRead(LET_IN.connection, ALLOWED, 1.5)
    assert len(kept(HistoryQuota(), [said, LET_IN] * USER.burst, 50.0)) == USER.burst


def test_whatever_a_port_that_nobody_has_is_let_in_for() -> None:
    let_in = ConnectionDecided(Connection(flow=inbound(), attribution=NOT_LISTENING), ALLOWED, False, 1.5)
    assert len(kept(HistoryQuota(), [let_in] * (PORTS.burst + 7), 50.0)) == PORTS.burst


def test_what_names_a_private_program_is_in_the_log_alone(place: Place) -> None:
    place.begin()
    place.recorder.private = frozenset({"/usr/bin/curl"})
    connection = Connection(flow=flow_of(), attribution=CURL)
    decided = ConnectionDecided(connection, Decision(verdict=Verdict.ALLOW, reason=""), False, 1.0)
    answer = PromptAnswered(8, "allow shop.test - - /usr/bin/curl", 1000, 1.5)
    lines = place.record(decided, answer, ANSWER)
    assert place.read_log()[1:] == lines
    assert list(place.history.read_newest(9)) == lines[2:]
    assert place.recorder.not_kept()["records of private programs, in the log alone"] == 2
