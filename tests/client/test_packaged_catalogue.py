from tests.core.prompts.catalogued import CATALOGUE
from tinysnitch.client.packaged_catalogue import read_catalogue


def test_the_catalogue_is_that_of_the_package() -> None:
    assert read_catalogue() == CATALOGUE
