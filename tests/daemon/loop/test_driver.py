"""The loop, over queues that the test fills: a failure drops its packet, and never ends the loop."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from tests.core.engine.transcript import flow_of, no, whose, yes
from tests.daemon.loop.driver_place import Place, Refusing, datagram, fail_with_emfile, ipv4, start, syn, until
from tests.daemon.requests.small_handler import ALICE, ROOT
from tests.lab.patience import WAIT_S
from tinysnitch.core.engine.commands import Command
from tinysnitch.core.engine.events import AnswerGiven, DataLost, Event, PacketQueued, QuestionSent
from tinysnitch.core.engine.records import LossCounted
from tinysnitch.core.model.clock import Instant
from tinysnitch.core.model.flow import UDP
from tinysnitch.core.model.past import Past
from tinysnitch.core.model.process import Asker
from tinysnitch.core.prompts.choice import Lifetime
from tinysnitch.core.prompts.prompt import Prompt
from tinysnitch.daemon.control.permissions import Right
from tinysnitch.daemon.loop import driver
from tinysnitch.kernel.attribution.socket_holders import ScanNotDue
from tinysnitch.kernel.netfilter.rules import ALLOW_BIT, DENY_MARK
from tinysnitch.kernel.nfqueue.nat_replies import NatReplies
from tinysnitch.kernel.nfqueue.packet_events import LOCAL_IN, LOCAL_OUT, POST_ROUTING
from tinysnitch.kernel.nfqueue.queue import NfVerdict
from tinysnitch.kernel.system.clock import read_instant
from tinysnitch.protocol.messages import PromptClosed, PromptShown, Push


def test_packets_come_in_and_verdicts_leave(tmp_path: Path) -> None:
    async def run() -> None:
        with closing(start(Place(tmp_path, "allow - 443 tcp\ndeny - 80 tcp\n"))) as place:
            place.queue.put(msgspec.structs.replace(syn(1, port=443), mark=0x1234), syn(2, port=80))
            await until(lambda: place.queue.sent)
            assert place.queue.sent == [(1, NfVerdict.REPEAT), (2, NfVerdict.REPEAT)]
            assert place.queue.marks == {1: 0x1234 | ALLOW_BIT, 2: DENY_MARK}  # without BPF; its own mark stays
            assert "allow" in place.read_log()

    asyncio.run(run())


@pytest.mark.parametrize("count", [1, 2])
def test_the_verdict_of_a_packet_that_came_alone_leaves_before_the_engine_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """Verdicts for several packets leave together, as do those that an answer gives."""

    async def run() -> None:
        with closing(start(Place(tmp_path, "allow - 443 tcp\n"))) as place:
            handle, sent = place.engine.handle, list[int]()

            def handle_and_look(event: Event, now: Instant) -> Iterator[Command]:
                yield from handle(event, now)
                sent.append(len(place.queue.sent))

            monkeypatch.setattr(place.engine, "handle", handle_and_look)
            place.queue.put(*(syn(number, port=443) for number in range(count)))
            await until(lambda: place.queue.sent)
            assert sent == ([1] if count == 1 else [0, 0])
            place.driver.feed(PacketQueued(7, flow_of(7, port=80), whose()))
            place.driver.feed(AnswerGiven(1, yes(), 0))
            assert sent[-1] == count

    asyncio.run(run())


def test_questions_that_left_are_noted_before_what_may_answer_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each as of its own time; also before what does not come by a queue."""

    async def run() -> None:
        with closing(start(Place(tmp_path))) as place:
            handle, handled = place.engine.handle, list[tuple[Event, float]]()
            asked = QuestionSent(None, flow_of(5, port=53, protocol=UDP), Asker(7, 1000), b"no DNS")

            def handle_and_note(event: Event, now: Instant) -> Iterator[Command]:
                handled.append((event, now.boot_s))
                return handle(event, now)

            monkeypatch.setattr(place.engine, "handle", handle_and_note)
            monkeypatch.setattr(place.ports.intake, "take_questions", lambda: iter([(asked, 5.5)]))
            place.names_queue.put(datagram(1))
            await until(lambda: place.names_queue.sent)
            assert place.names_queue.sent == [(1, NfVerdict.ACCEPT)]
            place.driver.feed(PacketQueued(1, flow_of(1), whose()))
            assert [each for each in handled if each[0] == asked] == [(asked, 5.5)] * 2
            assert [type(event) for event, _now_s in handled[-2:]] == [QuestionSent, PacketQueued]

    asyncio.run(run())


