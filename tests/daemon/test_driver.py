"""The loop, over queues that the test fills: what goes wrong costs its packet, never the loop."""

import asyncio
import logging
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from tests.core.transcript import flow_of, no, process_of, whose, yes
from tests.daemon.driver_place import Place, Refusing, datagram, fail_with_emfile, syn, until
from tests.daemon.small_desk import ROOT
from tinysnitch.core.choice import Lifetime
from tinysnitch.core.clock import Instant
from tinysnitch.core.events import AnswerGiven, DataLost, PacketQueued
from tinysnitch.core.facts import Facts
from tinysnitch.core.rule_text import format_rule
from tinysnitch.daemon import driver
from tinysnitch.kernel.clock import read_instant
from tinysnitch.kernel.nfqueue import NfVerdict
from tinysnitch.kernel.packet_events import POST_ROUTING
from tinysnitch.kernel.socket_holders import ScanNotDue


def start(place: Place, *losses: DataLost) -> Place:
    place.driver.start(lambda _now_s: iter(losses))
    return place


def test_packets_come_in_and_verdicts_leave(tmp_path: Path) -> None:
    async def run() -> None:
        with closing(start(Place(tmp_path, "allow - 443 tcp\ndeny - 80 tcp\n"))) as place:
            place.queue.put(syn(1, port=443), syn(2, port=80))
            await until(lambda: place.queue.sent)
            assert place.queue.sent == [(1, NfVerdict.REPEAT), (2, NfVerdict.REPEAT)]
            assert "allow" in place.read_log()

    asyncio.run(run())


