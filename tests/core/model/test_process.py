"""Who it is, in a word and as a number."""

import pytest

from tests.core.engine.transcript import whose
from tinysnitch.core.model.process import (
    CONTAINERS_FROM,
    KERNEL,
    UNKNOWN,
    exec_id_of,
    other_file_of,
    program_of,
    share_of,
    uid_of,
    user_of,
)
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


def test_what_has_no_process_has_no_uid_but_takes_the_share_of_a_user() -> None:
    each = (KERNEL, UNKNOWN, whose(uid=1000))
    assert [uid_of(one) for one in each] == [None, None, 1000]
    assert [user_of(one) for one in each] == [0, CONTAINERS_FROM, 1000]


def test_a_path_tells_the_program_unless_another_file_than_the_hosts_runs() -> None:
    assert [other_file_of(one) for one in (KERNEL, whose())] == [None, None]
    inside = whose(is_host_file=False, device=5, inode=6, owners=("container:a",))
    assert other_file_of(inside) == (5, 6, ("container:a",))
