"""What is told beside a question is the sum of the rows of its user, program and domain, and of no other."""

import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.store.traffic.rows import make_row
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.core.model.flow import parse_address
from tinysnitch.core.model.past import Past, PastQuestion
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.traffic.row import TrafficRow
from tinysnitch.store.traffic.traffic_reader import TrafficReader
from tinysnitch.store.traffic.traffic_store import TrafficStore

NOW = time.mktime((2026, 12, 2, 12, 30, 0, 0, 0, -1))
CURL, GIT, ODD = "/usr/bin/curl", "/usr/bin/git", "/opt/\udcff\n"
ADDRESS = parse_address("2001:db8::1")
ROWS = (
    make_row(NOW - 7200, 40),
    make_row(NOW, 2, name="www.shop.test"),
    make_row(NOW, 3, name="shop.test", verdict=Verdict.DENY),
    make_row(NOW, 9, name="notshop.test"),
    make_row(NOW, 7, uid=1001),
    make_row(NOW, 99, program=GIT, uid=0),
    make_row(NOW, 5, program=GIT),
    make_row(NOW, 8, program=ODD, name=None, remote=ADDRESS, uid=None),
    make_row(NOW, 50, program=GIT, name="denied.test", verdict=Verdict.DENY),
)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("sums") / "traffic.sqlite"
    write(made, *ROWS)
    return made


def write(path: Path, *rows: TrafficRow) -> None:
    with closing(TrafficStore(path)) as store:
        assert store.write(rows, NOW).lost == 0


@pytest.mark.parametrize(
    ("program", "uid", "remote", "past"),
    [
        (CURL, 1000, "api.shop.test", Past(domain="shop.test", allowed=42, denied=3, other=GIT, other_allowed=5)),
        (GIT, 1000, "shop.test", Past(domain="shop.test", allowed=5, other=CURL, other_allowed=42)),
        ("/bin/new", 1000, "shop.test", Past(domain="shop.test", other=CURL, other_allowed=42)),
        ("/bin/new", 1001, "shop.test", Past(domain="shop.test", other=CURL, other_allowed=7)),
        ("/bin/new", 1002, "shop.test", Past(domain="shop.test")),
        (CURL, 1000, "new.test", Past(domain="new.test")),
        ("unknown", None, ADDRESS, Past(domain="2001:db8::1", other=ODD, other_allowed=8)),
        (ODD, None, ADDRESS, Past(domain="2001:db8::1", allowed=8)),
        (CURL, 1000, "denied.test", Past(domain="denied.test")),
    ],
)
def test_own_rows_are_counted_and_the_other_program_that_was_allowed_most(
    path: Path, program: str, uid: int | None, remote: str | bytes, past: Past
) -> None:
    assert TrafficReader(path).find_pasts([PastQuestion(3, program, uid, remote)]) == {3: past}


def test_nothing_is_told_while_there_is_no_history(tmp_path: Path) -> None:
    question = PastQuestion(1, CURL, 1000, "shop.test")
    with pytest.raises(SnitchError):
        TrafficReader(tmp_path / "none").find_pasts([question])
    write(tmp_path / "empty")
    assert TrafficReader(tmp_path / "empty").find_pasts([question]) == {}