def test_a_flood_has_a_turn_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packets that take long come at once and without end: what answers a question has its turn too."""
    monkeypatch.setattr(driver, "TURN_NS", 0)

    async def run() -> None:
        with closing(start(Place(tmp_path, "allow - 443 tcp\n"))) as place:
            monkeypatch.setattr(place.queue, "read_packets", lambda: [syn(1, port=443)])
            place.driver._read_connections()
            assert place.queue.sent == [(1, NfVerdict.REPEAT)]

    asyncio.run(run())


def test_packets_that_come_while_others_are_judged_are_judged_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        with closing(Place(tmp_path, "allow - - -\n")) as place:
            batches = iter([[syn(packet_id)] for packet_id in range(1, 2 * driver.BATCHES)])
            monkeypatch.setattr(place.queue, "read_packets", lambda: next(batches, []))
            place.driver._read_connections()  # then others have their turn
            assert [packet_id for packet_id, _verdict in place.queue.sent] == list(range(1, driver.BATCHES + 2))

    asyncio.run(run())


def test_losses_are_not_looked_for_with_each_batch(tmp_path: Path) -> None:
    looks: list[None] = []

    async def run() -> None:
        with closing(Place(tmp_path, "allow - - -\n")) as place:
            place.driver._next_loss_check_s = 0.0
            place.driver.start(lambda _now_s: looks.append(None) or ())
            for packet_id in (1, 2, 3):
                place.queue.put(syn(packet_id))
                await until(lambda count=packet_id: len(place.queue.sent) == count)  # type: ignore[misc]

    asyncio.run(run())
    assert looks == [None]


def test_what_cannot_be_read_of_a_connection_without_a_name_does_not_go_on(tmp_path: Path) -> None:
    async def run() -> None:
        with closing(start(Place(tmp_path))) as place:
            shown = msgspec.structs.replace(syn(2), payload=syn(2).payload + b"GET / HTTP/1.1")
            place.names_queue.put(msgspec.structs.replace(syn(1), payload=b"\x45"), shown)
            await until(lambda: len(place.names_queue.sent) == 2)
            assert place.names_queue.sent == [(1, NfVerdict.DROP), (2, NfVerdict.REPEAT)]

    asyncio.run(run())


def test_what_is_no_packet_is_dropped_and_what_is_no_message_goes_on(tmp_path: Path) -> None:
    async def run() -> None:
        with closing(start(Place(tmp_path))) as place:
            place.queue.put(syn(1).__class__(1, 3, 0, 1, 0, b"\x45"))
            marked = msgspec.structs.replace(datagram(2), mark=0x1234)
            place.names_queue.put(marked, syn(1).__class__(3, POST_ROUTING, 0, 1, 0, b"\x45"))
            await until(lambda: place.queue.sent and place.names_queue.sent)
            assert place.queue.sent == [(1, NfVerdict.DROP)]
            assert place.names_queue.sent == [(2, NfVerdict.ACCEPT), (3, NfVerdict.ACCEPT)]
            assert place.driver.malformed == 2
            assert place.doors.enforcement._shown_marks == {}  # of what is only looked at none is needed

    asyncio.run(run())


def test_what_fails_costs_its_packet_and_the_loop_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        with closing(start(Place(tmp_path, "allow - - -\n"))) as place:
            place.attributor.claim = RuntimeError("a bug")
            place.queue.put(syn(1), syn(2))
            place.names_queue.put(datagram(3))
            await until(lambda: place.queue.sent and place.names_queue.sent)
            assert place.queue.sent == [(1, NfVerdict.DROP), (2, NfVerdict.DROP)]
            assert place.names_queue.sent == [(3, NfVerdict.ACCEPT)]
            assert place.driver.failed == 3
            place.attributor.claim = whose()
            place.queue.put(syn(4))
            await until(lambda: len(place.queue.sent) == 3)
            assert place.queue.sent[-1] == (4, NfVerdict.REPEAT)

    asyncio.run(run())
    assert len(caplog.records) == 1  # whoever makes us fail does not fill the log
    assert "a bug" in caplog.text


def test_what_waits_for_a_scan_is_held_and_judged_with_all_that_came_meanwhile(tmp_path: Path) -> None:
    async def run() -> None:
        with closing(start(Place(tmp_path, "allow - - -\n"))) as place:
            place.attributor.claim = ScanNotDue(0.01)
            place.queue.put(syn(1), syn(2))
            place.names_queue.put(datagram(3))
            await until(lambda: len(place.driver._deferred) == 3)
            assert not place.queue.sent
            assert not place.names_queue.sent
            place.attributor.claim = whose()
            await until(lambda: place.queue.sent and place.names_queue.sent)
            assert place.queue.sent == [(1, NfVerdict.REPEAT), (2, NfVerdict.REPEAT)]
            assert place.names_queue.sent == [(3, NfVerdict.ACCEPT)]
            assert place.driver.failed == 0

    asyncio.run(run())


@pytest.mark.parametrize("is_held", [True, False])
def test_what_the_kernel_cannot_remember_is_dropped(tmp_path: Path, is_held: bool) -> None:
    """Repeated it would come back here for ever."""

    async def run() -> None:
        with closing(start(Place(tmp_path, "" if is_held else "allow - - -\n", Refusing()))) as place:
            place.queue.put(syn(1), syn(1 + is_held))
            await until(lambda: len(place.engine.prompts) if is_held else place.queue.sent)
            place.driver.feed(AnswerGiven(1, yes(), 0))
            assert {verdict for _packet, verdict in place.queue.sent} == {NfVerdict.DROP}

    logging.disable()
    asyncio.run(run())
    logging.disable(logging.NOTSET)


def test_verdicts_that_the_kernel_did_not_take_are_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing more needs to come."""

    async def run() -> None:
        with closing(start(Place(tmp_path, "allow - - -\n"))) as place, caplog.at_level(logging.CRITICAL):
            with monkeypatch.context() as full:
                full.setattr(place.queue, "flush", fail_with_emfile)
                place.queue.put(syn(1))
                await until(lambda: place.driver.failed)
            await until(lambda: place.queue.sent)

    asyncio.run(run())


def test_a_question_ends_by_the_clock(tmp_path: Path) -> None:
    async def run() -> None:
        with closing(start(Place(tmp_path, timeout_s=0.02))) as place:
            place.queue.put(syn(1))
            await until(lambda: place.queue.sent)
            assert "INFO deny tcp" in place.read_log()

    asyncio.run(run())


