"""What systemd-resolved tells reaches the engine, also after its restart. A socket of the test stands for it."""

import asyncio
import base64
import json
import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.core.engine.transcript import SHOP, told_of
from tests.daemon.loop.driver_place import Place, fail_with_emfile, syn, until
from tests.daemon.loop.test_driver import start
from tinysnitch.core.engine.events import LookUpsTold
from tinysnitch.core.model.flow import parse_address
from tinysnitch.daemon.loop import driver
from tinysnitch.daemon.loop import resolved_names as told_names
from tinysnitch.daemon.loop.resolved_names import ToldNames
from tinysnitch.kernel.netfilter.rules import ALLOW_BIT
from tinysnitch.kernel.nfqueue.queue import NfVerdict
from tinysnitch.kernel.resolver import name_services
from tinysnitch.kernel.system.clock import read_instant

_WITHOUT_QUESTION = 12 + len("\4shop\4test\0") + 4  # bytes of a message that come before its answer


def tell(name: str) -> bytes:
    """Tell an answer as systemd-resolved does: records have uncompressed names."""
    owner = b"".join(bytes([len(label)]) + label.encode() for label in (*name.split("."), ""))
    raw = owner + told_of("shop.test")[_WITHOUT_QUESTION + 2 :]
    records = [{"raw": base64.b64encode(raw).decode()}]
    parameters = {"state": "success", "question": [{"class": 1, "type": 1, "name": name}], "answer": records}
    return json.dumps({"parameters": parameters, "continues": True}).encode() + b"\0"


class Resolved:
    def __init__(self, folder: Path) -> None:
        self.path = folder / "resolve" / "monitor"
        self._listener: socket.socket | None = None

    def start(self) -> None:
        self.path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.path))
        self._listener.listen()
        self._listener.setblocking(False)
        self.path.with_name("resolv.conf").write_text("")

    async def accept(self) -> socket.socket:
        assert self._listener
        return (await asyncio.get_running_loop().sock_accept(self._listener))[0]

    def stop(self) -> None:
        if self._listener:
            self._listener.close()


@pytest.fixture
def resolved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolved]:
    made = Resolved(tmp_path)
    made.path.parent.mkdir()
    (tmp_path / "nsswitch").write_text("hosts: resolve files dns\n")
    monkeypatch.setattr(told_names, "RESOLVED_MONITOR", made.path)
    monkeypatch.setattr(name_services, "RESOLVED_SOCKET", made.path.parent)
    for module in (told_names, name_services):
        monkeypatch.setattr(module, "NSSWITCH", tmp_path / "nsswitch")
    yield made
    made.stop()


def name_of_shop(place: Place) -> Callable[[], str | None]:
    return lambda: place.engine.dns.names.find(parse_address(SHOP), read_instant().boot_s).name


def test_what_each_systemd_resolved_tells_is_learned(tmp_path: Path, resolved: Resolved) -> None:
    async def run() -> None:
        with closing(Place(tmp_path)) as place:
            names = ToldNames(place.driver)
            names.start()
            for name in ("shop.test", "ads.test"):
                await asyncio.sleep(0)
                resolved.start()
                with await resolved.accept() as end:
                    end.send(tell(name))
                    await until(lambda name=name: name_of_shop(place)() == name)  # type: ignore[misc]
                resolved.stop()
                await until(lambda: names._monitor is None)
            names.stop()
            assert place.failures.count == 0

    asyncio.run(run())


def test_it_is_asked_once_programs_ask_it(tmp_path: Path, resolved: Resolved) -> None:
    nsswitch = tmp_path / "nsswitch"
    nsswitch.write_text("hosts: files dns\n")

    async def run() -> None:
        with closing(Place(tmp_path)) as place:
            resolved.start()
            names = ToldNames(place.driver)
            names.start()
            await asyncio.sleep(0.1)
            assert (names._monitor, place.engine.dns.is_told) == (None, False)
            nsswitch.write_text("hosts: resolve files dns\n")
            with await resolved.accept():
                await until(lambda: place.engine.dns.is_told)
                names.stop()

    asyncio.run(run())


