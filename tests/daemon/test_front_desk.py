"""What clients ask, answered by a real engine and driver."""

import asyncio
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.core.transcript import flow_of, inbound, no, whose, yes
from tests.daemon.driver_place import Place
from tinysnitch.core.choice import Choice, Lifetime
from tinysnitch.core.errors import SnitchError
from tinysnitch.core.events import PacketQueued
from tinysnitch.core.verdict import Verdict
from tinysnitch.kernel.nfqueue import NfVerdict


def with_place(folder: Path, use: Callable[[Place], None], rules: str = "") -> None:
    async def run() -> None:
        with closing(Place(folder, rules)) as place:
            use(place)

    asyncio.run(run())


def explain(place: Place, *words: str | int) -> str:
    program, remote, port, protocol = words
    told = place.desk.explain(program, remote, port, protocol)  # type: ignore[arg-type]
    return f"{told.verdict.value}: {told.rule}"


def test_status(tmp_path: Path) -> None:
    def use(place: Place) -> None:
        place.driver.feed(PacketQueued(1, flow_of(1), whose()))
        status = place.desk.status()
        assert (status.mode, status.rules, status.prompts, status.rule_errors) == ("bpf", 1, 1, ())
        assert status.queues == {"connections": 0, "names": 0}
        assert status.losses["packets dropped, queue full"] == 2

    with_place(tmp_path, use, "allow - 80 tcp\n")


def test_rules_are_listed_with_where_they_are_from(tmp_path: Path) -> None:
    def use(place: Place) -> None:
        for number, lifetime in enumerate((Lifetime.QUIT, Lifetime.DAY), 1):
            place.driver.feed(PacketQueued(number, flow_of(number, port=number), whose(pid=1)))
            place.desk.answer(number, no(lifetime), 0)
        assert [entry.source for entry in place.desk.list_rules()] == ["file", "quit", "temporary"]

    with_place(tmp_path, use, "allow - 80 tcp\n")


def test_rules_are_added_and_removed(tmp_path: Path) -> None:
    def use(place: Place) -> None:
        assert place.desk.add_rule("deny  - 23  tcp", 0) == "deny - 23 tcp"
        assert len(place.engine.rules) == 1
        assert place.desk.remove_rule("deny - 23 tcp", 0) == "deny - 23 tcp"
        assert len(place.engine.rules) == 0
        with pytest.raises(SnitchError, match="there is no rule"):
            place.desk.remove_rule("deny - 23 tcp", 0)

    with_place(tmp_path, use)


def test_a_temporary_rule_is_removed_by_its_line(tmp_path: Path) -> None:
    def use(place: Place) -> None:
        place.driver.feed(PacketQueued(1, flow_of(1), whose()))
        place.desk.remove_rule(place.desk.answer(1, yes(Lifetime.DAY), 0), 0)
        assert len(place.engine.rules) == 0

    with_place(tmp_path, use)


def test_a_change_of_a_file_that_does_not_load_is_no_success(tmp_path: Path) -> None:
    def use(place: Place) -> None:
        place.rules_file.path.write_text("nonsense\ndeny - 23 tcp\n")
        for change in (place.desk.add_rule, place.desk.remove_rule):
            with pytest.raises(SnitchError, match=r"does not load, and the old rules hold: .*:1:"):
                change("deny - 23 tcp", 0)

    with_place(tmp_path, use)


def test_questions_are_listed_answered_and_closed(tmp_path: Path) -> None:
    def use(place: Place) -> None:
        place.desk.attach(1, 0)
        place.driver.feed(PacketQueued(1, flow_of(1), whose()))
        assert [ask.prompt_id for ask in place.desk.list_asks()] == [1]
        assert place.desk.answer(1, yes(), 1000) == "allow 10.0.0.80 443 tcp /usr/bin/curl ()"
        assert place.queue.sent == [(1, NfVerdict.REPEAT)]
        place.desk.detach(1)
        with pytest.raises(SnitchError, match="question 1 is not open: answered by uid 1000"):
            place.desk.answer(1, yes(), 0)
        with pytest.raises(SnitchError, match=r"question 9 is not open$"):
            place.desk.answer(9, yes(), 0)
        assert place.desk.read_history(2)

    with_place(tmp_path, use)


