"""Whose share of a room a user's things take: the shares of the kernel's side (bpf/share.bpf.h) are the same."""

CONTAINERS_FROM = 1 << 16  # uids: USERS_APART in bpf/tinysnitch.h
PEOPLE_FROM = 1000  # those below are of services, as in bpf/crowd.bpf.c


def share_of(uid: int) -> int:
    """All users of containers have one together, since anybody may be any number of these (subuid(5))."""
    return min(uid, CONTAINERS_FROM)