def test_once_it_is_gone_for_long_nobody_waits_for_what_it_tells(
    tmp_path: Path, resolved: Resolved, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(told_names, "GONE_S", 0.0)

    async def run() -> None:
        with closing(Place(tmp_path)) as place:
            resolved.start()
            names = ToldNames(place.driver)
            names.start()
            with await resolved.accept():
                await until(lambda: place.engine.dns.is_told)
            resolved.stop()
            await until(lambda: not place.engine.dns.is_told)
            names.stop()

    asyncio.run(run())


def test_while_it_starts_again_what_it_tells_is_waited_for(tmp_path: Path, resolved: Resolved) -> None:
    async def run() -> None:
        with closing(Place(tmp_path)) as place:
            names = ToldNames(place.driver)
            names.start()
            for _ in range(2):
                await asyncio.sleep(0)
                resolved.start()
                with await resolved.accept():
                    await until(lambda: names._monitor)
                    assert names._gone_timer._handle is None
                resolved.stop()
                await until(lambda: names._monitor is None)
                assert place.engine.dns.is_told
            names.stop()
            assert names._gone_timer._handle is None

    asyncio.run(run())


def test_what_is_not_understood_ends_it_and_is_told(
    tmp_path: Path, resolved: Resolved, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> None:
        with closing(Place(tmp_path)) as place:
            resolved.start()
            names = ToldNames(place.driver)
            names.start()
            with await resolved.accept() as end:
                end.send(b'{"error":"org.varlink.service.PermissionDenied"}\0')
                await until(lambda: caplog.messages)
            names.stop()

    asyncio.run(run())
    assert caplog.messages == [
        "names that programs ask systemd-resolved for are not learned: "
        "systemd-resolved says org.varlink.service.PermissionDenied"
    ]
    caplog.clear()


def test_what_came_before_a_packet_is_heard_before_it_is_judged(tmp_path: Path, resolved: Resolved) -> None:
    async def run() -> None:
        with closing(Place(tmp_path)) as place:
            resolved.start()
            names = ToldNames(place.driver)
            place.driver.start(lambda _now_s: (), names.hear)
            names.start()
            with await resolved.accept() as end:
                await until(lambda: names._monitor)
                end.send(tell("shop.test"))
                place.queue.put(syn(1))
                place.driver._read_connections()
                assert name_of_shop(place)() == "shop.test"
                names.stop()
                names.hear()

    asyncio.run(run())


# The packet may be earlier


def test_where_a_resolver_tells_what_it_answered_it_is_waited_for_a_moment(tmp_path: Path) -> None:
    async def run() -> None:
        with closing(start(Place(tmp_path, "allow shop.test 443 tcp\ndeny - - -\n"))) as place:
            place.driver.feed(LookUpsTold())
            place.queue.put(syn(1))
            await until(lambda: place.driver._early)
            assert not place.queue.sent
            place.driver.feed(LookUpsTold((told_of("shop.test"),)))
            await until(lambda: place.queue.sent)
            assert place.queue.marks == {1: ALLOW_BIT}
            assert (list(place.driver._early), place.failures.count) == ([], 0)

    asyncio.run(run())


def test_what_waits_for_a_name_is_judged_in_its_turn_and_dropped_where_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> None:
        with closing(start(Place(tmp_path, "allow - - -\n"))) as place, caplog.at_level(logging.CRITICAL):
            place.driver.feed(LookUpsTold())
            monkeypatch.setattr(driver, "EARLY_S", 60.0)
            place.queue.put(syn(1))
            await until(lambda: place.driver._early)
            later = place.driver._early[0]
            place.driver._early.appendleft((0.0, later[1]))
            place.driver._judge_early()
            assert list(place.driver._early) == [later]
            await until(lambda: place.queue.sent)
            assert place.queue.sent == [(1, NfVerdict.REPEAT)]
            monkeypatch.setattr(place.engine, "handle", fail_with_emfile)
            place.driver._early[0] = (0.0, later[1])
            place.driver._judge_early()
            await until(lambda: len(place.queue.sent) == 2)
            assert place.queue.sent[1] == (1, NfVerdict.DROP)

    asyncio.run(run())
