import numpy as np

from xaibench.randomness import identity, stream, streams

CODES = np.array([[0, 1, 2, 3, 4], [0, 1, 2, 3, 3]], np.uint8)


def test_a_stream_depends_on_each_of_its_words():
    words = [(0, "a"), (1, "a"), (0, "b"), (0, "a", 1), (0, "a", b"x"), (0, "a", 1, 2)]
    draws = {tuple(stream(*each).integers(2**31, size=3)) for each in words}
    assert len(draws) == len(words)


def test_padding_does_not_change_who_a_sequence_is():
    assert identity(CODES[0]) == identity(CODES[0, :4])
    assert identity(CODES[0]) != identity(CODES[1])
    assert identity(np.full(3, 4, np.uint8)) == identity(np.full(5, 4, np.uint8))


def test_the_streams_of_sequences_do_not_depend_on_their_order():
    forward = [each.random() for each in streams(0, "a", CODES)]
    backward = [each.random() for each in streams(0, "a", CODES[::-1])]
    assert forward == backward[::-1]
