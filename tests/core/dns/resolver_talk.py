"""What a machine's programs ask its resolvers, what these answer, and what is believed then."""

from msgspec.structs import replace

from tinysnitch.core.dns.message import DnsAnswer, DnsQuestion
from tinysnitch.core.dns.names import HasEnded, Learned, Names, nobody_has_ended
from tinysnitch.core.dns.questions import Refusal
from tinysnitch.core.dns.wire import A
from tinysnitch.core.model.flow import UDP, Direction, Flow, parse_address
from tinysnitch.core.model.settings import Settings
from tinysnitch.core.policy.facts import Facts

STUB = parse_address("127.0.0.53")
ROGUE = parse_address("198.51.100.66")
SHOP = parse_address("192.0.2.80")
MIRROR = parse_address("192.0.2.81")
CURL, FIREFOX = 100, 200
MIN_TTL_S = 300.0
TRUSTED = Facts(resolvers=frozenset({STUB}))


def flow_to(resolver: bytes, port: int = 40000) -> Flow:
    return Flow(UDP, Direction.OUTBOUND, parse_address("127.0.0.1"), port, resolver, 53)


class ResolverTalk:
    """The clock begins ten seconds after the machine's start."""

    def __init__(self, capacity: int = 100, max_questions: int = 100, has_ended: HasEnded = nobody_has_ended) -> None:
        settings = Settings(max_names=capacity, max_questions=max_questions, min_name_ttl_s=MIN_TTL_S)
        self.names = Names(settings, TRUSTED, has_ended)
        self.now_s = 10.0
        self.last_id = 0

    def finds(self, **facts: object) -> None:
        """Set facts; the resolver is always one of them."""
        self.names.set_facts(replace(TRUSTED, **facts))

    def asks(
        self, exec_id: int, name: str, *, resolver: bytes = STUB, kind: int = A, id: int = 0, user: int = 0
    ) -> int:
        self.last_id = id or self.last_id + 1
        self.names.ask(flow_to(resolver), DnsQuestion(self.last_id, name, kind), exec_id, self.now_s, user=user)
        return self.last_id

    def hears(
        self,
        name: str,
        *addresses: bytes,
        id: int | None = None,
        resolver: bytes = STUB,
        ttl_s: int = 600,
        kind: int = A,
        rcode: int = 0,
        is_truncated: bool = False,
    ) -> Learned:
        answer = DnsAnswer(
            id=self.last_id if id is None else id,
            name=name,
            type=kind,
            addresses=tuple((address, ttl_s) for address in addresses),
            rcode=rcode,
            is_truncated=is_truncated,
        )
        return self.names.learn(flow_to(resolver), answer, self.now_s)

    def looks_up(
        self, exec_id: int, name: str, *addresses: bytes, ttl_s: int = 600, user: int = 0
    ) -> tuple[bytes, ...]:
        self.asks(exec_id, name, user=user)
        return self.hears(name, *addresses, ttl_s=ttl_s).addresses

    def name_of(self, address: bytes, exec_id: int | None = None) -> str | None:
        return self.names.find(address, self.now_s, exec_id).name

    def refusals(self) -> dict[Refusal, int]:
        return dict(self.names.statistics().refusals)
