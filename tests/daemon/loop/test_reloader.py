"""Rules and facts are read again when they change; what cannot be read is told and tried again."""

import asyncio
import logging
import select
import threading
from contextlib import closing
from pathlib import Path

import pytest

from tests.core.engine.transcript import flow_of, whose
from tests.daemon.loop.driver_place import Place, fail_with_emfile, until
from tests.daemon.requests.small_handler import ROOT
from tinysnitch.core.engine.events import PacketQueued
from tinysnitch.core.model.errors import SHORTAGE_HINT, SnitchError
from tinysnitch.core.policy.facts import Facts
from tinysnitch.core.rules.rule_line import format_rule, parse_rule
from tinysnitch.daemon.loop import reloader
from tinysnitch.daemon.loop.reloader import Reloader
from tinysnitch.daemon.rules import users as user_ids
from tinysnitch.daemon.rules.facts import FactSource
from tinysnitch.daemon.scheduling.failures import BUG_HINT
from tinysnitch.daemon.scheduling.timers import Throttle
from tinysnitch.kernel.system.clock import read_instant
from tinysnitch.protocol.messages import Notice, Push


def hear_notices(place: Place, told: list[str]) -> None:
    """Collect the notices that a prompt would get."""

    def push(message: Push, _uid: int | None) -> None:
        if isinstance(message, Notice):
            told.append(message.text)

    place.clients._push_message = push  # type: ignore[method-assign]


def test_a_broken_file_and_one_that_cannot_be_read_leave_the_rules(tmp_path: Path) -> None:
    async def run() -> None:
        with closing(Place(tmp_path, "allow - - -\n")) as place:
            place.rules_file.path.write_text("nonsense\n")
            place.reloader.reload_rules()
            place.rules_file.path.unlink()
            place.rules_file.path.mkdir()
            place.reloader.reload_rules()
            assert len(place.engine.rules) == 1
            assert "Is a directory" in place.read_log()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("rules", "what_holds"),
    [("allow - - -\n", "the old rules hold"), ("", "no rule of the file holds until it is mended")],
)
def test_prompts_are_told_of_a_broken_file_until_it_is_mended(tmp_path: Path, rules: str, what_holds: str) -> None:
    told: list[str] = []

    async def run() -> None:
        with closing(Place(tmp_path, rules)) as place:
            hear_notices(place, told)
            for text in ("nonsense\nand more\n", "deny - - -\n", "allow - - -\n"):
                place.rules_file.path.write_text(text)
                place.reloader.reload_rules()

    asyncio.run(run())
    broken = f"the rules file did not load, {what_holds}: {tmp_path / 'rules'}:1:1: not a verdict"
    assert told == [broken, "the rules file loads again"]


def test_each_edit_is_told_once_also_one_that_leaves_the_rules_as_they_are(tmp_path: Path) -> None:
    """A user who saves the file sees that it was read. What an answer writes is told by the answer."""

    async def run() -> None:
        with closing(Place(tmp_path, "allow - - -\n")) as place:
            count = place.read_log().count(" loaded")
            for text in ("allow - - - # all\n", "allow - - - # all\n"):
                (tmp_path / "draft").write_text(text)
                (tmp_path / "draft").rename(place.rules_file.path)
                place.reloader.reload_rules()
                place.reloader.reload_rules()
                count += 1
                assert place.read_log().count(" loaded") == count
            rule = parse_rule("deny - 23 tcp")
            place.rules_file.append(rule)
            place.engine.rules.add(rule, read_instant())
            place.reloader.reload_rules()
            assert place.read_log().count(" loaded") == count

    asyncio.run(run())


def test_processes_are_looked_at_anew_with_the_rules(tmp_path: Path) -> None:
    """New rules may need more facts about them, such as a file's sum."""

    async def run() -> None:
        with closing(Place(tmp_path)) as place:
            before = place.attributor.forgotten
            place.reloader.reload_rules()
            assert place.attributor.forgotten == before + 1

    asyncio.run(run())


def test_rules_that_were_read_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reloader, "AGAIN_S", 0.0)
    reads: list[object] = []

    async def run() -> None:
        with closing(Place(tmp_path, "allow - - -\n")) as place:
            read_rules = place.loader.read_rules
            monkeypatch.setattr(place.loader, "read_rules", lambda rules: reads.append(rules) or read_rules(rules))
            place.reloader.reload_rules()
            for _turn in range(5):
                await asyncio.sleep(0)

    asyncio.run(run())
    assert len(reads) == 1


async def start(place: Place) -> None:
    """Start it; returns once all that is read at the start has been read."""
    await place.reloader.start(place.rules_file.path, place.lists)
    await asyncio.sleep(0.01)


