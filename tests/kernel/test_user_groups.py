import os
import pwd

import pytest

from tinysnitch.kernel import user_groups
from tinysnitch.kernel.user_groups import read_groups


@pytest.mark.parametrize("room", [1, 64])
def test_as_python_has_them(monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    monkeypatch.setattr(user_groups, "_ROOM", room)
    for user in pwd.getpwall():
        assert read_groups(user.pw_name, user.pw_gid) == set(os.getgrouplist(user.pw_name, user.pw_gid))
    assert read_groups("nobody-of-that-name", 4_000_000_000) == {4_000_000_000}
