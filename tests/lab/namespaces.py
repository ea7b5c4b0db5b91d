"""The bare lab: two network namespaces with a veth pair between them, a mount namespace, and a cgroup.

Each undo is registered before its step. The mount namespace has a bpffs of its own: when the last process in it ends,
the pins go, and so do the BPF programs that these kept attached.
"""

import os
import shutil
import subprocess
import tempfile
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Self

from tests.lab import cgroup
from tests.lab.forked import Forked
from tests.lab.leftovers import NETNS_FOLDER, own_name, remove_netns
from tests.lab.patience import WAIT_S, read_until

# What differs from the machine's files in this lab: the resolver, the hosts file, the order of name services, a bpffs.
_MOUNTS = """
mount --bind "$1/resolv.conf" /etc/resolv.conf
mount --bind "$1/hosts" /etc/hosts
mount --bind "$1/nsswitch.conf" /etc/nsswitch.conf
mkdir -p /sys/fs/bpf && mount -t bpf bpf /sys/fs/bpf
# What other tests mounted goes with them, and each unmount has the daemon decide everything anew.
for other in $(cut -d" " -f2 /proc/mounts); do
	case $other in */"$2"-*) ;; /run/netns/* | "${1%/*}"/ts-*) set -- "$@" "$other" ;; esac
done
shift 2
test $# = 0 || umount -l "$@" 2>/dev/null || true
echo ready
exec sleep infinity
"""


