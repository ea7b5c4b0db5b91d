import pytest

from tinysnitch.tui.user_names import find_user


@pytest.mark.parametrize(("uid", "name"), [(0, "root"), (4_000_000_000, None)])
def test_users_are_found_by_uid(uid: int, name: str | None) -> None:
    assert find_user(uid) == name