def test_rules_and_temporary_rules_are_written(tmp_path: Path) -> None:
    async def run() -> None:
        with closing(Place(tmp_path)) as place:
            place.driver.feed(PacketQueued(1, flow_of(1), whose()))
            place.driver.feed(AnswerGiven(1, yes(), 0))
            place.driver.feed(PacketQueued(2, flow_of(2, port=80), whose()))
            place.driver.feed(AnswerGiven(2, no(Lifetime.DAY), 0))
            assert place.rules_file.path.read_text() == "allow 10.0.0.80 443 tcp /usr/bin/curl ()\n"
            assert "80 tcp" in (tmp_path / "temporary").read_text()

    asyncio.run(run())


def test_a_rule_that_cannot_be_written_holds_and_that_is_said(tmp_path: Path) -> None:
    async def run() -> None:
        with closing(Place(tmp_path)) as place:
            place.rules_file.path.unlink()
            place.rules_file.path.mkdir()
            place.driver.feed(PacketQueued(1, flow_of(1), whose()))
            place.driver.feed(AnswerGiven(1, yes(), 0))
            place.driver.feed(PacketQueued(2, flow_of(2), whose()))
            assert len(place.queue.sent) == 2
            await until(lambda: "rule not saved" in place.read_log())

    asyncio.run(run())


RULE = "allow 10.0.0.80 443 tcp /usr/bin/curl ()"


def lose_a_rule(place: Place) -> Path:
    """Answer forever while the rules file is moved away; where it is."""
    moved = place.rules_file.path.rename(place.rules_file.path.with_suffix(".away"))
    place.driver.feed(PacketQueued(1, flow_of(1), whose()))
    place.driver.feed(AnswerGiven(1, yes(), 0))
    return moved


def count_tries(place: Place, monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """One entry for each time that it was tried to write them again."""
    tries: list[None] = []
    save_again = place.rules_file.save_again

    def save_counted() -> None:
        tries.append(None)
        save_again()

    monkeypatch.setattr(place.rules_file, "save_again", save_counted)
    return tries


def rules_in_force(place: Place) -> list[str]:
    return [format_rule(rule) for rule in place.engine.rules]


def test_a_rule_that_could_not_be_written_outlives_a_reload_and_is_written_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "SAVE_AGAIN_S", 0.01)

    async def run() -> None:
        with closing(Place(tmp_path, "deny - 23 tcp\n")) as place:
            moved = lose_a_rule(place)
            told: list[str] = []
            monkeypatch.setattr(place.server, "push_notice", told.append)
            tries = count_tries(place, monkeypatch)
            assert place.desk.counters.losses()["rules not saved"] == 1
            await until(lambda: len(tries) > 2)
            moved.rename(place.rules_file.path)
            place.driver.reload_rules()
            assert rules_in_force(place) == ["deny - 23 tcp", RULE]
            await until(lambda: place.rules_file.path.read_text() == f"deny - 23 tcp\n{RULE}\n")
            assert told == ["the rules that could not be saved are in the rules file now"]
            place.driver.reload_rules()
            assert rules_in_force(place) == ["deny - 23 tcp", RULE]
            assert place.desk.counters.losses()["rules not saved"] == 0

    asyncio.run(run())


def test_a_rule_that_could_not_be_written_is_tried_at_the_end(tmp_path: Path) -> None:
    async def run() -> None:
        with closing(Place(tmp_path)) as place:
            lose_a_rule(place).rename(place.rules_file.path)
        assert (tmp_path / "rules").read_text() == f"{RULE}\n"

    asyncio.run(run())


def test_a_rule_that_could_not_be_written_and_was_removed_stays_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "SAVE_AGAIN_S", 0.0)

    async def run() -> None:
        with closing(Place(tmp_path)) as place:
            lose_a_rule(place).rename(place.rules_file.path)
            place.desk.remove_rule(RULE, ROOT)
            await asyncio.sleep(0.01)
            assert (rules_in_force(place), place.rules_file.path.read_text()) == ([], "")

    asyncio.run(run())