def test_nothing_is_read_after_its_stop(tmp_path: Path) -> None:
    """The queues are closed then, and other files may get the same descriptors."""

    async def run() -> None:
        with closing(start(Place(tmp_path, timeout_s=0.02))) as place:
            place.driver.feed(PacketQueued(1, flow_of(1), whose()))
            place.driver.stop()
            await asyncio.sleep(0.05)
            assert len(place.engine.prompts) == 1  # its timer rings no more
            loop = asyncio.get_running_loop()
            assert not any(loop.remove_reader(queue.fileno()) for queue in (place.queue, place.names_queue))

    asyncio.run(run())


def test_a_flood_has_a_turn_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Slow packets come without a pause; the client that answers a question gets its turn all the same."""
    monkeypatch.setattr(driver, "TURN_NS", 0)

    async def run() -> None:
        with closing(start(Place(tmp_path, "allow - 443 tcp\n"))) as place:
            monkeypatch.setattr(place.queue, "read_packets", lambda: [syn(1, port=443)])
            place.queue.put()
            await until(lambda: place.queue.sent)
            assert place.queue.sent == [(1, NfVerdict.REPEAT)]
            monkeypatch.setattr(place.names_queue, "read_packets", lambda limit: [datagram(2)] * limit)
            place.names_queue.put()
            await until(lambda: place.names_queue.sent)
            assert place.names_queue.sent == [(2, NfVerdict.ACCEPT)] * driver.MESSAGES

    asyncio.run(run())


def test_messages_that_take_no_time_are_read_at_once(tmp_path: Path) -> None:
    async def run() -> None:
        with closing(start(Place(tmp_path))) as place:
            place.names_queue.put(*(datagram(number) for number in range(1, 4 * driver.MESSAGES)))
            await until(lambda: place.names_queue.sent)
            assert len(place.names_queue.sent) == 4 * driver.MESSAGES - 1

    asyncio.run(run())


def test_packets_that_come_while_others_are_judged_are_judged_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "TURN_NS", 10**12)  # however slow the machine is

    async def run() -> None:
        with closing(start(Place(tmp_path, "allow - - -\n"))) as place:
            batches = iter([[syn(packet_id)] for packet_id in range(1, 2 * driver.BATCHES)])
            monkeypatch.setattr(place.queue, "read_packets", lambda: next(batches, []))
            place.queue.put()
            await until(lambda: place.queue.sent)  # then others have their turn
            assert [packet_id for packet_id, _verdict in place.queue.sent] == list(range(1, driver.BATCHES + 2))

    asyncio.run(run())


def test_losses_are_not_looked_for_with_each_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "LOOK_EACH_S", WAIT_S)
    looks: list[None] = []

    async def run() -> None:
        with closing(Place(tmp_path, "allow - - -\n")) as place:
            place.driver.start(lambda _now_s: looks.append(None) or ())
            for packet_id in (1, 2, 3):
                place.queue.put(syn(packet_id))
                await until(lambda count=packet_id: len(place.queue.sent) == count)  # type: ignore[misc]

    asyncio.run(run())
    assert looks == [None]


def test_what_cannot_be_read_of_a_connection_without_a_name_does_not_go_on(tmp_path: Path) -> None:
    async def run() -> None:
        with closing(start(Place(tmp_path))) as place:
            shown = msgspec.structs.replace(syn(2), payload=syn(2).payload + b"GET / HTTP/1.1", mark=0x1234)
            place.names_queue.put(msgspec.structs.replace(syn(1), payload=b"\x45"), shown)
            await until(lambda: len(place.names_queue.sent) == 2)
            assert place.names_queue.sent == [(1, NfVerdict.DROP), (2, NfVerdict.REPEAT)]
            assert place.names_queue.marks[2] == 0x1234 | ALLOW_BIT

    asyncio.run(run())


def test_what_is_no_packet_is_dropped_and_what_is_no_message_goes_on(tmp_path: Path) -> None:
    async def run() -> None:
        with closing(start(Place(tmp_path))) as place:
            place.queue.put(syn(1).__class__(1, 3, 0, 1, 0, b"\x45"))
            marked = msgspec.structs.replace(datagram(2), mark=0x1234)
            early = msgspec.structs.replace(marked, packet_id=4, hook=LOCAL_OUT)  # as `tinysnitch run` reads names
            place.names_queue.put(marked, syn(1).__class__(3, POST_ROUTING, 0, 1, 0, b"\x45"), early)
            await until(lambda: place.queue.sent and place.names_queue.sent)
            assert place.queue.sent == [(1, NfVerdict.DROP)]
            assert place.names_queue.sent == [(packet_id, NfVerdict.ACCEPT) for packet_id in (2, 3, 4)]
            assert place.ports.intake.malformed == 2
            assert set(place.names_queue.marks.values()) == {None}  # DNS messages need no mark

    asyncio.run(run())


def test_what_answers_a_translated_question_passes_without_a_rule(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(NatReplies, "let_pass", lambda _answers, flow, _interface: flow.local_port == 1)

    async def run() -> None:
        with closing(start(Place(tmp_path))) as place:
            come = (syn(1, port=1), syn(2, port=2))
            place.queue.put(*(msgspec.structs.replace(queued, hook=LOCAL_IN) for queued in come))
            await until(lambda: place.queue.sent)
            assert place.queue.sent == [(1, NfVerdict.REPEAT)]
            assert [waiting.prompt_id for waiting in place.engine.open_prompts(read_instant())] == [1]

    asyncio.run(run())


def test_questions_come_to_the_prompts_and_go(tmp_path: Path) -> None:
    told: list[type[Push]] = []

    async def run() -> None:
        with closing(Place(tmp_path)) as place:
            place.clients._push_message = lambda message, _uid: told.append(type(message))  # type: ignore[method-assign]
            place.driver.feed(PacketQueued(1, flow_of(1), whose()))
            place.driver.feed(AnswerGiven(1, yes(), 0))

    asyncio.run(run())
    assert told == [PromptShown, PromptClosed]


def test_a_question_that_opens_again_tells_what_became_of_the_first(tmp_path: Path) -> None:
    async def run() -> None:
        with closing(start(Place(tmp_path))) as place:

            def prompts() -> list[Prompt]:
                return place.engine.open_prompts(read_instant())

            place.queue.put(syn(1, local_port=1))
            await until(prompts)
            place.driver.feed(AnswerGiven(1, no(Lifetime.ONCE), 0))
            place.queue.put(syn(2, local_port=2))
            await until(lambda: any(prompt.past for prompt in prompts()))
            assert [prompt.past for prompt in prompts()] == [Past(domain="10.0.0.80", denied=1)]

    asyncio.run(run())


def test_what_is_seen_beside_the_engine_is_told_at_once(tmp_path: Path) -> None:
    async def run() -> None:
        with closing(Place(tmp_path)) as place:
            place.driver.report(LossCounted("packets from elsewhere", 3, 0.0))
            assert "packets from elsewhere" in place.read_log()

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
            assert place.failures.count == 3
            place.attributor.claim = whose()
            place.queue.put(syn(4))
            await until(lambda: len(place.queue.sent) == 3)
            assert place.queue.sent[-1] == (4, NfVerdict.REPEAT)

    asyncio.run(run())
    assert len(caplog.records) == 1  # a program that makes us fail cannot fill the log
    assert "a bug" in caplog.text


def test_what_waits_for_a_scan_is_held_and_judged_with_all_that_came_meanwhile(tmp_path: Path) -> None:
    async def run() -> None:
        with closing(start(Place(tmp_path, "allow - - -\n"))) as place:
            place.attributor.claim = ScanNotDue(0.01)
            place.queue.put(syn(1), syn(2))
            place.names_queue.put(datagram(3))
            await until(lambda: place.attributor.asked >= 3 + 2)  # once each; then of all the first one again and again
            assert not place.queue.sent
            assert not place.names_queue.sent
            place.attributor.claim = whose()
            await until(lambda: place.queue.sent and place.names_queue.sent)
            assert place.queue.sent == [(1, NfVerdict.REPEAT), (2, NfVerdict.REPEAT)]
            assert place.names_queue.sent == [(3, NfVerdict.ACCEPT)]
            assert place.failures.count == 0

    asyncio.run(run())


@pytest.mark.parametrize("is_held", [True, False])
def test_what_the_kernel_cannot_remember_is_dropped(
    tmp_path: Path, is_held: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """If it were repeated, it would come back to us again and again."""

    async def run() -> None:
        with closing(start(Place(tmp_path, "" if is_held else "allow - - -\n", Refusing()))) as place:
            place.queue.put(syn(1), syn(1 + is_held))
            await until(lambda: len(place.engine.prompts) if is_held else place.queue.sent)
            place.driver.feed(AnswerGiven(1, yes(), 0))
            assert {verdict for _packet, verdict in place.queue.sent} == {NfVerdict.DROP}

    with caplog.at_level(logging.CRITICAL):
        asyncio.run(run())


def test_what_was_read_to_the_end_is_dropped_where_that_cannot_be_noted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a verdict it would be held for ever. TCP sends it again, and it is read again."""

    async def run() -> None:
        with closing(start(Place(tmp_path, programs=Refusing()))) as place:
            said = ipv4(6, syn(1).payload[20:] + b"GET / HTTP/1.1")
            place.names_queue.put(msgspec.structs.replace(syn(1), payload=said, mark=0x1234))
            await until(lambda: place.names_queue.sent)
            assert place.names_queue.sent == [(1, NfVerdict.DROP)]

    with caplog.at_level(logging.CRITICAL):
        asyncio.run(run())


