"""How many packets the kernel put into the host's NFQUEUEs, as the kernel itself counts."""

from tests.lab.lab import Lab

# net/netfilter/nfnetlink_queue.c, seq_show()
WAITING_COLUMN = 2  # queue_total
PACKETS_COLUMN = 7  # id_sequence


def count_queued(lab: Lab) -> int:
    """Packets put into any queue of the host's namespace since the queues exist."""
    return _sum(lab, PACKETS_COLUMN)


def count_waiting(lab: Lab) -> int:
    """Packets that have no verdict yet."""
    return _sum(lab, WAITING_COLUMN)


def _sum(lab: Lab, column: int) -> int:
    table = lab.run_outside(["cat", "/proc/net/netfilter/nfnetlink_queue"]).stdout
    assert table, "no queue is bound in the lab"
    return sum(int(line.split()[column]) for line in table.splitlines())
