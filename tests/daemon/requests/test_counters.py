"""Losses under their names."""

import asyncio
from collections import Counter
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from tests.daemon.loop.driver_place import Place, datagram, start, syn, until
from tinysnitch.core.dns.questions import SUSPICIOUS, Refusal
from tinysnitch.core.model.process import UNKNOWN
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.daemon.logs.error_log import ErrorLog
from tinysnitch.daemon.logs.loss_watch import LossWatch
from tinysnitch.daemon.loop.file_guard import GONE, InterpreterWatch
from tinysnitch.daemon.loop.netfilter_guard import PUT_BACK, NetfilterGuard
from tinysnitch.daemon.requests.counters import Counters
from tinysnitch.daemon.rules.saver import NOT_SAVED
from tinysnitch.kernel.bpf.programs import BpfPrograms
from tinysnitch.kernel.nfqueue.queue import NfVerdict


class SmallPrograms:
    def __init__(self) -> None:
        self.counted = Counter({"hits_allowed": 10, "misses": 4})

    def read_statistics(self) -> dict[str, int]:
        return self.counted


def test_counts_have_names_and_begin_with_the_daemon(tmp_path: Path) -> None:
    async def run() -> None:
        with closing(start(Place(tmp_path, "allow - - -\n"))) as place:
            programs = SmallPrograms()
            counters = Counters(place.driver, cast(BpfPrograms, programs), ErrorLog())
            programs.counted += Counter(hits_allowed=5, hits_denied=1, hits_denied_early=3, misses=2, lost_flows=3)
            place.queue.put(syn(1))
            await until(lambda: place.queue.sent)
            place.clients.malformed += 1
            assert counters.hits_and_misses() == (8, 2)  # one of the hits is our own verdict, walking again
            place.ports.verdicts.issue(2, Verdict.ALLOW, follows=True)  # which the kernel will not count
            assert counters.hits_and_misses() == (8, 2)
            losses = counters.losses()
            assert losses["flows not stored"] == 3
            assert losses["DNS messages dropped"] == 5
            assert losses["packets gone before their verdict"] == 4
            assert losses["failures, see the log"] == 0
            assert losses["clients turned away, not permitted"] == 0
            assert losses["clients cut off, not understood"] == 1
            assert counters.tables() == {
                "verdicts": 1,
                "flows": 1,
                "addresses with names": 0,
                "DNS questions": 0,
                "DNS connections": 0,
                "mDNS and LLMNR questions": 0,
                "connections being read": 0,
            }
            assert counters.evicted() == {"verdicts": 0, "flows": 0}
            assert not {f"{table} evicted" for table in counters.evicted()} & losses.keys()
            assert counters.waiting() == {"connections": 0, "names": 0}
            assert counters.not_enforcing == "tinysnitchd is still starting"
            counters.guard = cast(NetfilterGuard, SimpleNamespace(problem="busy", put_back=4))
            assert (counters.not_enforcing, counters.losses()[PUT_BACK]) == ("busy", 4)

    asyncio.run(run())


def test_each_loss_is_told_by_its_own_name(tmp_path: Path) -> None:
    async def run() -> None:
        with closing(Place(tmp_path)) as place:
            ports, prompts = place.ports, place.driver.engine.prompts
            sources = {
                "packets not parsed": (ports.intake, "malformed"),
                "connections whose program is unknown": (ports.attributor, "unknown"),
                "failures, see the log": (place.driver.failures, "count"),
                "rules until a program quits that ended at once, too many of them": (ports.processes, "turned_away"),
                "questions turned away": (prompts, "turned_away"),
                "further packets of held flows dropped": (prompts, "dropped"),
                "DNS connections given up": (place.driver.engine.dns.streams, "given_up"),
                "log lines": (ports.recorder._log, "lost"),
                "history rows": (ports.recorder._history, "lost"),
            }
            before = place.counters.losses()
            for number, (owner, name) in enumerate(sources.values(), 1):
                setattr(owner, name, getattr(owner, name) + number)
            after = place.counters.losses()
            rose = {what: after[what] - before[what] for what in after if after[what] != before[what]}
            assert rose == {what: number for number, what in enumerate(sources, 1)}
            assert (after["packets dropped, queue full"], after["packets dropped, not read in time"]) == (2, 3)

    asyncio.run(run())