def test_verdicts_that_the_kernel_did_not_take_are_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Even if no further packet comes."""

    async def run() -> None:
        with closing(start(Place(tmp_path, "allow - - -\n"))) as place, caplog.at_level(logging.CRITICAL):
            with monkeypatch.context() as full:
                full.setattr(place.queue, "flush", fail_with_emfile)
                place.queue.put(syn(1))
                await until(lambda: place.failures.count)
            await until(lambda: place.queue.sent)

    asyncio.run(run())


def test_a_question_ends_by_the_clock(tmp_path: Path) -> None:
    async def run() -> None:
        with closing(start(Place(tmp_path, timeout_s=0.02))) as place:
            place.queue.put(syn(1))
            await until(lambda: place.queue.sent)
            assert "INFO deny tcp" in place.read_log()

    asyncio.run(run())


@pytest.mark.parametrize(("right", "is_shown"), [(ROOT, True), (ALICE, True), (Right(1001, sees_all=False), False)])
def test_a_question_that_nobody_was_shown_ends_with_that_reason(tmp_path: Path, right: Right, is_shown: bool) -> None:
    async def run() -> None:
        with closing(Place(tmp_path, timeout_s=0.02)) as place:
            place.handler.attach(1, right)
            for count in (1, 2):
                place.driver.feed(PacketQueued(count, flow_of(count, port=count), whose(uid=1000)))
                await until(lambda number=count: len(place.queue.sent) == number)  # type: ignore[misc]
                place.handler.detach(1)
            told = b"\n".join(place.handler.read_history(100, ROOT))
            assert told.count(b"no prompt client attached") == (1 if is_shown else 2)

    asyncio.run(run())


def test_losses_are_told_with_the_batch_that_finds_them(tmp_path: Path) -> None:
    async def run() -> None:
        with closing(start(Place(tmp_path), DataLost("flows not stored", 3))) as place:
            place.queue.put(syn(1))
            await until(lambda: "flows not stored" in place.read_log())

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


def test_a_question_ends_by_the_clock_also_in_a_flood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packets wait in each turn of the loop, and are read before the timer rings."""
    numbers = iter(range(10, 10**9))

    async def run() -> None:
        with closing(start(Place(tmp_path, "allow - 443 tcp\n", timeout_s=0.02))) as place:
            monkeypatch.setattr(driver, "LINGER_NS", 0)
            monkeypatch.setattr(place.queue, "read_packets", lambda: [syn(next(numbers))])
            place.queue.put()
            place.driver.feed(PacketQueued(1, flow_of(1, port=80), whose()))
            await until(lambda: not len(place.engine.prompts))

    asyncio.run(run())


def test_what_fails_when_it_is_due_does_not_fill_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> None:
        with closing(start(Place(tmp_path, "allow - 443 tcp\n", timeout_s=0.01))) as place:
            place.driver.feed(PacketQueued(1, flow_of(1, port=80), whose()))
            with monkeypatch.context() as broken:
                broken.setattr(place.engine.prompts, "find_expired", fail_with_emfile)
                begun_s = read_instant().boot_s
                await until(lambda: place.failures.count)
                for packet_id in range(10, 20):  # nor is it put off by what comes
                    place.queue.put(syn(packet_id))
                    await until(lambda number=packet_id: (number, NfVerdict.REPEAT) in place.queue.sent)  # type: ignore[misc]
                await asyncio.sleep(0.03)
                assert place.failures.count <= 1 + (read_instant().boot_s - begun_s) / driver.STILL_DUE_S
            await until(lambda: not len(place.engine.prompts))

    with caplog.at_level(logging.CRITICAL):
        asyncio.run(run())
