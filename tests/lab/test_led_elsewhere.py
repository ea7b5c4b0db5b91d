"""A program sets a source route on a connection that was judged before (ip(7), RFC 3542 7): its packets do not leave
for another machine.
"""

import pytest

from tests.lab.lab import Lab
from tests.lab.patience import WAIT_S, wait_listening
from tests.lab.watched_lab import PYTHON
from tests.lab.world import HOST4, HOST6, WORLD4, WORLD6

pytestmark = [pytest.mark.privileged, pytest.mark.slow]

SECRET = "what nobody was asked about"
LISTEN = f"""
import socket, sys
tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))  # ETH_P_ALL
tap.bind(("eth0", 0))
tap.settimeout(float(sys.argv[1]))
print("listening", flush=True)
try:
    while {SECRET.encode()!r} not in tap.recv(65535):
        pass
    print("heard")
except TimeoutError:
    print("silence")
"""
CONNECT_TO_ITSELF = """
import socket, sys
own, hop = sys.argv[1:]
server = socket.create_server((own, 0), family=family)
client = socket.create_connection(server.getsockname()[:2])
"""
# A strict source route with one hop behind the address. Setting IP_TOS drops the cached route, so that it counts.
LEAD_V4 = (
    "family = 2"
    + CONNECT_TO_ITSELF
    + """
client.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, bytes([131, 7, 4]) + socket.inet_aton(hop) + bytes(1))
client.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 0x10)
"""
)
# A segment route (RFC 8754) that is at its end when it leaves: the address in the header is the hop's.
LEAD_V6 = (
    "family = 10"
    + CONNECT_TO_ITSELF
    + """
route = bytes([0, 2, 4, 0, 0, 0, 0, 0]) + socket.inet_pton(socket.AF_INET6, hop)
client.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RTHDR, route)
"""
)
# A segment route that is not at its end: the connection's own remote is the segment that follows.
LEAD_V6_ON = (
    "family = 10"
    + CONNECT_TO_ITSELF
    + """
segments = bytes(16) + socket.inet_pton(socket.AF_INET6, hop)
client.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RTHDR, bytes([0, 4, 4, 1, 1, 0, 0, 0]) + segments)
"""
)
SEND = f"client.send({SECRET.encode()!r})"


@pytest.mark.parametrize(
    ("script", "own", "hop"),
    [(LEAD_V4, HOST4, WORLD4), (LEAD_V6, HOST6, WORLD6), (LEAD_V6_ON, HOST6, WORLD6)],
    ids=["v4", "v6", "v6 on its way"],
)
@pytest.mark.parametrize("is_judged", [False, True])
def test_what_a_connection_sends_goes_where_it_was_judged_to_go(
    lab: Lab, script: str, own: str, hop: str, is_judged: bool
) -> None:
    if is_judged:
        daemon = lab.start_daemon("allow localhost - -\nallow localhost - -src\n", timeout_s=0)
    world = lab.spawn_world([PYTHON, "-c", LISTEN, str(2 if is_judged else WAIT_S)])
    wait_listening(world)
    done = lab.run([PYTHON, "-c", script + SEND, own, hop])  # as root: some kernels ask for CAP_NET_RAW
    assert done.stderr == ""
    assert world.communicate(timeout=WAIT_S)[0] == ("silence\n" if is_judged else "heard\n")
    if is_judged:
        daemon.wait_for(lambda record: record["event"] == "lost" and record["what"] == "packets not parsed")
