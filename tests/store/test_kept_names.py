from pathlib import Path

import pytest

from tinysnitch.core.dns.known_name import KnownName
from tinysnitch.core.model.name_source import NameSource
from tinysnitch.store.kept_names import Asker, KeptName, KeptNames

KNOWN = KnownName(
    address=bytes(16),
    name="shop.test",
    number=7,
    expires_s=10.5,
    kept_until_s=20.5,
    askers=(),
    source=NameSource.MDNS,
    aliases=("alias.test",),
)
SHOP = KeptName(KNOWN, (Asker(pid=12, started_ns=1198408488615, number=7),))


def test_names_are_taken_once_within_the_boot(tmp_path: Path) -> None:
    kept = KeptNames(tmp_path / "names")
    assert kept.take("one") == ()
    kept.replace("one", [SHOP])
    assert kept.take("one") == (SHOP,)
    assert kept.take("one") == ()


def test_the_ends_of_another_boot_say_nothing(tmp_path: Path) -> None:
    kept = KeptNames(tmp_path / "names")
    kept.replace("one", [SHOP])
    assert kept.take("two") == ()
    assert not kept.path.exists()


def test_a_file_that_was_cut_off_holds_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    kept = KeptNames(tmp_path / "names")
    kept.replace("one", [SHOP])
    text = kept.path.read_bytes()
    for size in range(len(text)):
        kept.path.write_bytes(text[:size])
        assert kept.take("one") == ()
        assert not kept.path.exists()
    assert "names are learned anew" in caplog.text


@pytest.mark.parametrize("text", [b"\xff", b"[]", b'{"boot_id": "one", "names": [["", 1]]}'])
def test_what_is_no_such_file_is_taken_away(tmp_path: Path, caplog: pytest.LogCaptureFixture, text: bytes) -> None:
    kept = KeptNames(tmp_path / "names")
    kept.path.write_bytes(text)
    assert kept.take("one") == ()
    assert not kept.path.exists()
    assert "cannot be read" in caplog.text
