"""The kernel's own count of the packets that it handed to user space."""

from tests.lab.lab import Lab

PACKETS_COLUMN = 7  # id_sequence: net/netfilter/nfnetlink_queue.c, seq_show()


def count_queued(lab: Lab) -> int:
    """Packets given to any queue of the host's namespace since the queues exist."""
    table = lab.run_outside(["cat", "/proc/net/netfilter/nfnetlink_queue"]).stdout
    assert table, "no queue is bound in the lab"
    return sum(int(line.split()[PACKETS_COLUMN]) for line in table.splitlines())
