"""The nine sets of genomic-benchmarks as they are published (Gresova et al. 2023, Apache-2.0).

Counted from the interval tables of github.com/ML-Bioinfo-CEITEC/genomic_benchmarks at commit
605d8539830e16c85abe7826990958303ffc5e1c (30 July 2025), from which its sequences are made.
"""

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple


class BenchmarkSet(NamedTuple):
    """A set: how many sequences it has, by the classes in their order, and how long they are."""

    name: str
    what: str
    genome: str
    classes: tuple[str, ...]
    train: tuple[int, ...]
    test: tuple[int, ...]
    shortest: int
    longest: int

    def counts(self) -> Iterator[tuple[str, str, int]]:
        """``(split, class, sequences)`` of every folder."""
        for split, (place, label) in product(("train", "test"), enumerate(self.classes)):
            yield split, label, getattr(self, split)[place]

    @property
    def sequences(self) -> int:
        return sum(self.train) + sum(self.test)


_BINARY_CLASSES = ("negative", "positive")

SETS = {
    row.name: row
    for row in (
        BenchmarkSet(
            "demo_coding_vs_intergenomic_seqs",
            "random stretches of human transcripts, or between genes",
            "GRCh38 (Ensembl 97), its cDNA and its chromosomes",
            ("coding_seqs", "intergenomic_seqs"),
            (37_500, 37_500),
            (12_500, 12_500),
            200,
            200,
        ),
        BenchmarkSet(
            "demo_human_or_worm",
            "random stretches of the human genome, or of that of C. elegans",
            "GRCh38 (Ensembl 97) and WBcel235 (Ensembl 104)",
            ("human", "worm"),
            (37_500, 37_500),
            (12_500, 12_500),
            200,
            200,
        ),
        BenchmarkSet(
            "drosophila_enhancers_stark",
            "fruit fly enhancers of the Stark lab, or random stretches",
            "BDGP6.28 (Ensembl 100)",
            _BINARY_CLASSES,
            (2_592, 2_592),
            (865, 865),
            236,
            3_237,
        ),
        BenchmarkSet(
            "dummy_mouse_enhancers_ensembl",
            "mouse enhancers of Ensembl, or random stretches",
            "GRCm38 (Ensembl 100)",
            _BINARY_CLASSES,
            (484, 484),
            (121, 121),
            331,
            4_776,
        ),
        BenchmarkSet(
            "human_enhancers_cohn",
            "human enhancers of Cohn et al. 2018, or their negative controls",
            "GRCh38 (Ensembl 97)",
            _BINARY_CLASSES,
            (10_422, 10_421),
            (3_474, 3_474),
            500,
            500,
        ),
        BenchmarkSet(
            "human_enhancers_ensembl",
            "human enhancers of FANTOM5, or random stretches",
            "GRCh38 (Ensembl 100)",
            _BINARY_CLASSES,
            (61_936, 61_936),
            (15_485, 15_485),
            2,
            573,
        ),
        BenchmarkSet(
            "human_ensembl_regulatory",
            "human enhancers, open chromatin (ocr) or promoters of Ensembl",
            "GRCh38 (Ensembl 100)",
            ("enhancer", "ocr", "promoter"),
            (85_512, 69_902, 75_934),
            (21_378, 17_476, 18_859),
            71,
            802,
        ),
        BenchmarkSet(
            "human_nontata_promoters",
            "human promoters without a TATA box, or stretches inside genes",
            "GRCh38 (Ensembl 97)",
            _BINARY_CLASSES,
            (12_355, 14_742),
            (4_119, 4_915),
            251,
            251,
        ),
        BenchmarkSet(
            "human_ocr_ensembl",
            "human open chromatin of Ensembl, or random stretches",
            "GRCh38 (Ensembl 100)",
            _BINARY_CLASSES,
            (69_902, 69_902),
            (17_476, 17_476),
            71,
            593,
        ),
    )
}
"""By name, sorted."""
