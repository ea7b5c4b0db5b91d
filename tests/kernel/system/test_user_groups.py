import os
import pwd

import pytest

from tinysnitch.kernel.system import user_groups
from tinysnitch.kernel.system.user_groups import read_groups


@pytest.mark.parametrize("room", [1, 64])
def test_as_python_has_them(monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    monkeypatch.setattr(user_groups, "_ROOM", room)
    for user in pwd.getpwall():
        assert read_groups(user.pw_name, user.pw_gid) == set(os.getgrouplist(user.pw_name, user.pw_gid))
    assert read_groups("nobody-of-that-name", 4_000_000_000) == {4_000_000_000}


def test_a_name_service_that_fails_is_not_asked_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """It fails without a word on the room that it needs."""
    tries: list[str] = []

    class Broken:
        def getgrouplist(self, user: bytes, *_room: object) -> int:
            tries.append(user.decode())
            assert len(tries) < 3
            return -1

    monkeypatch.setattr(user_groups, "_libc", Broken())
    with pytest.raises(OSError, match="groups of a user"):
        read_groups("root", 0)
    assert tries == ["root"]
