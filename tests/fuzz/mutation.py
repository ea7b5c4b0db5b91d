"""Makes wrong messages out of right ones, the same ones for the same seed."""

import random
from collections.abc import Iterator, Sequence

SEED = 20261125
INTERESTING = (0, 1, 0x3F, 0x40, 0x7F, 0x80, 0xBF, 0xC0, 0xC0, 0xFF)
MOST_BYTES = 9000  # a little more than is read of a message


def mutants_of(original: bytes, count: int, others: Sequence[bytes]) -> Iterator[bytes]:
    return mutants([original], count, others, random.Random(SEED))


def mutants(originals: Sequence[bytes], count: int, others: Sequence[bytes], chance: random.Random) -> Iterator[bytes]:
    for number in range(count):
        mutant = bytearray(originals[number % len(originals)])
        for _ in range(1 + int(4 * chance.random())):
            _mutate(mutant, others, chance)
        yield bytes(mutant)


def _mutate(mutant: bytearray, others: Sequence[bytes], chance: random.Random) -> None:
    place = int(chance.random() * (len(mutant) + 1))
    match int(chance.random() * 8):
        case 0:
            mutant[place : place + 1] = bytes([int(chance.random() * 256)])
        case 1:
            mutant[place : place + 1] = bytes([chance.choice(INTERESTING)])
        case 2:
            del mutant[place : place + chance.randint(1, 16)]
        case 3:
            mutant[place:place] = mutant[place : place + chance.randint(1, 32)]
        case 4:
            other = chance.choice(others)
            mutant[place:] = other[int(chance.random() * len(other)) :]
        case 5:  # a compression pointer
            mutant[place : place + 2] = (0xC000 + int(chance.random() * 0x80)).to_bytes(2, "big")
        case 6:  # one of the counts in the header of a DNS message
            at = chance.choice((4, 6, 8, 10))
            mutant[at : at + 2] = bytes([0, int(chance.random() * 256)])
        case _:  # large at times: the same again and again
            times = int(MOST_BYTES / (len(mutant) - place + 1) * chance.random() ** 8)
            mutant += mutant[place:] * times
