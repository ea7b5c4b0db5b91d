"""What BPF and netfilter need of the kernel. Without BPF the daemon runs, in its degraded mode."""

import os
from collections.abc import Iterator

from tinysnitch.core.model.errors import SnitchError
from tinysnitch.doctor.finding import Finding, State, fine, for_root, lacking
from tinysnitch.doctor.trial import MATCHES, Problem, Trial, try_all
from tinysnitch.kernel.bpf import probe
from tinysnitch.kernel.bpf.objects import LIST_OBJECT, PACKET_PROGRAMS, PROGRAMS, TRACE_OBJECT, missing_objects
from tinysnitch.kernel.bpf.pins import MOUNT_POINT, is_mounted
from tinysnitch.kernel.netfilter import iptables
from tinysnitch.kernel.netfilter.firewall import has_ipv6
from tinysnitch.kernel.netfilter.rules import Family
from tinysnitch.kernel.proc.cgroups import find_cgroup_mount

DEGRADED = "no BPF (DEGRADED): programs are known less surely"
NOT_STARTING = "tinysnitchd does not start: nothing is asked, nothing is held"
_NEWER = f"boot a kernel of version {'.'.join(map(str, probe.OLDEST_KERNEL))} or newer, as a distribution builds it"
_BUILD = "install tinysnitch anew; in a clone `make setup` compiles them"
_TRIED = ("BPF programs", *(f"xt_{name}" for name in MATCHES), "NFQUEUE", "netfilter rules")


def find_kernel_parts(*, is_root: bool) -> Iterator[Finding]:
    release = os.uname().release
    problem = probe.describe_kernel(release) or probe.describe_lockdown(probe.read_lockdown())
    yield _of_clause("kernel", problem, f"Linux {release}", DEGRADED, _NEWER)
    yield _of_clause("BTF", probe.describe_btf(), "the kernel describes its types", DEGRADED, _NEWER)
    yield _of_clause(
        "libbpf", probe.describe_library(), "found", DEGRADED, "apt install libbpf1, or your package of it"
    )
    yield _of_clause("BPF objects", probe.describe_objects(missing_objects()), "all there", DEGRADED, _BUILD)
    yield _find_bpffs()
    yield _find_cgroup()
    yield _find_rights() if is_root else for_root("rights")
    yield from map(_find_backend, (Family.V4, *([Family.V6] if has_ipv6() else [])))
    yield _find_ipv6()
    yield from _find_tried() if is_root else map(for_root, _TRIED)


def _of_clause(name: str, problem: str, text: str, follows: str, mend: str) -> Finding:
    return lacking(name, problem, follows, mend) if problem else fine(name, text)


def _find_bpffs() -> Finding:
    if not MOUNT_POINT.is_dir():
        return lacking("bpffs", f"there is no {MOUNT_POINT}", DEGRADED, "mount -t sysfs sysfs /sys")
    return fine("bpffs", f"on {MOUNT_POINT}" if is_mounted() else f"tinysnitchd mounts it on {MOUNT_POINT}")


def _find_cgroup() -> Finding:
    try:
        return fine("cgroup2", f"on {find_cgroup_mount()}")
    except SnitchError as error:
        return lacking("cgroup2", error, "tinysnitchd does not start")


def _find_rights() -> Finding:
    hidden = probe.find_hidden(is_bpf=True)
    problem = "; ".join(filter(None, (probe.find_lacking_rights(), *hidden)))
    mend = "run it outside of containers, or with `--privileged --pid=host`"
    return _of_clause("rights", problem, "root's, and all processes are seen", DEGRADED, mend)


def _find_backend(family: Family) -> Finding:
    name = iptables.name_of(family)
    try:
        return fine(name, iptables.read_version(family).removeprefix(name).strip())
    except SnitchError as error:
        return lacking(name, error, NOT_STARTING, "apt install iptables, or your package of it")


def _find_ipv6() -> Finding:
    return fine("IPv6", "judged" if has_ipv6() else "the kernel has none, so nothing of it has to be judged")


def _find_tried() -> Iterator[Finding]:
    try:
        trial = try_all()
    except SnitchError as error:
        yield from (lacking(name, error, "whether it works cannot be tried here") for name in _TRIED)
        return
    yield from _find_objects(trial)
    for name in MATCHES:
        module, follows = f"xt_{name}", DEGRADED if name == "bpf" else NOT_STARTING
        problem = trial.matches[name].text.removesuffix(f" (modprobe {module})") if name in trial.matches else ""
        yield _of_clause(module, problem, "the match is there", follows, f"modprobe {module}")
    yield _of_problem("NFQUEUE", trial.queue, "opens", NOT_STARTING, "modprobe nfnetlink_queue")
    if trial.lacks_security:
        text = "load, but this kernel has no security table"
        yield Finding("netfilter rules", State.NOTE, text, "a rule of others may accept what is denied here")
    else:
        yield _of_problem("netfilter rules", trial.rules, "load", NOT_STARTING, "")


def _find_objects(trial: Trial) -> Iterator[Finding]:
    """One line for all programs that must load. Others the daemon does without, for a price."""
    first, *others = [name for name in PROGRAMS if name in trial.objects] or [""]
    if first:
        problem = trial.objects[first]
        too = f"; also {', '.join(others)}" if others else ""
        yield lacking("BPF programs", f"{problem.text}{too}", DEGRADED, problem.hint)
        return
    yield fine("BPF programs", f"all {sum(map(len, PROGRAMS.values()))} pass the verifier")
    if trial.objects.keys() >= PACKET_PROGRAMS.keys():
        price = "programs that send by packet sockets are not told of at once"
        yield Finding("packet sockets", State.NOTE, trial.objects["packet_open"].text, price)
    if TRACE_OBJECT in trial.objects:
        yield Finding("trace", State.NOTE, trial.objects[TRACE_OBJECT].text, "tinysnitch-trace does not start")
    if LIST_OBJECT in trial.objects:
        price = "ports of the kernel's own sockets are unknown"
        yield Finding("kernel's sockets", State.NOTE, trial.objects[LIST_OBJECT].text, price)


def _of_problem(name: str, problem: Problem | None, text: str, follows: str, mend: str) -> Finding:
    return fine(name, text) if problem is None else lacking(name, problem.text, follows, mend or problem.hint)
