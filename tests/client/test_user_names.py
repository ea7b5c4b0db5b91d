from tinysnitch.client.user_names import find_user


def test_names_of_users() -> None:
    assert find_user(0) == "root"
    assert find_user(2**31 - 7) is None
    assert find_user(2**64) is None