def test_a_rule_by_hand_must_speak_of_what_waits(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("/usr/bin/curl")

    def use(place: Place) -> None:
        who = whose(program=str(Path("/usr/bin/curl").resolve()))
        place.driver.feed(PacketQueued(1, flow_of(1), who))
        for line in ("allow 10.0.0.9 443 tcp", "allow until=2001-01-01T00:00:00Z - - -"):
            with pytest.raises(SnitchError, match="says nothing of the connection"):
                place.desk.answer(1, line, 0)
        assert place.desk.answer(1, f"allow - 443 tcp {link}", 0) == f"allow - 443 tcp {link}"
        assert place.queue.sent == [(1, NfVerdict.REPEAT)]

    with_place(tmp_path, use)


@pytest.mark.parametrize("answer", ["ask - - -", Choice(verdict=Verdict.ASK)])
def test_ask_is_no_answer(tmp_path: Path, answer: Choice | str) -> None:
    def use(place: Place) -> None:
        place.driver.feed(PacketQueued(1, flow_of(1), whose()))
        with pytest.raises(SnitchError, match="`ask` is no answer"):
            place.desk.answer(1, answer, 0)
        assert len(place.desk.list_asks()) == 1

    with_place(tmp_path, use)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("/usr/bin/curl", "shop.test", 443, "tcp"), "allow: allow *.shop.test 443 tcp"),
        (("/usr/bin/curl", "Shop.Test.", 443, "tcp"), "allow: allow *.shop.test 443 tcp"),
        (("/usr/bin/curl", "10.1.2.3", 443, "tcp"), "deny: deny 10.0.0.0/8 - -"),
        (("/usr/sbin/sshd", "10.0.0.5", 22, "tcp-src"), "allow: allow 10.0.0.5 22 tcp-src"),
        (("kernel", "10.0.0.5", 0, "icmp-src"), "allow: allow - - icmp-src kernel"),
        (("kernel", "2001:db8::1", 0, "icmp-src"), "allow: allow - - icmp-src kernel"),
        (("unknown", "shop.test", 53, "udp"), "ask: None"),
    ],
)
def test_explain(tmp_path: Path, words: tuple[str | int, ...], told: str) -> None:
    rules = "allow *.shop.test 443 tcp\ndeny 10.0.0.0/8 - -\nallow 10.0.0.5 22 tcp-src\nallow - - icmp-src kernel\n"
    with_place(tmp_path, lambda place: _same(explain(place, *words), told), rules)


def _same(told: str, wanted: str) -> None:
    assert told == wanted


def test_explain_follows_links_as_the_kernel_does(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.touch()
    link.symlink_to(target)
    rules = f"allow - - - {target}\n"
    with_place(tmp_path, lambda place: _same(explain(place, str(link), "a.test", 1, "tcp")[:5], "allow"), rules)


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("/bin/a", "shop.test", 443, "tpc"), "'tpc' is no protocol"),
        (("/bin/a", "shop.test", 443, "-"), "every protocol"),
        (("/bin/a", "shop.test", 443, "tcp udp"), "no protocol"),
        (("/bin/a", "shop.test", 443, "'"), "no protocol"),
        (("/bin/a", "shop.test", 65536, "tcp"), "65536 is no port"),
        (("/bin/a", "shop.test", -1, "udp"), "-1 is no port"),
        (("/bin/a", "shop.test", 0, "tcp"), "0 is no port"),
        (("/bin/a", "shop.test", 80, "icmp"), "80 is no port for icmp"),
        (("/bin/a", "10.0.0.0/8", 80, "tcp"), "more than one remote"),
        (("/bin/a", "*.shop.test", 80, "tcp"), "more than one remote"),
        (("/bin/a", "@ads", 80, "tcp"), "more than one remote"),
        (("/bin/a", "a\nb", 80, "tcp"), "no remote"),
        (("curl", "shop.test", 80, "tcp"), "no program"),
    ],
)
def test_explain_refuses_what_it_cannot_mean(tmp_path: Path, words: tuple[str | int, ...], problem: str) -> None:
    def use(place: Place) -> None:
        with pytest.raises(SnitchError, match=problem) as caught:
            explain(place, *words)
        assert caught.value.hint

    with_place(tmp_path, use)


def test_what_the_engine_cannot_answer_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def use(place: Place) -> None:
        place.driver.feed(PacketQueued(1, inbound(), whose()))
        monkeypatch.setattr(place.engine, "handle", lambda *_event: 1 // 0)
        with pytest.raises(SnitchError, match="could not be answered"):
            place.desk.answer(1, yes(), 0)
        assert place.driver.failed == 1

    with_place(tmp_path, use)
