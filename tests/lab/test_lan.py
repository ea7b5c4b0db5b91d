"""`lan` in a network that gives addresses by DHCPv6 alone: they have no prefix, and the router tells the link's."""

import pytest

from tests.lab.lab import Lab
from tests.lab.patience import wait_until
from tests.lab.world import HOST6, WORLD6

pytestmark = [pytest.mark.privileged]

NOT_CONNECTED = 7  # curl(1)
GIVEN6 = "fd77::14e"
# What DHCP clients do.
MOVE_IN = f"""
ip -6 address del {HOST6}/64 dev eth0
ip -6 route add fd77::/64 dev eth0 proto ra
ip -6 address add {GIVEN6}/128 dev eth0 nodad
"""


def test_a_neighbour_belongs_to_the_lan_where_our_address_has_no_prefix(lab: Lab) -> None:
    daemon = lab.start_daemon("deny lan 80 tcp\nallow - 80 tcp\nallow localhost 53 tcp\n", timeout_s=0)
    assert lab.run_outside(["sh", "-ec", MOVE_IN]).stderr == ""
    wait_until(lambda: "allow localhost" in daemon.cli("explain", "/usr/bin/curl", GIVEN6, "53", "tcp").stdout)
    assert lab.run(["curl", "-sS", "--max-time", "30", f"http://[{WORLD6}]/"]).returncode == NOT_CONNECTED
    assert daemon.wait_connection(remote_address=WORLD6, remote_port=80)["verdict"] == "deny"