def test_news_of_addresses_are_read(tmp_path: Path) -> None:
    async def run() -> None:
        with closing(Place(tmp_path)) as place:
            await start(place)
            place.loader.facts = Facts()  # as if they had been others
            place.news.put()
            await until(lambda: place.loader.facts.lan)
            assert select.select([place.news], [], [], 0) == ([], [], [])  # else the loop would turn for ever
            assert not place.reloader.is_behind

    asyncio.run(run())


def test_news_that_tell_nothing_new_cost_no_look_at_the_rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel tells of each advertisement of a router, and any machine of the link may send a hundred a second."""
    reads: list[object] = []

    async def run() -> None:
        with closing(Place(tmp_path)) as place:
            await start(place)
            monkeypatch.setattr(place.loader, "read_facts", lambda rules: reads.append(rules) or [])
            place.news.put()
            await until(lambda: select.select([place.news], [], [], 0) == ([], [], []))
            await asyncio.sleep(0)
            assert (reads, place.reloader.is_behind) == ([], False)

    asyncio.run(run())


def test_news_one_after_the_other_are_looked_at_together(tmp_path: Path) -> None:
    """Otherwise a machine that announces networks on the link could make all verdicts stale all the time."""

    async def run() -> None:
        with closing(Place(tmp_path)) as place:
            place.reloader._looks = Throttle(lambda: looks.append(None), burst=3, each_s=1000.0)
            for _ in range(9):
                place.reloader._addresses_changed()

    looks: list[None] = []
    asyncio.run(run())
    assert len(looks) == 3


@pytest.mark.parametrize("file", ["RESOLV_CONF", "HOSTS", "NSSWITCH", "PASSWD", "RESOLVED_UPSTREAMS", "NM_UPSTREAMS"])
def test_what_words_of_rules_stand_for_is_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str) -> None:
    path = tmp_path / "followed" / "file"
    path.parent.mkdir()
    monkeypatch.setattr(reloader, file, path)

    async def run() -> None:
        with closing(Place(tmp_path)) as place:
            await start(place)
            place.loader.facts = Facts()  # as if they had been others
            path.write_text("")
            await until(lambda: place.loader.facts.lan)

    asyncio.run(run())


def test_new_facts_are_read_at_once_and_nothing_is_told_of_it(tmp_path: Path) -> None:
    told: list[str] = []

    async def run() -> None:
        with closing(Place(tmp_path)) as place:
            hear_notices(place, told)
            place.loader.facts = Facts()  # as if they had been others
            place.reloader.refresh_facts()
            assert (bool(place.loader.facts.lan), place.reloader.is_behind, told) == (True, False, [])

    asyncio.run(run())


def test_nothing_is_left_to_be_done_at_the_end(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Another file may have the descriptor of the news then, and the parts that report failures have ended."""

    async def run() -> None:
        with closing(Place(tmp_path)) as place, caplog.at_level(logging.CRITICAL):
            await start(place)
            place.rules_file.path.unlink()
            place.rules_file.path.mkdir()
            place.reloader.reload_rules()
            assert place.reloader._timer._handle
            place.reloader.stop()
            assert place.reloader._timer._handle is None
            assert not asyncio.get_running_loop().remove_reader(place.news.fileno())

    asyncio.run(run())


def test_edits_of_the_rules_file_and_of_lists_are_followed_to_the_end(tmp_path: Path) -> None:
    async def run() -> None:
        with closing(Place(tmp_path)) as place:
            await start(place)
            place.rules_file.path.write_text("deny @ads - -\n")
            await until(lambda: list(map(format_rule, place.engine.rules)) == ["deny @ads - -"])
            place.lists.mkdir()
            (place.lists / "ads").write_text("ads.test\n")
            await until(lambda: "ads" in place.loader.facts.lists)
            place.reloader.stop()
            place.rules_file.path.write_text("")
            place.news.put()
            await asyncio.sleep(0.05)
            assert len(place.engine.rules) == 1

    asyncio.run(run())


