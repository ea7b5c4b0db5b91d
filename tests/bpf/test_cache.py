"""cache.bpf.h: a verdict under a mask holds for what is alike in the columns of the mask, and for nothing else."""

from collections.abc import Iterator
from itertools import count, product

import pytest
from msgspec.structs import replace

from tests.bpf.attribution_table import make_image
from tests.bpf.kernel_side import KernelSide
from tinysnitch.core.model.flow import ICMP, TCP, UDP, Direction, Flow, parse_address
from tinysnitch.core.model.verdict import Grain, Verdict, VerdictKey
from tinysnitch.kernel.bpf.layout import Owner
from tinysnitch.kernel.bpf.programs import BpfPrograms

pytestmark = pytest.mark.privileged

HERE, THERE, ELSEWHERE = map(parse_address, ("192.0.2.1", "192.0.2.2", "192.0.2.3"))
PORT, OTHER_PORT = 4000, 4001
UID = 1000
EXEC_ID = 1000
# The file, arguments and lineage of some programs, and in which grains each is like the first.
PROGRAMS = {
    "itself": ((11, 12, 13), set(Grain)),
    "its twin": ((11, 12, 13), {Grain.FILE, Grain.ARGS, Grain.LINEAGE}),
    "with other arguments": ((11, 22, 13), {Grain.FILE, Grain.LINEAGE}),
    "below another": ((11, 12, 23), {Grain.FILE, Grain.ARGS}),
    "of another file": ((21, 22, 23), set()),
    "of no grains": ((0, 0, 0), set()),
}
NUMBERS = {Grain.FILE: 11, Grain.ARGS: 12, Grain.LINEAGE: 13, Grain.EXEC: EXEC_ID}


@pytest.fixture
def kernel(programs: BpfPrograms) -> Iterator[KernelSide]:
    with KernelSide(programs) as opened:
        for number, (grains, _alike) in enumerate(PROGRAMS.values()):
            file, args, lineage = grains
            image = make_image(exec_id=EXEC_ID + number, file_id=file, args_id=args, lineage_id=lineage)
            opened.add_image(image, owner_of(number))
        yield opened


def owner_of(number: int, uid: int = UID) -> Owner:
    return Owner(EXEC_ID + number, 1, 2**22 + 1 + number, uid)


_own_ports = count(10_000)


def make_flow(direction: Direction, remote: bytes, port: int, protocol: int = UDP) -> Flow:
    """A conversation that there has not been yet."""
    own = next(_own_ports)
    if direction is Direction.OUTBOUND:
        return Flow(protocol, direction, HERE, own, remote, port if protocol != ICMP else 0)
    return Flow(protocol, direction, HERE, port, remote, own)


MASKS = list(product(Grain, (THERE, None), (PORT, None)))


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize("verdict", [Verdict.ALLOW, Verdict.DENY])
def test_under_each_mask_it_holds_for_what_is_alike_in_its_columns(
    kernel: KernelSide, direction: Direction, verdict: Verdict
) -> None:
    """Each mask alone, so that no other one answers."""
    assert len(MASKS) == 16
    for grain, remote, port in MASKS:
        kernel.programs.set_generation(kernel.programs.generation + 1)
        key = VerdictKey(NUMBERS[grain], UID, UDP, direction, remote, port, grain)
        kernel.programs.remember_verdict(key, verdict, kernel.programs.generation, 0)
        asked = product(enumerate(PROGRAMS), (THERE, ELSEWHERE), (PORT, OTHER_PORT))
        for (number, name), to_remote, to_port in asked:
            is_alike = grain in PROGRAMS[name][1] and remote in (None, to_remote) and port in (None, to_port)
            said = kernel.judge(make_flow(direction, to_remote, to_port), owner_of(number))
            assert said is (verdict if is_alike else None), (grain, remote, port, name)


@pytest.mark.parametrize("direction", Direction)
def test_user_protocol_and_direction_always_count(kernel: KernelSide, direction: Direction) -> None:
    (other,) = {*Direction} - {direction}
    for grain in Grain:
        key = VerdictKey(NUMBERS[grain], UID, UDP, direction, None, None, grain)
        kernel.programs.remember_verdict(key, Verdict.ALLOW, kernel.programs.generation, 0)
    assert kernel.judge(make_flow(direction, THERE, PORT), owner_of(0)) is Verdict.ALLOW
    assert kernel.judge(make_flow(direction, THERE, PORT), owner_of(0, uid=UID + 1)) is None
    assert kernel.judge(make_flow(direction, THERE, PORT, TCP), owner_of(0)) is None
    assert kernel.judge(make_flow(other, THERE, PORT), owner_of(0)) is None


def test_a_port_of_a_protocol_without_ports_is_0(kernel: KernelSide) -> None:
    key = VerdictKey(NUMBERS[Grain.FILE], UID, ICMP, Direction.OUTBOUND, THERE, 0, Grain.FILE)
    kernel.programs.remember_verdict(key, Verdict.ALLOW, kernel.programs.generation, 0)
    assert kernel.judge(make_flow(Direction.OUTBOUND, THERE, 0, ICMP), owner_of(1)) is Verdict.ALLOW


def test_where_the_program_has_no_image_its_exec_alone_counts(kernel: KernelSide) -> None:
    unknown = replace(owner_of(0), exec_id=EXEC_ID + 99)
    for grain in Grain:
        number = NUMBERS[grain] if grain is not Grain.EXEC else unknown.exec_id
        key = VerdictKey(number, UID, UDP, Direction.OUTBOUND, THERE, None, grain)
        assert kernel.judge(make_flow(Direction.OUTBOUND, THERE, PORT), unknown) is None
        kernel.programs.remember_verdict(key, Verdict.DENY, kernel.programs.generation, 0)
        said = kernel.judge(make_flow(Direction.OUTBOUND, THERE, PORT), unknown)
        assert said is (Verdict.DENY if grain is Grain.EXEC else None)
        kernel.programs.forget_verdicts([key])
