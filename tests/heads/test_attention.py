"""What heads attend to, tracks along sites, and which heads follow which."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from xaibench.data.motifs import motifs_of_family
from xaibench.dna.encoding import to_codes
from xaibench.errors import ModelError, NotApplicable, UsageError
from xaibench.heads.association import associations_of
from xaibench.heads.attention import HeadScores, head_scores
from xaibench.heads.summary import sentence
from xaibench.heads.tracks import Track, require_different, track_along_tokens, track_named
from xaibench.nn.layers import one_hot
from xaibench.values import Intervals, Sequences, TokenSites

MOTIF = "TATAAA"


def sequences_of(letters, **columns):
    codes = to_codes(letters)
    labels = np.arange(len(codes)) % 2
    names = tuple(f"s{row}" for row in range(len(codes)))
    return Sequences(codes, labels, names, ("a", "b"), **columns)


class Attending(nn.Module):
    """One layer of four heads: the third attends to TATAAA, the others to places and distances."""

    def encode(self, codes):
        return one_hot(codes)

    def forward(self, inputs):
        return inputs[:, :2].mean(2)

    def attentions(self, inputs):
        count, _, length = inputs.shape
        place = torch.arange(length, dtype=torch.float32)
        wanted = one_hot(torch.from_numpy(to_codes([MOTIF])))
        start = (torch.conv1d(inputs, wanted) == len(MOTIF)).float()
        inside = torch.conv_transpose1d(start, torch.ones(1, 1, len(MOTIF)))[:, 0]
        energies = torch.stack(
            [
                (-(place[:, None] - place).abs() / 4).expand(count, -1, -1),
                torch.sin(place / 3).expand(count, length, -1),
                (3 * inside[:, None] + torch.cos(place / 2)).expand(-1, length, -1),
                -(place / 20).expand(count, length, -1),
            ],
            dim=1,
        )
        return torch.softmax(energies, dim=3)[:, None]


class Tokens(nn.Module):
    """Three tokens between [CLS] and [SEP], of which the last covers an unknown base alone."""

    pooled_site = 0

    def __init__(self, weights):
        super().__init__()
        self.given = weights

    def encode(self, codes):
        return codes[:, None, :5].float()

    def forward(self, inputs, valid=None):
        return inputs[:, 0, :2]

    def reference(self, inputs):
        return inputs

    def token_sites(self, codes):
        spans = np.array([[0, 0], [0, 2], [2, 5], [5, 6], [0, 0]])
        every = np.broadcast_to(spans, (len(codes), 5, 2))
        return TokenSites(every, np.ones(every.shape[:2], np.bool_))

    def attentions(self, inputs):
        return self.given.expand(len(inputs), *self.given.shape)


def test_what_a_token_receives_by_hand():
    paid = torch.tensor(
        [
            [0.2, 0.1, 0.3, 0.2, 0.2],
            [0.5, 0.1, 0.3, 0.1, 0.0],  # of what it pays to tokens: 1/4 and 3/4
            [0.1, 0.4, 0.4, 0.1, 0.0],  # 1/2 and 1/2
            [0.1, 0.9, 0.0, 0.0, 0.0],
            [0.1, 0.9, 0.0, 0.0, 0.0],
        ]
    )
    model, sequences = Tokens(paid[None, None]), sequences_of(["ACGTAN"])
    expected = {
        "maximum": [0.5, 0.75],
        "mean": [0.375, 0.625],
        "pooled": [0.25, 0.75],
    }
    for received, scores in expected.items():
        (measured,) = head_scores(model, sequences, received=received)
        np.testing.assert_allclose(measured.scores[0, 0], scores, rtol=1e-6)
        assert measured.spans.tolist() == [[0, 2], [2, 5]]


def test_a_model_without_attention_is_not_asked():
    with pytest.raises(NotApplicable, match="attn_implementation='eager'"):
        next(head_scores(nn.Linear(1, 1), sequences_of(["ACGT"])))
    with pytest.raises(NotApplicable, match="no single site"):
        next(head_scores(Attending(), sequences_of(["ACGT"]), received="pooled"))


class Broken(nn.Linear):
    """``given`` is what it says its heads attend to."""

    def __init__(self, given):
        super().__init__(4, 2)
        self.given = given

    def encode(self, codes):
        return one_hot(codes)

    def attentions(self, inputs):
        return self.given()

    def output_projections(self):
        return [self]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (lambda: None, r"expected \(2, layer, head, 7, 7\), got NoneType"),
        (lambda: torch.ones(2, 3, 7, 7), r"got \(2, 3, 7, 7\)"),
        (
            lambda: torch.ones(2, 1, 3, 4, 4),
            r"got \(2, 1, 3, 4, 4\); .* token_sites",
        ),
        (lambda: torch.full((2, 1, 3, 7, 7), torch.nan), "expected finite weights"),
        (lambda: torch.ones(2, 5, 3, 7, 7), "expected one for each of 5 layers, got 1"),
        (lambda: 1 // 0, r"ZeroDivisionError: .* \(raised by attentions\)"),
    ],
)
def test_what_is_no_attention_is_an_error_of_the_model(given, message):
    with pytest.raises(ModelError, match=message):
        next(head_scores(Broken(given), sequences_of(["ACGTACG", "GGTACCA"])))


def test_tracks_by_hand():
    sequences = sequences_of(["ACGTN", "GGC"])
    nan = np.nan
    expected = {
        "gc": [[0, 1, 1, 0, nan], [1, 1, 1, nan, nan]],
        "cpg": [[0, 1, 1, 0, nan], [0, 0, 0, nan, nan]],
        "position": [[0, 1, 2, 3, nan], [0, 1, 2, nan, nan]],
        "centre": [[1.5, 0.5, 0.5, 1.5, nan], [1, 0, 1, nan, nan]],
    }
    for name, values in expected.items():
        np.testing.assert_array_equal(track_named(name, sequences).values, values)
    motif = track_named("box=TATAAA", sequences_of(["CCTATAAACC", "GTTTATAGGG"]))
    assert motif.name == "box"
    assert motif.values.astype(int).tolist() == [
        [0, 0, 1, 1, 1, 1, 1, 1, 0, 0],
        [0, 1, 1, 1, 1, 1, 1, 0, 0, 0],  # on the other strand
    ]


def test_a_track_of_intervals_is_in_the_direction_of_the_strand(tmp_path):
    places = Intervals(
        ("chr1", "chr1"), np.array([10, 10]), np.array([16, 16]), np.array([1, -1], np.int8)
    )
    sequences = sequences_of(["ACGTAC", "GTACGT"], intervals=places)
    bed = tmp_path / "sites.bed"
    bed.write_text("chr1\t12\t13\nchr1\t15\t90\n")
    values = track_named(str(bed), sequences).values
    assert values.astype(int).tolist() == [[0, 0, 1, 0, 0, 1], [1, 0, 0, 1, 0, 0]]


def test_a_family_is_every_hit_of_its_matrices():
    sequences = sequences_of(["GCGCTATAAAAGGGCGCG", "GCGCGTATATATAAAGCG", "GCGCGCGCGCGCGCGCGC"])
    family = track_named("family:TBP-related factors", sequences).values
    members = motifs_of_family("tbp-related FACTORS")
    assert members == ("MA0108.3", "MA0386.2")
    each = [track_named(name, sequences).values for name in members]
    np.testing.assert_array_equal(family, np.maximum(*each))
    assert family.any(axis=1).tolist() == [True, True, False]


@pytest.fixture
def on_genome():
    """The second on the other strand."""
    strands = np.array([1, -1], np.int8)
    places = Intervals(("chr1", "chr1"), np.array([10, 10]), np.array([16, 16]), strands)
    return sequences_of(["ACGTAC", "GTACGT"], intervals=places)


def test_tracks_of_a_bigbed_are_in_the_direction_of_the_strand(tmp_path, on_genome):
    pybigtools = pytest.importorskip("pybigtools")
    path = tmp_path / "sites.bigBed"
    pybigtools.open(str(path), "w").write(
        {"chr1": 100},
        [("chr1", 8, 11, ""), ("chr1", 12, 13, ""), ("chr1", 15, 90, "")],
    )
    values = track_named(str(path), on_genome).values
    assert values.astype(int).tolist() == [[1, 0, 1, 0, 0, 1], [1, 0, 0, 1, 0, 1]]


@pytest.mark.parametrize("name", ["values.bigWig", "sites.bb"])
@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"chr1": 15}, "chr1 has 15 bases, and a sequence ends at 16"),
        (
            {"1": 100},
            "no chromosome of the sequences, which are on such as 'chr1', but such as '1'",
        ),
        (None, "cannot be read as bigWig or bigBed"),
    ],
)
def test_a_file_of_another_genome_is_one_line(tmp_path, on_genome, name, sizes, message):
    pybigtools = pytest.importorskip("pybigtools")
    path = tmp_path / name
    path.write_bytes(b"nothing of the kind")
    if sizes:
        (chromosome,) = sizes
        rows = [(chromosome, 2, 9, "" if name == "sites.bb" else 1.0)]
        pybigtools.open(str(path), "w").write(sizes, rows)
    with pytest.raises(UsageError, match=message) as raised:
        track_named(str(path), on_genome)
    assert str(raised.value).startswith(f"--track {name}: ")
    assert "\n" not in str(raised.value)


def test_a_token_has_the_mean_of_what_is_known():
    track = Track("t", np.array([[1.0, np.nan, 3.0, 5.0, np.nan]]))
    spans = np.array([[[0, 0], [0, 2], [1, 4], [4, 5]]])
    np.testing.assert_array_equal(track_along_tokens(track, spans), [[np.nan, 1, 4, np.nan]])


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("nonsense", "expected gc, cpg, position, centre, truth, a motif, family:NAME"),
        ("truth", "does not say where its motifs are"),
        ("missing.bed", "no file"),
        ("values.bigWig", "no file"),
        ("family:Ets relatd", "the nearest is 'Ets-related'"),
    ],
)
def test_what_is_no_track_is_named_in_one_line(named, message):
    with pytest.raises(UsageError, match=message) as raised:
        track_named(named, sequences_of(["ACGTACGT"]))
    assert "\n" not in str(raised.value)


def test_two_tracks_of_one_name_are_refused():
    twice = [Track("gc", np.zeros((1, 1)))] * 2
    with pytest.raises(UsageError, match="expected each name once"):
        require_different(twice)


@pytest.fixture(scope="module")
def planted():
    """A hundred sequences of 40, each with one TATAAA."""
    generator = np.random.default_rng(0)
    codes = generator.integers(0, 4, (100, 40)).astype(np.uint8)
    for row, start in enumerate(generator.integers(0, 34, 100)):
        codes[row, start : start + 6] = to_codes([MOTIF])[0]
    return Sequences(codes, np.zeros(100, np.int64), tuple(map(str, range(100))), ("a", "b"))


def test_the_one_head_that_attends_to_a_motif_is_found_alone(planted):
    generator = np.random.default_rng(1)
    noise = generator.normal(size=(20, 100, 44))
    smooth = np.lib.stride_tricks.sliding_window_view(noise, 5, axis=2).mean(axis=3)
    random = [Track(f"noise {number}", values) for number, values in enumerate(smooth)]
    motif = track_named(MOTIF, planted)
    shuffled = [
        Track(f"shuffled {number}", motif.values[generator.permutation(100)])
        for number in range(20)
    ]
    table = associations_of(head_scores(Attending(), planted), [motif, *random, *shuffled])
    found = table[table["associated"]]
    assert found[["layer", "head", "track"]].to_numpy().tolist() == [[0, 2, MOTIF]]
    assert found["mean"].item() > 0.4
    assert len(table) == 4 * 41
    ordered = sentence(table[(table["head"] == 2)])
    assert ordered.startswith(f"attends to {MOTIF} (rho 0.")
    assert sentence(table[table["head"] == 0]) == "goes with none of 41 tracks"


def test_random_tracks_are_found_no_more_often_than_promised(planted):
    """Families of 20 tracks of other sequences and 20 of noise that is alike along its sequence."""
    generator = np.random.default_rng(2)
    some = planted.take(np.arange(40))
    scores = list(head_scores(Attending(), some))
    motif = track_named(MOTIF, some).values
    families = 25
    false = {"q_shift": 0, "q_exchange": 0, "associated": 0}
    for _ in range(families):
        noise = np.cumsum(generator.normal(size=(20, 40, 44)), axis=2)
        values = [*(noise[..., 4:] - noise[..., :-4])]
        values += [motif[generator.permutation(40)] for _ in range(20)]
        table = associations_of(scores, [Track(str(n), each) for n, each in enumerate(values)])
        false["q_shift"] += (table["q_shift"] < 0.05).any()
        false["q_exchange"] += (table["q_exchange"] < 0.05).any()
        false["associated"] += table["associated"].any()
    most = stats.binom.ppf(0.999, families, 0.05)
    assert max(false.values()) <= most, false
    assert false["associated"] <= min(false["q_shift"], false["q_exchange"])


def test_a_track_by_position_alone_has_no_exchange(planted):
    table = associations_of(head_scores(Attending(), planted), [track_named("position", planted)])
    assert table["p_exchange"].isna().all()
    assert table["reason"].str.startswith("no exchange: the track is the same in all").all()
    assert not table["associated"].any()
    assert (table["p_shift"].fillna(1) < 0.01).any()


def test_nuisance_tracks_are_taken_out():
    generator = np.random.default_rng(2)
    values = generator.random((30, 20))
    track, other = Track("t", values + 0.1 * generator.random((30, 20))), Track("gc", values)
    spans = np.stack([np.arange(20), np.arange(1, 21)], axis=1)
    scores = [
        HeadScores(row, spans, (values[row] + 0.1 * generator.random(20))[None, None])
        for row in range(30)
    ]
    assert associations_of(scores, [track])["mean"].item() > 0.9
    assert abs(associations_of(scores, [track], [other])["mean"].item()) < 0.3