@pytest.mark.parametrize("patience_s", [0.0, 60.0])
def test_rules_that_wait_for_a_list_hold_once_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, patience_s: float
) -> None:
    """A start waits for it too, since it would judge without these rules. If that takes long people are told."""
    are_read, told = asyncio.Event(), list[str]()
    monkeypatch.setattr(FactSource, "is_awaited", lambda *_: not are_read.is_set())
    monkeypatch.setattr(reloader, "PATIENCE_S", patience_s)

    async def run() -> None:
        with closing(Place(tmp_path, "deny @ads - -\n")) as place:
            place.clients.lift_notice("")  # of the Place's own look
            hear_notices(place, told)
            starting = asyncio.create_task(start(place))
            await until(lambda: caplog.messages or (patience_s and place.loader.is_waiting))
            place.reloader.refresh_facts()
            assert (len(place.engine.rules), starting.done()) == (0, False)
            are_read.set()
            place.reloader.refresh_facts()
            assert len(place.engine.rules) == 1
            await starting

    asyncio.run(run())
    assert told == [f"{reloader.WAITING}, the old rules hold", "the rules file loads again"]
    assert caplog.messages == ([f"{reloader.WAITING}: until then nothing starts"] if not patience_s else [])


def test_a_name_service_that_hangs_keeps_new_rules_waiting_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_answer, told = threading.Event(), list[str]()
    monkeypatch.setattr(user_ids, "find_uid", lambda _name: 1000 if may_answer.wait(10) else None)
    monkeypatch.setattr(user_ids, "MOMENT_S", 0.0)

    async def run() -> None:
        with closing(Place(tmp_path, "allow - - -\n")) as place:
            hear_notices(place, told)
            place.rules_file.path.write_text("deny user=alice - - -\n")
            place.reloader.reload_rules()
            assert [rule.user for rule in place.engine.rules] == [None]
            assert told == [f"{reloader.WAITING}, the old rules hold"]
            may_answer.set()
            await until(lambda: place.reloader.reload_rules() or not place.loader.is_waiting)
            assert [rule.user for rule in place.engine.rules] == ["alice"]
            assert place.loader.facts.users == {"alice": 1000}

    asyncio.run(run())


@pytest.mark.parametrize("what", ["daemon.rules.facts.read_addresses", "store.rules_file.read_bytes"])
def test_rules_that_could_not_be_read_are_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, what: str
) -> None:
    told: list[str] = []
    tries: list[object] = []
    monkeypatch.setattr(reloader, "AGAIN_S", 0.01)

    def fail(*arguments: object) -> None:
        tries.append(arguments)
        fail_with_emfile()

    async def run() -> None:
        with closing(Place(tmp_path, "allow - - -\n")) as place, caplog.at_level(logging.CRITICAL):
            hear_notices(place, told)
            place.rules_file.path.write_text("deny - - -\n")
            with monkeypatch.context() as broken:
                broken.setattr(f"tinysnitch.{what}", fail)
                place.reloader.reload_rules()
                await until(lambda: len(tries) >= 3)
                assert list(map(format_rule, place.engine.rules)) == ["allow - - -"]
                assert place.read_log().count(reloader.NOT_READ) <= 1
            await until(lambda: list(map(format_rule, place.engine.rules)) == ["deny - - -"])
            assert not place.reloader.is_behind
            assert not place.loader.errors

    asyncio.run(run())
    assert len(told) == 2
    assert "the old ones hold" in told[0] or "the old rules hold: " in told[0]
    assert told[1] == "the rules file loads again"


@pytest.mark.parametrize(
    ("fail", "hint"), [(fail_with_emfile, SHORTAGE_HINT), (lambda *_: [][0], BUG_HINT)], ids=["shortage", "bug"]
)
def test_a_start_that_cannot_read_what_rules_speak_of_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, fail: object, hint: str
) -> None:
    """Otherwise it would wait for ever."""

    async def run() -> None:
        with closing(Place(tmp_path)) as place, monkeypatch.context() as broken:
            place.reloader = Reloader(place.driver, place.loader, place.news, place.mounts)  # type: ignore[arg-type]
            broken.setattr("tinysnitch.daemon.rules.facts.read_addresses", fail)
            with pytest.raises(SnitchError, match=reloader.NO_RULES) as told:
                await asyncio.wait_for(start(place), 10)
            assert told.value.hint == hint

    with caplog.at_level(logging.CRITICAL):
        asyncio.run(run())


def test_after_a_mount_everything_is_decided_anew(tmp_path: Path) -> None:
    """Another file may be at the path of a program. At a limited pace, since users can mount."""

    async def run() -> None:
        with closing(Place(tmp_path, "allow - - -\n")) as place:
            place.reloader._looks_at_mounts = Throttle(place.reloader._look_beside_mounts, burst=1, each_s=0.05)
            await start(place)
            before, forgotten = place.engine.rules.generation, place.attributor.forgotten
            for changes in (1, 2):
                place.mounts.put()
                await until(lambda changes=changes: place.engine.rules.generation >= before + changes)
            assert place.attributor.forgotten > forgotten + 1

    asyncio.run(run())


