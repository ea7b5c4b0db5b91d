"""What else has a say on this machine's packets and names: other firewalls, resolvers, and who asks them for others."""

from collections.abc import Iterator

from tinysnitch.core.model.errors import SnitchError
from tinysnitch.core.model.flow import format_address
from tinysnitch.doctor.finding import Finding, State, fine, for_root, lacking
from tinysnitch.kernel.netfilter.firewall import describe_others
from tinysnitch.kernel.resolver.name_services import RESOLVED_SOCKET, find_name_services
from tinysnitch.kernel.resolver.resolv_conf import NM_STUB, RESOLV_CONF, RESOLVED_STUB, read_resolvers
from tinysnitch.kernel.resolver.resolved_monitor import RESOLVED_MONITOR, ResolvedMonitor

_STUBS = {"systemd-resolved": RESOLVED_STUB, "NetworkManager's dnsmasq": NM_STUB}
_NO_NAMES = "what systemd-resolved answers from its cache has no name here, and is asked about by address"


def find_network_parts(*, is_root: bool) -> Iterator[Finding]:
    yield _find_other_firewalls() if is_root else for_root("other firewalls")
    yield _find_resolvers()
    for sentence in find_name_services():
        text, _, mend = sentence.rpartition(": ")
        yield Finding("name service", State.NOTE, text, "", mend)
    if RESOLVED_SOCKET.exists():
        yield _find_monitor() if is_root else for_root("resolved monitor")


def _find_other_firewalls() -> Finding:
    try:
        others = describe_others()
    except SnitchError as error:
        return lacking("other firewalls", error, "tinysnitchd does not start")
    if not others:
        return fine("other firewalls", "none")
    follows = "what they drop stays dropped, also if it is allowed here"
    mend = "see `iptables-save` and `nft list ruleset`"
    return Finding("other firewalls", State.NOTE, "; ".join(others), follows, mend)


def _find_resolvers() -> Finding:
    if not RESOLV_CONF.exists():
        follows = "the resolver of this machine itself is asked"
        return Finding("resolvers", State.NOTE, f"there is no {RESOLV_CONF}", follows, f"name one in {RESOLV_CONF}")
    addresses = ", ".join(sorted(map(format_address, read_resolvers())))
    stubs = [name for name, file in _STUBS.items() if file.exists()]
    return fine("resolvers", addresses + (f"; {' and '.join(stubs)} answers here" if stubs else ""))


def _find_monitor() -> Finding:
    try:
        with ResolvedMonitor(RESOLVED_MONITOR):
            return fine("resolved monitor", "tells what systemd-resolved answers")
    except OSError as error:
        problem = f"{RESOLVED_MONITOR}: {error.strerror}"
        return Finding("resolved monitor", State.NOTE, problem, _NO_NAMES, "systemctl restart systemd-resolved")
