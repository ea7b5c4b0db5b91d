import pytest

from tinysnitch.core.rules.services import find_port, find_service


@pytest.mark.parametrize(
    ("port", "service"), [(22, "ssh"), (443, "https"), (5351, "nat-pmp"), (6697, "ircs"), (40000, None)]
)
def test_services_of_ports(port: int, service: str | None) -> None:
    assert find_service(port) == service
    assert service is None or find_port(service) == port
