"""Reads and changes entries of BPF's maps that the product itself does not."""

import ctypes
import os
from contextlib import closing

from msgspec.structs import asdict, replace

from tinysnitch.core.model.flow import Flow
from tinysnitch.core.model.verdict import VerdictKey
from tinysnitch.kernel.bpf.layout import FlowEntry, Listener, ListenerKey, OwnedSocket, Owner, Settings, Share
from tinysnitch.kernel.bpf.libbpf import U32, Map, open_pinned
from tinysnitch.kernel.bpf.maps import BpfMaps
from tinysnitch.kernel.bpf.pins import PinFolder
from tinysnitch.kernel.bpf.programs import BpfPrograms, key_of, verdict_key_of

_LIBBPF = ctypes.CDLL("libbpf.so.1")


def _open_maps(programs: BpfPrograms) -> closing[BpfMaps]:
    return closing(BpfMaps(PinFolder(programs.maps_dir.parent)))


def is_remembered(programs: BpfPrograms, key: VerdictKey) -> bool:
    with _open_maps(programs) as maps:
        return maps.verdicts.find(verdict_key_of(key)) is not None


def read_noted_protocol(programs: BpfPrograms, cookie: int) -> int:
    """The protocol that was noted when a program made the socket."""
    return _read_socket(programs, cookie).protocol


def is_given(programs: BpfPrograms, cookie: int) -> bool:
    """Whether the owner was given the socket and has not used it yet."""
    return bool(_read_socket(programs, cookie).is_given)


def _read_socket(programs: BpfPrograms, cookie: int) -> OwnedSocket:
    with _open_maps(programs) as maps:
        found = maps.sockets.find(cookie)
    assert found
    return found


def open_listeners(programs: BpfPrograms) -> closing[Map[ListenerKey, Listener]]:
    return closing(Map(programs.maps_dir / "listeners", ListenerKey, Listener))


def find_listener(programs: BpfPrograms, protocol: int, port: int, address: bytes) -> Listener | None:
    """The listener that is noted for exactly this local address, without how many sockets share it."""
    with open_listeners(programs) as listeners:
        found = listeners.find(ListenerKey(address, port, protocol))
    return None if found is None else Listener(found.cookie, found.owner)


def forget_process(programs: BpfPrograms, pid: int) -> None:
    """Remove a process, as at its end."""
    with _open_maps(programs) as maps:
        assert maps.processes.delete(pid)


def forget_image(programs: BpfPrograms, exec_id: int) -> None:
    """Remove an image, as once thousands of other programs have ended."""
    with _open_maps(programs) as maps:
        assert maps.images.delete(exec_id)


def fill_retired(programs: BpfPrograms) -> int:
    """Leave no room in the queue of images whose last process has ended, as thousands of ends do; how many it took.
    What is queued here is no image."""
    retired = open_pinned(programs.maps_dir / "retired")
    none, count = ctypes.c_uint64(0), 0
    while not _LIBBPF.bpf_map_update_elem(retired, None, ctypes.byref(none), 0):
        count += 1
    os.close(retired)
    return count


def change_share(programs: BpfPrograms, uid: int, **changes: int) -> dict[str, int]:
    """Set how many `images` or `processes` count for a user; returns the numbers before."""
    with closing(Map(programs.maps_dir / "shares", U32, Share)) as shares:
        found = shares.find(uid)
        assert found
        assert shares.write(uid, replace(found, **changes))
    return asdict(found)


def forget_socket(programs: BpfPrograms, cookie: int) -> None:
    """Remove a socket, as the LRU map does once there are many newer ones."""
    with _open_maps(programs) as maps:
        assert maps.sockets.delete(cookie)


def exchange_socket(programs: BpfPrograms, cookie: int, other: int) -> None:
    """Write what is noted of the other socket in place of what is noted of this one."""
    noted = _read_socket(programs, other)
    with _open_maps(programs) as maps:
        maps.sockets.write(cookie, noted)


def lose_listener(programs: BpfPrograms, protocol: int, port: int, address: bytes) -> None:
    """Remove a listener, as if it had found no room."""
    with open_listeners(programs) as listeners:
        assert listeners.delete(ListenerKey(address, port, protocol))
    with closing(Map(programs.maps_dir / "lost_ports", U32, U32)) as lost:
        assert lost.write(port, 1)
    programs.settings.set_lost_listeners(True)


def is_shared(programs: BpfPrograms, protocol: int, port: int, address: bytes) -> bool:
    """Whether different programs or users have exactly this local address."""
    return bool(read_changes(programs, protocol, port, address))


def read_changes(programs: BpfPrograms, protocol: int, port: int, address: bytes) -> int:
    """A number that changes whenever the sockets that share the port do; 0: none share it."""
    with open_listeners(programs) as listeners:
        found = listeners.find(ListenerKey(address, port, protocol))
    return 0 if found is None else found.is_shared


def has_lost_listeners(programs: BpfPrograms) -> bool:
    """Whether some socket's port found no room."""
    return bool(read_setting(programs, "has_lost_listeners"))


def read_setting(programs: BpfPrograms, name: str) -> int:
    with closing(Map(programs.maps_dir / "settings", U32, Settings)) as settings:
        return int(getattr(settings.find(0), name))


def read_boundness(programs: BpfPrograms, cookie: int) -> int:
    """enum boundness of bpf/include/tinysnitch.h"""
    return _read_socket(programs, cookie).boundness


def change_settings(programs: BpfPrograms, **changes: int) -> None:
    with closing(Map(programs.maps_dir / "settings", U32, Settings)) as settings:
        found = settings.find(0)
        assert found
        assert settings.write(0, replace(found, **changes))


def tie_socket(programs: BpfPrograms, cookie: int) -> None:
    """Tie a socket, as if its SYN had been let go with a verdict for one interface."""
    noted = replace(_read_socket(programs, cookie), is_tied=1)
    with _open_maps(programs) as maps:
        maps.sockets.write(cookie, noted)


def write_flow(
    programs: BpfPrograms, flow: Flow, cookie: int, owner: Owner, *, verdict: int = 0, interface: int = 0
) -> None:
    """Write a flow, as BPF does on a miss, and with a verdict, as user space does after it."""
    with _open_maps(programs) as maps:
        entry = FlowEntry(cookie=cookie, owner=owner, verdict=verdict, interface=interface)
        maps.flows.write(key_of(flow), entry)


def read_flow_verdict(programs: BpfPrograms, flow: Flow) -> int:
    """enum verdict of bpf/include/tinysnitch.h"""
    with _open_maps(programs) as maps:
        found = maps.flows.find(key_of(flow))
    assert found
    return found.verdict
