from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.daemon.requests.small_desk import make_prompt
from tinysnitch.daemon.startup.prompt_numbers import find_first_number
from tinysnitch.protocol.framing import encode_object
from tinysnitch.protocol.log_lines import ask_line_of
from tinysnitch.store.history import BATCH, History


@pytest.fixture(name="history")
def _history(tmp_path: Path) -> Iterator[History]:
    history = History(tmp_path / "history.db")
    yield history
    history.close()


def note_ask(history: History, number: int) -> None:
    history.append(encode_object(ask_line_of(msgspec.structs.replace(make_prompt(), prompt_id=number))))


def test_a_number_is_beyond_all_that_were_given(history: History) -> None:
    """Also beyond those that a killed daemon had not written yet."""
    for number in (500, 501):
        note_ask(history, number)
    history.append(b'{"event":"lost"}')
    history.flush()
    assert find_first_number(history, 100.5) == 502 + BATCH
    assert find_first_number(history, 10_000.5) == 10_000


@pytest.mark.parametrize("line", [None, b'{"event":"ask","id":7', b'{"event":"ask","id":"x"}', b'{"event":"lost"}'])
def test_without_a_question_in_the_history_it_is_the_time(history: History, line: bytes | None) -> None:
    if line:
        history.append(line)
        history.flush()
    assert find_first_number(history, 100.5) == 100


def test_a_broken_history_hinders_no_start_and_a_new_one_is_begun(history: History, tmp_path: Path) -> None:
    history.close()
    (tmp_path / "history.db").write_bytes(b"x" * 9000)
    assert find_first_number(history, 100.5) == 100
    assert (tmp_path / "history.db.broken").exists()
