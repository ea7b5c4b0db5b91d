import pytest

from tinysnitch.core.model.user_share import CONTAINERS_FROM, share_of
from tinysnitch.kernel.bpf.structs import USERS_APART


@pytest.mark.parametrize(
    ("uid", "share"), [(0, 0), (1000, 1000), (65_535, 65_535), (65_536, 65_536), (200_000, 65_536)]
)
def test_each_user_has_one_and_those_of_containers_have_one_together(uid: int, share: int) -> None:
    assert share_of(uid) == share


def test_the_kernels_side_has_the_same() -> None:
    assert CONTAINERS_FROM == USERS_APART