class Namespaces:
    """`host` is where the firewall runs, `world` is everything else."""

    def __init__(self, undo: ExitStack, name_servers: tuple[str, ...]) -> None:
        self.name = name = own_name("lab")
        self.host = f"{name}-host"
        self.world = f"{name}-world"
        self.root_cgroup = cgroup.find_root() / name
        self.clients_cgroup = self.root_cgroup / "clients"
        self.servers_cgroup = self.root_cgroup / "servers"
        self.folder = Path(tempfile.mkdtemp(prefix=f"{name}-"))
        undo.callback(shutil.rmtree, self.folder)
        self.folder.chmod(0o755)
        self._children: list[subprocess.Popen[str] | Forked] = []
        self._make_cgroups(undo)
        self._make_networks(undo)
        self._mounts_pid = self._make_mounts(name_servers)

    def enter_host(self, user: str | None = None) -> list[str]:
        """The front of a command line: it runs the rest on the host, with the lab's files, in the judged cgroup."""
        return [*_enter(self.host, self.clients_cgroup), *self._enter_mounts(), *_become(user)]

    def enter_host_outside(self, user: str | None = None) -> list[str]:
        """Like `enter_host()`, but outside the cgroup that the firewall judges: for the daemon and its commands."""
        return [*_enter(self.host, self.servers_cgroup), *self._enter_mounts(), *_become(user)]

    def place_outside(self) -> dict[str, str]:
        """The same for a process that enters by itself (tests/lab/forked.py)."""
        mounts = f"/proc/{self._mounts_pid}/ns/mnt"
        return {"cgroup": str(self.servers_cgroup), "netns": str(NETNS_FOLDER / self.host), "mounts": mounts}

    def enter_world(self) -> list[str]:
        return _enter(self.world, self.servers_cgroup)

    def share_mounts(self, other: Self) -> None:
        """Enter the other lab's mount namespace from now on, and so use its files and its bpffs."""
        self._mounts_pid = other._mounts_pid

    def host_path(self, path: Path) -> Path:
        """The path by which this process reaches a file of the lab's mount namespace."""
        return Path(f"/proc/{self._mounts_pid}/root{path}")

    def _enter_mounts(self) -> list[str]:
        return ["nsenter", f"--mount=/proc/{self._mounts_pid}/ns/mnt", f"--wd={os.getcwd()}"]

    def _make_cgroups(self, undo: ExitStack) -> None:
        undo.callback(self._remove_cgroups)
        for folder in (self.root_cgroup, self.clients_cgroup, self.servers_cgroup):
            folder.mkdir()

    def _make_networks(self, undo: ExitStack) -> None:
        for name in (self.host, self.world):
            undo.callback(remove_netns, name)
            _call("ip", "netns", "add", name)
            _call("ip", "-n", name, "link", "set", "lo", "up")
        _call("ip", "-n", self.host, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", self.world)

    def _make_mounts(self, name_servers: tuple[str, ...]) -> int:
        (self.folder / "resolv.conf").write_text("".join(f"nameserver {server}\n" for server in name_servers))
        (self.folder / "hosts").write_text("127.0.0.1 localhost\n::1 localhost\n")
        (self.folder / "nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files dns\nservices: files\n")
        command = ["unshare", "--mount", "sh", "-ec", _MOUNTS, "sh", str(self.folder), self.name]
        return self.start_server(_in_cgroup(self.servers_cgroup) + command, "ready").pid

    def start_server(self, command: list[str], ready: str) -> subprocess.Popen[str]:
        """Start a server and wait until it prints a line with `ready`; it is ended with the lab."""
        server = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self._children.append(server)
        read_until(server, lambda said: ready in said[-1])
        return server

    def track(self, child: subprocess.Popen[str] | Forked) -> None:
        """Reap the child when the lab ends, so that it leaves no zombie. It is killed with the lab's cgroups."""
        self._children.append(child)

    def _remove_cgroups(self) -> None:
        for child in self._children:
            if child.poll() is None and _has_own_cgroup(child):
                child.terminate()
                child.wait(timeout=WAIT_S)
        cgroup.remove(self.root_cgroup)
        for child in self._children:
            for stream in (child.stdin, child.stdout, child.stderr):
                if stream:
                    stream.close()
            child.wait(timeout=WAIT_S)


def _has_own_cgroup(child: subprocess.Popen[str] | Forked) -> bool:
    """Whether the child is `tinysnitch run`, whose cgroup lies beside ours: it has to remove that itself."""
    assert isinstance(child.args, list)
    return any(str(word).endswith("/tinysnitch") and rest == "run" for word, rest in pairwise(child.args))


def configure(netns: str, addresses: list[str]) -> None:
    """Give eth0 its addresses, usable at once (no duplicate address detection), and bring it up.

    The link-local address and the route to multicast groups are added here, too. The kernel would add them when it sees
    the carrier, up to a second later: the addresses would change under a daemon that has just started, and nothing
    could be sent to a group until then.
    """
    tails = [address.partition("/")[0].rpartition(":")[2] for address in addresses if ":" in address]
    all_addresses = [*addresses, *(f"fe80::{tail}/64" for tail in tails)]
    _turn_off(netns, "all/disable_ipv6", "eth0/disable_ipv6", "eth0/accept_dad")
    lines = ["link set eth0 addrgenmode none"]
    lines += [f"address add {address} dev eth0 {'nodad' if ':' in address else ''}" for address in all_addresses]
    lines += ["link set eth0 up", "route replace multicast ff00::/8 dev eth0 table local metric 256"]
    subprocess.run(["ip", "-n", netns, "-batch", "-"], input="\n".join(lines), text=True, check=True)


def _enter(netns: str, folder: Path) -> list[str]:
    return [*_in_cgroup(folder), "nsenter", f"--net={NETNS_FOLDER / netns}"]


def _in_cgroup(folder: Path) -> list[str]:
    return ["sh", "-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"', str(folder)]


def _become(user: str | None) -> list[str]:
    """The front of a command line that runs the rest as another user.

    The capability to read every file is kept, since the checkout may lie where only root may read.
    """
    if user is None:
        return []
    reads = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    return ["setpriv", f"--reuid={user}", f"--regid={user_group(user)}", "--clear-groups", *reads, "--"]


def user_group(user: str) -> str:
    return subprocess.run(["id", "-g", user], capture_output=True, text=True, check=True).stdout.strip()


def _turn_off(netns: str, *settings: str) -> None:
    """Settings of IPv6; those that this kernel lacks are left out."""
    script = 'for each; do test ! -e "$each" || echo 0 >"$each"; done'
    paths = [f"/proc/sys/net/ipv6/conf/{setting}" for setting in settings]
    _call("nsenter", f"--net={NETNS_FOLDER / netns}", "sh", "-ec", script, "sh", *paths)


def _call(*command: str) -> None:
    subprocess.run(command, check=True)