def test_facts_that_could_not_be_read_are_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(reloader, "AGAIN_S", 0.01)

    async def run() -> None:
        with closing(Place(tmp_path)) as place, caplog.at_level(logging.CRITICAL):
            place.loader.facts = Facts()  # as if they had been others
            with monkeypatch.context() as broken:
                broken.setattr("tinysnitch.daemon.rules.facts.read_addresses", fail_with_emfile)
                place.reloader.refresh_facts()
            assert place.reloader.is_behind
            await until(lambda: place.loader.facts.lan)
            assert reloader.NOT_READ in place.read_log()

    asyncio.run(run())


@pytest.mark.parametrize("text", ["nonsense\n", None])
def test_an_answer_by_hand_holds_while_the_file_does_not_load(tmp_path: Path, text: str | None) -> None:
    """To read the file again, which its writing causes, must not forget the facts for the words of the new rule."""

    async def run() -> None:
        with closing(Place(tmp_path, "allow - - -\nask - 443 tcp\n")) as place:
            place.rules_file.path.unlink()
            if text is not None:
                place.rules_file.path.write_text(text)
            place.reloader.reload_rules()
            place.driver.feed(PacketQueued(1, flow_of(1), whose(uid=0)))
            place.handler.answer(1, "deny user=root 10.0.0.80 443 tcp /usr/bin/curl", ROOT)
            for packet_id, read in ((2, place.reloader.reload_rules), (3, place.reloader.refresh_facts)):
                read()
                place.driver.feed(PacketQueued(packet_id, flow_of(packet_id), whose(uid=0)))
                assert len(place.queue.sent) == packet_id

    asyncio.run(run())


@pytest.mark.parametrize("what", ["replace_file_rules", "set_facts"])
def test_what_the_engine_fails_at_is_told_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, what: str
) -> None:
    """Otherwise the user who added the rule would believe that it is in force."""
    monkeypatch.setattr(reloader, "AGAIN_S", 0.01)
    told: list[str] = []

    async def run() -> None:
        with closing(Place(tmp_path)) as place:
            hear_notices(place, told)
            with monkeypatch.context() as broken:
                broken.setattr(place.engine.rules, what, fail_with_emfile)
                with pytest.raises(SnitchError, match="could not be loaded, and the old rules hold"):
                    place.handler.add_rule("deny user=root 10.0.0.80 443 tcp", ROOT)
            await until(lambda: not place.reloader.is_behind)
            place.driver.feed(PacketQueued(1, flow_of(1), whose(uid=0)))
            assert len(place.queue.sent) == 1

    with caplog.at_level(logging.CRITICAL):
        asyncio.run(run())
    assert told == [f"{reloader.NOT_READ}, the old ones hold", "the rules file loads again"]


def test_an_edit_of_a_group_is_read_and_what_is_wrong_with_it_told(tmp_path: Path) -> None:
    told: list[str] = []
    group = tmp_path / "groups" / "work.rules"

    async def run() -> None:
        with closing(Place(tmp_path, "allow - 80 tcp\n")) as place:
            hear_notices(place, told)
            await start(place)
            reads = place.attributor.forgotten
            group.parent.mkdir()
            (group.parent / "tinysnitch.toml").write_text("")
            group.write_text("deny - 23 tcp\n")
            await until(lambda: len(place.engine.rules) == 2)
            group.write_text("nonsense\n")
            await until(lambda: told)
            assert len(place.engine.rules) == 2
            group.write_text("deny - 25 tcp\ndeny - 26 tcp\n")
            await until(lambda: len(place.engine.rules) == 3)
            group.rename(f"{group}.off")
            await until(lambda: len(place.engine.rules) == 1)
            assert place.attributor.forgotten == reads + 4, "other files in the folder are not ours to read"

    asyncio.run(run())
    broken = f"the group work did not load, the old rules hold: {group}:1:1: not a verdict"
    assert told == [broken, "the group work loads again"]


def test_a_group_that_an_editor_renames_away_stays_for_a_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reloader, "WRITTEN_S", 0.2)
    group = tmp_path / "groups" / "work.rules"

    async def run() -> None:
        with closing(Place(tmp_path)) as place:
            place.handler.add_rule("deny - 23 tcp", ROOT, "work")
            await start(place)
            group.rename(f"{group}~")
            await asyncio.sleep(0.05)
            assert len(place.engine.rules) == 1
            group.write_text("deny - 25 tcp\n")
            await until(lambda: list(map(format_rule, place.engine.rules)) == ["deny - 25 tcp"])
            group.unlink()
            await until(lambda: not len(place.engine.rules))

    asyncio.run(run())
