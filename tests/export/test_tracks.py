from dataclasses import replace

import numpy as np
import pytest
from explained import explanations, in_blocks, places

from xaibench.errors import UsageError
from xaibench.export.tracks import bedgraph, bigwig
from xaibench.export.values import Explanations
from xaibench.values import Intervals


def lines(blocks, folder):
    path = bedgraph(blocks, folder).files[0]
    rows = [line.split("\t") for line in path.read_text().splitlines()]
    return {(row[0], int(row[1])): float(row[3]) for row in rows}


def by_position(whole: Explanations) -> dict[tuple[str, int], float]:
    """The slow twin: all scores of a position in a list, and its mean."""
    where = whole.sequences.intervals
    scores: dict[tuple[str, int], list[float]] = {}
    for row, chromosome in enumerate(where.chromosomes):
        for place in range(int(where.ends[row] - where.starts[row])):
            forward = where.strands[row] > 0
            at = where.starts[row] + place if forward else where.ends[row] - 1 - place
            if whole.sequences.codes[row, place] < 4:
                scores.setdefault((chromosome, int(at)), []).append(float(whole.scores[row, place]))
    return {at: float(np.mean(values)) for at, values in scores.items()}


def random_explanations(seed: int) -> Explanations:
    """40 sequences of up to 9 positions, many of them overlapping, on three chromosomes."""
    draw = np.random.default_rng(seed)
    lengths = draw.integers(1, 10, 40)
    codes = draw.integers(0, 5, (40, 9)).astype(np.uint8)
    codes[np.arange(9) >= lengths[:, None]] = 4
    starts = draw.integers(0, 60, 40)
    chromosomes = tuple(draw.choice(["chr2", "chr10", "chrX"], 40).tolist())
    strands = draw.choice(np.array([-1, 1], np.int8), 40)
    where = Intervals(chromosomes, starts, starts + lengths, strands)
    sequences = explanations().sequences
    rows = sequences.take(np.zeros(40, int))
    given = replace(rows, codes=codes, intervals=where)
    scores = draw.normal(size=(40, 9)).astype(np.float32)
    return Explanations(given, scores, np.zeros(40, int), explanations().origin)


@pytest.mark.parametrize("seed", range(5))
def test_a_position_has_the_mean_of_all_scores_there(tmp_path, seed):
    whole = random_explanations(seed)
    written = lines(in_blocks(whole, 7), tmp_path)
    assert written == pytest.approx(by_position(whole), rel=1e-5)  # six digits are written


def test_lines_are_in_the_order_of_the_genome(tmp_path):
    written = [*lines(in_blocks(random_explanations(0), 7), tmp_path)]
    assert written == sorted(written)


def test_scores_of_the_other_strand_are_turned_back(tmp_path):
    whole = explanations(places([10, 20, 30], [1, 1, -1], [7, 5, 7]))
    written = lines([whole], tmp_path)
    assert written["chr1", 30] == 21
    assert written["chr1", 36] == 15


def test_an_unknown_base_has_no_score(tmp_path):
    written = lines([explanations(places([10, 20, 30], [1, 1, 1], [7, 5, 7]))], tmp_path)
    assert ("chr1", 13) in written
    assert ("chr1", 14) not in written  # ACGTNCA


def test_overlaps_and_unknown_places_are_counted(tmp_path):
    # the first two share 3 positions, one of them an N of the first; the third is nowhere
    whole = explanations(places([10, 14, 40], [1, 1, 1], [7, 5, 70]))
    assert bedgraph([whole], tmp_path).notes == (
        "2 of 9 positions are covered by several sequences: the mean of their scores",
        "1 sequences whose interval is not known are left out",
    )


@pytest.mark.parametrize("write", [bedgraph, bigwig])
def test_sequences_without_intervals_have_no_track(tmp_path, write):
    pytest.importorskip("pybigtools")
    with pytest.raises(UsageError, match="got sequences without intervals; give BED and --genome"):
        write([explanations()], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_browser_reads_the_same_values_from_bigwig(tmp_path):
    pybigtools = pytest.importorskip("pybigtools")
    whole = random_explanations(1)
    sizes = {"chr2": 1000, "chr10": 900, "chrX": 800, "chrY": 700}
    (path,) = bigwig(in_blocks(whole, 7), tmp_path, chromosome_sizes=sizes).files
    expected = by_position(whole)
    track = pybigtools.open(str(path))
    assert track.chroms() == {name: sizes[name] for name in ("chr10", "chr2", "chrX")}
    for chromosome in ("chr10", "chr2", "chrX"):
        values = track.values(chromosome, 0, 80, fillna=None)
        read = {(chromosome, at): value for at, value in enumerate(values) if not np.isnan(value)}
        own = {at: value for at, value in expected.items() if at[0] == chromosome}
        assert read == pytest.approx(own, rel=1e-5)


def test_a_chromosome_is_as_long_as_its_last_sequence_where_no_sizes_are_given(tmp_path):
    pybigtools = pytest.importorskip("pybigtools")
    (path,) = bigwig([explanations(places([10, 20, 30], [1, 1, -1], [7, 5, 7]))], tmp_path).files
    assert pybigtools.open(str(path)).chroms() == {"chr1": 37}


@pytest.mark.parametrize(("sizes", "got"), [({"chr1": 36}, "36"), ({"chr2": 99}, "none")])
def test_sizes_of_another_genome_are_rejected(tmp_path, sizes, got):
    pytest.importorskip("pybigtools")
    whole = explanations(places([10, 20, 30], [1, 1, -1], [7, 5, 7]))
    with pytest.raises(UsageError, match=f"chr1 of 37 bases or more, .* got {got}; give the sizes"):
        bigwig([whole], tmp_path, chromosome_sizes=sizes)


def test_an_error_while_a_track_is_written_is_no_short_track(tmp_path, monkeypatch, capfd):
    pytest.importorskip("pybigtools")

    def broken(*_):
        raise OSError(28, "No space left on device")
        yield

    monkeypatch.setattr("xaibench.export.tracks.mean_scores", broken)
    with pytest.raises(OSError, match="No space left"):
        bigwig([explanations(places([10, 20, 30], [1, 1, -1], [7, 5, 7]))], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_without_pybigtools_the_message_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pybigtools", None)
    with pytest.raises(UsageError, match="needs pybigtools: pip install 'xaibench\\[export\\]'"):
        bigwig([explanations()], tmp_path)
