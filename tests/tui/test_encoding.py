import pytest

from tinysnitch.tui.encoding import fit_columns, fit_encoding


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("utf-8", "██── 5 s, /usr/…/é (↓ →) ▸▁▄▇"),
        ("latin-1", "##-- 5 s, /usr/~/é (v >) >_=%"),
        ("ascii", "##-- 5 s, /usr/~/é (v >) >_=%"),
    ],
)
def test_our_own_signs_become_ascii_where_they_cannot_be_said(encoding: str, shown: str) -> None:
    assert fit_encoding("██── 5 s, /usr/…/é (↓ →) ▸▁▄▇", encoding) == shown


@pytest.mark.parametrize(("encoding", "shown"), [("utf-8", "…/中́/é"), ("latin-1", "~/??/é"), ("ascii", "~/??/?")])
def test_what_cannot_be_said_takes_no_more_columns(encoding: str, shown: str) -> None:
    assert fit_columns("…/中́/é", encoding) == shown
