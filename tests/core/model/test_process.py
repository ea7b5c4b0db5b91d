"""Who it is, in a word and as a number."""

import pytest

from tests.core.engine.transcript import whose
from tinysnitch.core.model.process import CONTAINERS_FROM, KERNEL, UNKNOWN, exec_id_of, program_of, share_of
from tinysnitch.kernel.bpf.layout import USERS_APART


def test_the_word_for_rules_and_logs() -> None:
    assert [program_of(one) for one in (KERNEL, UNKNOWN, whose())] == ["kernel", "unknown", "/usr/bin/curl"]


def test_unknown_and_the_kernel_have_ids_of_their_own() -> None:
    assert [exec_id_of(one) for one in (UNKNOWN, KERNEL, whose(9))] == [0, 1, 9]


@pytest.mark.parametrize(
    ("uid", "share"), [(0, 0), (1000, 1000), (65_535, 65_535), (65_536, 65_536), (200_000, 65_536)]
)
def test_each_user_has_one_and_those_of_containers_have_one_together(uid: int, share: int) -> None:
    assert share_of(uid) == share


def test_the_kernels_side_has_the_same() -> None:
    assert CONTAINERS_FROM == USERS_APART
