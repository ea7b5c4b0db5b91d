import os
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tinysnitch.store.rule_numbers import SPARE, RuleNumbers


@contextmanager
def opened(folder: Path) -> Iterator[RuleNumbers]:
    with closing(RuleNumbers(folder / "state" / "rule-numbers")) as numbers:
        yield numbers


def test_a_line_has_one_number_over_restarts_and_no_other_line_gets_it(tmp_path: Path) -> None:
    with opened(tmp_path) as numbers:
        assert [numbers.get(line) for line in ("allow a", "allow b", "allow a")] == [1, 2, 1]
        assert numbers.get("allow a", "games") == 3, "the same line of another group"
        assert stat.S_IMODE(numbers.path.stat().st_mode) == 0o600
    with opened(tmp_path) as numbers:
        assert [numbers.find(number) for number in (0, 1, 3, 4)] == [None, ("", "allow a"), ("games", "allow a"), None]
        assert [numbers.was_given(number) for number in (0, 1, 3, 4)] == [False, True, True, False]
        assert [numbers.get(line) for line in ("allow c", "allow b")] == [4, 2]


def test_numbers_of_lines_that_are_gone_are_forgotten_and_not_given_again(tmp_path: Path) -> None:
    with opened(tmp_path) as numbers:
        for number in range(SPARE + 5):
            numbers.get(f"allow - {number} tcp")
        numbers.forget_others({1, 2})
        assert numbers.find(3) is None
        assert numbers.get("allow - 2 tcp") == SPARE + 6
        assert len(numbers.path.read_text().splitlines()) == 4
    with opened(tmp_path) as numbers:
        assert (numbers.get("allow - 1 tcp"), numbers.get("new")) == (2, SPARE + 7)
        numbers.forget_others({2})
        assert numbers.find(SPARE + 7) == ("", "new"), "few are gone"


def test_half_of_a_line_after_a_power_cut_names_no_rule(tmp_path: Path) -> None:
    with opened(tmp_path) as numbers:
        numbers.get("allow a")
        numbers.get("deny b")
        path = numbers.path
    path.write_bytes(path.read_bytes()[:-3])
    with opened(tmp_path) as numbers:
        assert [numbers.find(number) for number in (1, 2)] == [("", "allow a"), None]
        assert numbers.get("deny c") == 2  # nobody was told of the other one
    with opened(tmp_path) as numbers:
        assert numbers.find(2) == ("", "deny c")


def test_bytes_of_any_text_come_back(tmp_path: Path) -> None:
    for _ in range(2):
        with opened(tmp_path) as numbers:
            assert numbers.get("allow \udcff é") == 1


def test_what_cannot_be_read_gives_no_numbers_which_could_be_those_of_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "state" / "rule-numbers").mkdir(parents=True)
    with opened(tmp_path) as numbers:
        assert (numbers.get("allow a"), numbers.get("allow b"), numbers.find(1)) == (None, None, None)
    assert caplog.text.count("Is a directory; rules have no numbers") == 1


def test_a_number_that_cannot_be_kept_is_not_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with opened(tmp_path) as numbers:
        numbers.get("allow a")
        write = os.write
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", lambda fd, data: write(fd, data[:4]))
            assert numbers.get("allow b") is None
        assert (numbers.get("allow b"), numbers.get("allow c")) == (2, 3)
        assert numbers.path.read_text() == "1\t\tallow a\n2\t\tallow b\n3\t\tallow c\n"
    assert "No space left on device; rules have no numbers" in caplog.text
