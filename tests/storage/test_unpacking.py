"""What a file may unpack to."""

import gzip
import io

import pytest

from xaibench.storage.unpacking import RATIO, SMALL, Unpacked, require_unpacked


def test_few_bytes_may_come_of_any_file():
    require_unpacked(SMALL, 1)
    with pytest.raises(ValueError, match="1 bytes that unpack to 67,108,865 or more, over 200"):
        require_unpacked(SMALL + 1, 1)


def test_of_a_large_file_so_many_times_its_size_may_come():
    packed = SMALL // 100
    require_unpacked(RATIO * packed, packed)
    with pytest.raises(ValueError, match="unpack it yourself"):
        require_unpacked(RATIO * packed + 1, packed)


def test_a_stream_reads_as_what_it_unpacks_and_may_be_read_again():
    text = bytes(range(256)) * 30
    stream = io.BufferedReader(Unpacked(gzip.open(io.BytesIO(gzip.compress(text))), 10), 1000)
    assert stream.read(7) == text[:7]
    stream.seek(0)
    assert stream.read() == text


def test_a_stream_ends_where_it_is_a_bomb():
    piece = gzip.compress(bytes(2**20))
    bomb = piece * (SMALL // 2**20 + 1)
    with pytest.raises(ValueError, match="over 200 times as many"):
        io.BufferedReader(Unpacked(gzip.open(io.BytesIO(bomb)), len(bomb)), 2**18).read()
