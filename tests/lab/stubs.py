"""Stub resolvers, as Debian ships them: programs ask them on a loopback address of the host, and they ask the world.

Each runs in the judged cgroup, as it does on a real machine.
"""

from collections.abc import Callable
from pathlib import Path

from tests.lab.lab import Lab
from tests.lab.patience import wait_until
from tests.lab.world import WORLD4
from tests.repo.tree import ROOT

RESOLVED = ROOT / ".venv" / "resolved"  # unpacked by packaging/setup.sh
_RESOLVED_UID = 991
UNUSED = "n6.cdn.test"  # a name that no test asks for, so that it may be cached

_DNSMASQ = f"""
no-hosts
no-resolv
server={WORLD4}
port=53
listen-address=127.0.0.1
bind-interfaces
user=root
log-facility=-
"""

# `test.` is a zone of its own in unbound (RFC 6761 6.2), as nothing should ask for it.
_UNBOUND = f"""
server:
  interface: 127.0.0.1
  port: {{port}}
  username: ""
  chroot: ""
  pidfile: ""
  do-daemonize: no
  use-syslog: no
  verbosity: 1
  module-config: "iterator"
  local-zone: "test." nodefault
  unknown-server-time-limit: 10000  # ms; else it closes its socket on a slow machine before that is looked up
forward-zone:
  name: "."
  forward-addr: {WORLD4}
"""

_RESOLVED = f"""[Resolve]
DNS={WORLD4}
Domains=shared.test
DNSSEC=no
"""

# $1: the lab's folder, $2: the user, $3: where systemd-resolved was unpacked. It tells only a service manager that it
# is ready, so the script waits for the resolv.conf that it writes once its sockets are bound.
_START_RESOLVED = """
mount --bind "$1/passwd" /etc/passwd
mount --bind "$1/group" /etc/group
mount -t tmpfs run /run
mkdir -p /run/systemd/resolve /run/systemd/resolved.conf.d
chown "$2:$2" /run/systemd/resolve
cp "$1/resolved.conf" /run/systemd/resolved.conf.d/
libraries=$(dirname "$(find "$3" -name 'libsystemd-shared-*.so')")
LD_LIBRARY_PATH=$libraries "$3/usr/lib/systemd/systemd-resolved" &
until [ -e /run/systemd/resolve/stub-resolv.conf ]; do kill -0 $!; sleep 0.05; done
echo ready
wait
"""


def start_stub(lab: Lab, kind: str) -> str:
    """Start a stub, and name it in resolv.conf; its address. To be called before the daemon starts."""
    address = _STARTS[kind](lab)
    _wait_answering(lab, address)
    set_resolvers(lab, address)
    return address


def _wait_answering(lab: Lab, address: str) -> None:
    """Wait for an answer: systemd-resolved listens before it knows of a network, and says SERVFAIL until then."""
    question = ["dig", "+short", "+tries=1", "+time=1", f"@{address}", UNUSED]
    wait_until(lambda: lab.run(question).stdout.strip(), f"{address} does not answer")


def set_resolvers(lab: Lab, *addresses: str, options: str = "") -> None:
    """Write the lab's resolv.conf: in place, since the file is bind-mounted over /etc/resolv.conf."""
    lines = [f"nameserver {address}\n" for address in addresses] + ([f"options {options}\n"] if options else [])
    (lab.folder / "resolv.conf").write_text("".join(lines))


def _start(lab: Lab, command: list[str], ready: str) -> None:
    lab.namespaces.start_server(lab.namespaces.enter_host() + command, ready)


def _start_dnsmasq(lab: Lab) -> str:
    config = _write(lab, "stub-dnsmasq.conf", _DNSMASQ)
    _start(lab, ["dnsmasq", "--keep-in-foreground", f"--conf-file={config}", "--pid-file="], "started")
    return "127.0.0.1"


def start_unbound(lab: Lab, port: int = 53) -> str:
    config = _write(lab, "unbound.conf", _UNBOUND.format(port=port))
    _start(lab, ["unbound", "-d", "-c", str(config)], "start of service")
    return "127.0.0.1"


def _start_resolved(lab: Lab) -> str:
    user = f"systemd-resolve:x:{_RESOLVED_UID}:"
    _write(lab, "passwd", Path("/etc/passwd").read_text() + f"{user}{_RESOLVED_UID}::/:/usr/sbin/nologin\n")
    _write(lab, "group", Path("/etc/group").read_text() + f"{user}\n")
    _write(lab, "resolved.conf", _RESOLVED)
    command = ["sh", "-ec", _START_RESOLVED, "sh", str(lab.folder), str(_RESOLVED_UID), str(RESOLVED)]
    _start(lab, command, "ready")
    return "127.0.0.53"


def _write(lab: Lab, name: str, text: str) -> Path:
    path = lab.folder / name
    path.write_text(text)
    return path


_STARTS: dict[str, Callable[[Lab], str]] = {
    "dnsmasq": _start_dnsmasq,
    "unbound": start_unbound,
    "systemd-resolved": _start_resolved,
}
