import os
import resource
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tinysnitch.core.model.errors import SnitchError
from tinysnitch.core.rules.learned_line import LEARN, PAUSE, split_learned
from tinysnitch.core.rules.rule_line import parse_rules
from tinysnitch.store import learned_rules
from tinysnitch.store.learned_rules import CROWD, LearnedRules
from tinysnitch.store.whole_file import read_text

ONE, TWO = "allow a.example 443 tcp /bin/x", "allow b.example - udp /bin/x $'\\xff'"


SINCE_S = 1_700_000_000.0
NOTE = f" # {PAUSE} since 2023-11-14T22:13:20Z"


def lines_of(path: Path) -> list[str]:
    """The rules, without what is noted of each."""
    return [split_learned(line)[0] for line in read_text(path).splitlines()[1:]]


def add(learned: LearnedRules, rule: str, *wider: str) -> None:
    learned.add(rule, PAUSE, SINCE_S, wider)


def learn(path: Path, *lines: str) -> LearnedRules:
    learned = LearnedRules(path)
    for line in lines:
        add(learned, line)
    learned.flush()
    return learned


@contextmanager
def limited_files(size: int) -> Iterator[None]:
    """Limit the size of files (setrlimit(2)): write(2) writes up to the limit, and fails there."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_each_line_stands_there_once_also_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "learned.rules"
    learn(path, ONE, ONE).flush()
    assert lines_of(path) == [ONE]
    learned = learn(path, ONE, TWO)
    assert (lines_of(path), learned.lost) == ([ONE, TWO], 0)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_many_lines_that_another_covers_are_that_one_at_last(tmp_path: Path) -> None:
    path = tmp_path / "learned.rules"
    learned, wider = LearnedRules(path), "allow - 22 tcp-src /usr/sbin/sshd"
    visits = [f"allow 198.51.100.{number} 22 tcp-src /usr/sbin/sshd" for number in range(CROWD + 2)]
    for line in (*visits, *visits):
        add(learned, line, wider, "allow never - -")
    learned.flush()
    assert lines_of(path) == [*visits[:CROWD], wider]
    again = LearnedRules(path)
    add(again, "allow 203.0.113.1 22 tcp-src /usr/sbin/sshd", wider)
    again.flush()
    assert lines_of(path) == [*visits[:CROWD], wider]


def test_each_line_says_why_it_passed_and_since_when(tmp_path: Path) -> None:
    """A line of an earlier build has no such comment, and what looks like one may be an argument."""
    path, echo = tmp_path / "learned.rules", "allow - - - /bin/sh -c 'echo # pause since noon'"
    path.write_text(f"# head\n{echo}\n")
    learned = learn(path, ONE, echo)
    learned.add(TWO, LEARN, SINCE_S + 60)
    learned.flush()
    written = read_text(path).splitlines()[1:]
    assert written == [echo, f"{ONE}{NOTE}", f"{TWO} # {LEARN} since 2023-11-14T22:14:20Z"]
    assert [split_learned(line)[1] for line in written] == [
        "",
        NOTE.removeprefix(" # "),
        "learn since 2023-11-14T22:14:20Z",
    ]


def test_the_file_is_a_rules_file(tmp_path: Path) -> None:
    path = tmp_path / "learned.rules"
    learn(path, ONE, TWO)
    rules, errors = parse_rules(read_text(path), str(path))
    assert (len(rules), errors) == (2, [])


def test_nothing_is_made_before_something_is_learned(tmp_path: Path) -> None:
    learn(tmp_path / "learned.rules")
    assert list(tmp_path.iterdir()) == []


def test_what_was_cut_off_goes(tmp_path: Path) -> None:
    """After a power cut: `... /bin/sh` would match more than `... /bin/sh script`."""
    path = tmp_path / "learned.rules"
    learn(path, ONE)
    with path.open("a") as file:
        file.write("allow - - - /bin/sh")
    learn(path, TWO)
    assert lines_of(path) == [ONE, TWO]


def test_a_file_that_is_taken_away_is_made_anew_with_what_is_new(tmp_path: Path) -> None:
    path = tmp_path / "learned.rules"
    learned = learn(path, ONE)
    path.unlink()
    add(learned, ONE)
    add(learned, TWO)
    learned.flush()
    assert lines_of(path) == [TWO]


def test_beyond_its_size_lines_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "learned.rules"
    monkeypatch.setattr(learned_rules, "MAX_BYTES", len(f"{ONE}{NOTE}") + 1)
    learned = learn(path, ONE, TWO, ONE, TWO)
    assert (lines_of(path), learned.lost) == ([ONE], 2)
    assert learn(path, ONE, TWO).lost > 0  # its header counts after a restart


def test_what_has_no_room_is_counted_and_comes_back_with_its_next_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "learned.rules"
    monkeypatch.setattr(
        learned_rules, "MAX_BYTES", len(f"{ONE}{NOTE}\n{TWO}{NOTE}\n")
    )  # what is not there takes no room
    before = os.listdir("/proc/self/fd")
    learned = learn(path, ONE)
    with limited_files(path.stat().st_size + 5):
        for _ in range(2):
            add(learned, TWO)
            learned.flush()
    assert (lines_of(path), learned.lost) == ([ONE], 2)
    assert caplog.text.count("learned.rules cannot be written: File too large") == 1
    add(learned, TWO)
    learned.flush()
    assert (lines_of(path), learned.lost) == ([ONE, TWO], 2)
    assert os.listdir("/proc/self/fd") == before


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("elsewhere")])
def test_what_is_no_file_is_told_and_nothing_waits_for_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, make: Callable[[Path], None]
) -> None:
    path = tmp_path / "learned.rules"
    make(path)
    assert learn(path, ONE).lost == 1
    assert "learned.rules cannot be written: " in caplog.text
    assert [entry.name for entry in tmp_path.iterdir()] == ["learned.rules"]


def test_what_is_taken_off_is_learned_again_when_it_passes_again(tmp_path: Path) -> None:
    learned = learn(tmp_path / "learned.rules", ONE, ONE, TWO)
    assert [(rule, learned.counts[rule]) for rule, _about in learned.lines()] == [(ONE, 2), (TWO, 1)]
    assert learned.lines()[0][1] == NOTE.removeprefix(" # ")
    learned.forget([ONE])
    assert lines_of(learned.path) == [TWO]
    add(learned, TWO)
    add(learned, ONE)
    assert [(rule, learned.counts[rule]) for rule, _about in learned.lines()] == [(TWO, 2), (ONE, 1)]
    assert LearnedRules(tmp_path / "none").lines() == []
    with pytest.raises(SnitchError):
        LearnedRules(tmp_path).lines()
