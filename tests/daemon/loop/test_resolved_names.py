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
from tests.daemon.loop.driver_place import Place, fail_with_emfile, start, syn, until
from tinysnitch.core.engine.events import LookUpsTold
from tinysnitch.core.model.flow import parse_address
from tinysnitch.daemon.loop import resolved_names as resolved_names
from tinysnitch.kernel.netfilter.rules import ALLOW_BIT
from tinysnitch.kernel.nfqueue import intake
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
    monkeypatch.setattr(resolved_names, "RESOLVED_MONITOR", made.path)
    monkeypatch.setattr(name_services, "RESOLVED_SOCKET", made.path.parent)
    for module in (resolved_names, name_services):
        monkeypatch.setattr(module, "NSSWITCH", tmp_path / "nsswitch")
    yield made
    made.stop()


def name_of_shop(place: Place) -> Callable[[], str | None]:
    return lambda: place.engine.dns.names.find(parse_address(SHOP), read_instant().boot_s).name


def test_what_each_systemd_resolved_tells_is_learned(tmp_path: Path, resolved: Resolved) -> None:
    async def run() -> None:
        with closing(Place(tmp_path)) as place:
            names = place.ports.resolved_names
            names.start()
            for name in ("shop.test", "ads.test"):
                await asyncio.sleep(0)
                resolved.start()
                with await resolved.accept() as end:
                    end.send(tell(name))
                    await until(lambda name=name: name_of_shop(place)() == name)  # type: ignore[misc]
                resolved.stop()
                await until(lambda: not names.is_connected)
            names.stop()
            assert place.failures.count == 0

    asyncio.run(run())


def test_it_is_asked_once_programs_ask_it(tmp_path: Path, resolved: Resolved) -> None:
    nsswitch = tmp_path / "nsswitch"
    nsswitch.write_text("hosts: files dns\n")

    async def run() -> None:
        with closing(Place(tmp_path)) as place:
            resolved.start()
            names = place.ports.resolved_names
            names.start()
            await asyncio.sleep(0.1)
            assert (names.is_connected, place.engine.dns.is_told) == (False, False)
            nsswitch.write_text("hosts: resolve files dns\n")
            with await resolved.accept():
                await until(lambda: place.engine.dns.is_told)
                names.stop()

    asyncio.run(run())


def test_once_it_is_gone_for_long_nobody_waits_for_what_it_tells(
    tmp_path: Path, resolved: Resolved, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolved_names, "GONE_S", 0.0)

    async def run() -> None:
        with closing(Place(tmp_path)) as place:
            resolved.start()
            names = place.ports.resolved_names
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
            names = place.ports.resolved_names
            names.start()
            for _ in range(2):
                await asyncio.sleep(0)
                resolved.start()
                with await resolved.accept():
                    await until(lambda: names.is_connected)
                resolved.stop()
                await until(lambda: not names.is_connected)
                assert place.engine.dns.is_told
            names.stop()

    asyncio.run(run())


def test_what_is_not_understood_ends_it_and_is_told(
    tmp_path: Path, resolved: Resolved, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> None:
        with closing(Place(tmp_path)) as place:
            resolved.start()
            names = place.ports.resolved_names
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
            names = place.ports.resolved_names
            place.driver.start(lambda _now_s: ())
            names.start()
            with await resolved.accept() as end:
                await until(lambda: names.is_connected)
                end.send(tell("shop.test"))
                place.queue.put(syn(1))
                await until(lambda: len(place.engine.prompts))
                (prompt,) = place.engine.open_prompts(read_instant())
                assert prompt.connection.name == "shop.test"
                names.stop()

    asyncio.run(run())


# The packet may be earlier


def test_where_a_resolver_tells_what_it_answered_it_is_waited_for_a_moment(tmp_path: Path) -> None:
    async def run() -> None:
        with closing(start(Place(tmp_path, "allow shop.test 443 tcp\ndeny - - -\n"))) as place:
            place.driver.feed(LookUpsTold())
            place.queue.put(syn(1))
            await until(lambda: place.attributor.asked)
            assert not place.queue.sent
            place.driver.feed(LookUpsTold((told_of("shop.test"),)))
            await until(lambda: place.queue.sent)
            assert place.queue.marks == {1: ALLOW_BIT}
            assert place.failures.count == 0

    asyncio.run(run())


def test_what_waits_for_a_name_is_judged_in_its_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        with closing(start(Place(tmp_path, "allow - - -\n"))) as place:
            place.driver.feed(LookUpsTold())
            for packet_id, early_s in ((1, 60.0), (2, 0.02)):
                monkeypatch.setattr(intake, "EARLY_S", early_s)
                place.queue.put(syn(packet_id, local_port=packet_id))
                await until(lambda count=packet_id: place.attributor.asked == count)  # type: ignore[misc]
            await until(lambda: place.queue.sent)
            assert place.queue.sent == [(2, NfVerdict.REPEAT)]

    asyncio.run(run())


def test_what_waited_for_a_name_is_dropped_where_judging_it_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> None:
        with closing(start(Place(tmp_path, "allow - - -\n"))) as place, caplog.at_level(logging.CRITICAL):
            place.driver.feed(LookUpsTold())
            place.queue.put(syn(1))
            await until(lambda: place.attributor.asked)
            monkeypatch.setattr(place.engine, "handle", fail_with_emfile)
            await until(lambda: place.queue.sent)
            assert place.queue.sent == [(1, NfVerdict.DROP)]

    asyncio.run(run())