def test_temporary_rules_that_a_restart_would_lose_are_counted(tmp_path: Path) -> None:
    async def run() -> None:
        with closing(Place(tmp_path)) as place:
            (tmp_path / "temporary").mkdir()
            for number in (1, 2):
                place.driver.feed(PacketQueued(number, flow_of(number, port=number), whose()))
                place.driver.feed(AnswerGiven(number, yes(Lifetime.DAY), 0))
                assert place.desk.counters.losses()["rules not saved"] == number
                if number == 1:
                    continue
                (tmp_path / "temporary").rmdir()
                place.driver.feed(PacketQueued(3, flow_of(3, port=3), whose()))
                place.driver.feed(AnswerGiven(3, yes(Lifetime.DAY), 0))
            assert place.desk.counters.losses()["rules not saved"] == 0

    asyncio.run(run())


def test_the_end_of_a_process_ends_its_rules(tmp_path: Path) -> None:
    async def run() -> None:
        with closing(Place(tmp_path)) as place:
            gone = process_of(pid=2**22 + 1)  # above the largest pid: proc_pid_max(5)
            place.driver.feed(PacketQueued(1, flow_of(1), whose(pid=gone.pid)))
            place.driver.feed(AnswerGiven(1, yes(Lifetime.QUIT), 0))
            assert len(place.engine.rules) == 1
            await until(lambda: len(place.engine.rules) == 0)

    asyncio.run(run())


def test_a_broken_file_and_one_that_cannot_be_read_leave_the_rules(tmp_path: Path) -> None:
    async def run() -> None:
        with closing(Place(tmp_path, "allow - - -\n")) as place:
            place.rules_file.path.write_text("nonsense\n")
            place.driver.reload_rules()
            place.rules_file.path.unlink()
            place.rules_file.path.mkdir()
            place.driver.reload_rules()
            assert len(place.engine.rules) == 1
            assert "Is a directory" in place.read_log()

    asyncio.run(run())


def test_prompts_are_told_of_a_broken_file_until_it_is_mended(tmp_path: Path) -> None:
    told: list[str] = []

    async def run() -> None:
        with closing(Place(tmp_path, "allow - - -\n")) as place:
            place.server.push_notice = lambda text, hint="": told.append(text)  # type: ignore[method-assign]
            for text in ("nonsense\n", "deny - - -\n", "allow - - -\n"):
                place.rules_file.path.write_text(text)
                place.driver.reload_rules()

    asyncio.run(run())
    assert told == [
        f"the rules file did not load, the old rules hold: {tmp_path / 'rules'}:1:1: not a verdict",
        "the rules file loads again",
    ]


def test_a_file_that_is_broken_from_the_start_leaves_no_rule_of_it(tmp_path: Path) -> None:
    told: list[str] = []

    async def run() -> None:
        with closing(Place(tmp_path)) as place:
            place.server.push_notice = lambda text, hint="": told.append(text)  # type: ignore[method-assign]
            place.rules_file.path.write_text("nonsense\n")
            place.driver.reload_rules()

    asyncio.run(run())
    (notice,) = told
    assert notice.startswith("the rules file did not load, no rule of the file holds until it is mended: ")


def test_losses_are_told_with_the_batch_that_finds_them(tmp_path: Path) -> None:
    async def run() -> None:
        with closing(start(Place(tmp_path), DataLost("flows not stored", 3))) as place:
            place.driver._next_loss_check_s = 0.0
            place.queue.put(syn(1))
            await until(lambda: "flows not stored" in place.read_log())

    asyncio.run(run())


def test_news_of_addresses_are_read(tmp_path: Path) -> None:
    async def run() -> None:
        with closing(start(Place(tmp_path))) as place:
            place.doors.rule_loader.facts = Facts()  # as if they had been others
            place.news.put()
            await until(lambda: place.doors.rule_loader.facts.lan)

    asyncio.run(run())


def test_a_moment_that_passed_while_the_machine_slept_is_not_missed(tmp_path: Path) -> None:
    async def run() -> None:
        with closing(Place(tmp_path)) as place:
            place.driver.feed(PacketQueued(1, flow_of(1), whose()))
            late = Instant(read_instant().boot_s + 61, read_instant().wall_s + 61)
            place.driver._schedule(late)
            place.engine.prompts.find(1).deadline_s = 0.0  # type: ignore[union-attr]
            await until(lambda: place.queue.sent)

    asyncio.run(run())
