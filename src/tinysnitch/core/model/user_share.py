"""Shares of bounded tables, one for each user, as on the kernel's side (bpf/include/quota.bpf.h)."""

CONTAINERS_FROM = 1 << 16  # uids from here on are of containers: USERS_APART in bpf/include/tinysnitch.h


def share_of(uid: int) -> int:
    """The share of a user. All uids of containers share one, since any user may have any number of them (subuid(5))."""
    return min(uid, CONTAINERS_FROM)