def test_that_the_daemon_could_not_start_again_is_told_while_it_is_so(tmp_path: Path) -> None:
    async def run() -> None:
        with closing(Place(tmp_path)) as place:
            for is_gone in (False, True):
                place.counters.interpreter = cast(InterpreterWatch, SimpleNamespace(is_gone=is_gone))
                assert (GONE in place.counters.cannot_restart) is is_gone

    asyncio.run(run())


def test_a_packet_of_which_nobody_knows_any_more_whose_it_is_is_dropped_and_counted(tmp_path: Path) -> None:
    async def run() -> None:
        with closing(start(Place(tmp_path))) as place:
            place.attributor.is_note_lost = True
            counters = Counters(place.driver, None, ErrorLog())
            place.queue.put(syn(1))
            await until(lambda: place.queue.sent)
            assert place.queue.sent == [(1, NfVerdict.DROP)]
            assert len(place.engine.prompts) == 0
            assert counters.losses()["packets dropped, waited too long"] == 1

    asyncio.run(run())


def test_what_nobody_knows_the_sender_of_any_more_is_not_read_or_has_no_asker_and_is_counted(tmp_path: Path) -> None:
    async def run() -> None:
        with closing(start(Place(tmp_path))) as place:
            place.attributor.claim, place.attributor.is_note_lost = UNKNOWN, True
            counters = Counters(place.driver, None, ErrorLog())
            place.names_queue.put(syn(1), datagram(2))
            await until(lambda: place.names_queue.sent)
            assert place.names_queue.sent == [(1, NfVerdict.DROP), (2, NfVerdict.ACCEPT)]
            assert counters.losses()["packets dropped, waited too long"] == 1
            assert counters.losses()["DNS questions from unknown programs"] == 1

    asyncio.run(run())


def test_without_bpf_all_is_decided_here(tmp_path: Path) -> None:
    async def run() -> None:
        with closing(start(Place(tmp_path, "allow - - -\n"))) as place:
            counters = Counters(place.driver, None, ErrorLog())
            place.queue.put(syn(1))
            await until(lambda: place.queue.sent)
            assert counters.hits_and_misses() == (0, 1)

    asyncio.run(run())


def test_what_is_not_learned_is_counted(tmp_path: Path) -> None:
    async def run() -> None:
        with closing(start(Place(tmp_path, "allow - - -\n"))) as place:
            counters = Counters(place.driver, None, ErrorLog())
            watch = LossWatch(counters.untold_losses)
            place.driver.engine.dns.names.refuse(Refusal.NOT_TRUSTED)
            place.driver.engine.dns.names.refuse(Refusal.FAILED)
            losses = counters.losses()
            assert losses["DNS messages not learned, resolver not trusted"] == 1
            assert sum(count for what, count in losses.items() if "not learned" in what) == 1
            assert list(watch.new_losses(10.0)) == []

    asyncio.run(run())


def test_of_all_losses_only_these_need_no_watch(tmp_path: Path) -> None:
    async def run() -> None:
        with closing(Place(tmp_path)) as place:
            left_out = place.counters.losses().keys() - place.counters.untold_losses().keys()
            tables = {"names", *place.counters.tables()} - place.counters.evicted().keys()
            refused = {f"DNS messages not learned, {refusal.value}" for refusal in SUSPICIOUS}
            not_kept = place.ports.recorder.not_kept()
            assert left_out == {PUT_BACK, NOT_SAVED, *not_kept, *refused, *(f"{table} evicted" for table in tables)}

    asyncio.run(run())
