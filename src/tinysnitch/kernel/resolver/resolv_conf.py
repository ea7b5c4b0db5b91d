"""The resolvers of this machine: those in resolv.conf(5), also in that of a named network namespace, and those that
systemd-resolved or NetworkManager's dnsmasq asks for programs."""

from pathlib import Path

from tinysnitch.core.model.errors import Malformed, unless_short
from tinysnitch.core.model.flow import parse_address
from tinysnitch.kernel.proc.netns import find_netns_names

RESOLV_CONF = Path("/etc/resolv.conf")
NETNS_ETC = Path("/etc/netns")  # ip-netns(8): `ip netns exec NAME` mounts the files of NAME here over those of /etc
# What systemd-resolved(8) writes for programs that want its upstream servers instead of its stub.
RESOLVED_UPSTREAMS = Path("/run/systemd/resolve/resolv.conf")
RESOLVED_STUB = Path("/run/systemd/resolve/stub-resolv.conf")  # names the stub, also where resolv.conf does not
# NetworkManager.conf(5), `dns=dnsmasq`: resolv.conf names that stub, this file the resolvers that the stub asks. It is
# written in other modes too, where programs may ask other resolvers: so it counts only while the stub runs.
NM_UPSTREAMS = Path("/run/NetworkManager/no-stub-resolv.conf")
NM_STUB = Path("/run/NetworkManager/dnsmasq.pid")

# A packet to no address goes to this machine (ip_route_output_key_hash_rcu(), ip6_datagram_connect()).
_MEANT = {parse_address(written): parse_address(meant) for written, meant in (("0.0.0.0", "127.0.0.1"), ("::", "::1"))}
_DEFAULT = frozenset({parse_address("127.0.0.1")})  # resolv.conf(5): where no server is named, the machine itself


def read_resolvers() -> frozenset[bytes]:
    """Packed addresses. Files that can't be read and lines without an address are left out."""
    others = [*find_netns_files(), RESOLVED_UPSTREAMS, RESOLVED_STUB, *([NM_UPSTREAMS] if NM_STUB.exists() else [])]
    return (parse_resolvers(_read(RESOLV_CONF)) or _DEFAULT).union(*(parse_resolvers(_read(other)) for other in others))


def find_netns_files() -> list[Path]:
    """What programs that `ip netns exec` starts in our network namespace have as resolv.conf(5), if it is there. Our
    own may be another: ip-netns(8) hides the cgroups, so we are started there by other means."""
    return [NETNS_ETC / name / "resolv.conf" for name in find_netns_names()]


def parse_resolvers(text: str) -> frozenset[bytes]:
    found: set[bytes] = set()
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] == "nameserver":
            try:
                address = parse_address(words[1].partition("%")[0])
            except Malformed:
                continue
            found.add(_MEANT.get(address, address))
    return frozenset(found)


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError as error:
        return unless_short(error, "")
