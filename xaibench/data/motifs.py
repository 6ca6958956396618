"""Motifs as matrices: from a MEME file or a release of JASPAR; decoys of them."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xaibench.data.meme import Matrix, Motif, read_motifs
from xaibench.errors import UsageError

SHIPPED = Path(__file__).with_name("motifs.meme")
"""Five matrices of JASPAR that are there without pyjaspar."""

RELEASE = "JASPAR2024"
"""Where a motif is looked up that is not among the five, when no release is named."""


class UnknownMotif(UsageError):
    """No matrix has the name."""


_RESEMBLANCE = 0.3
"""A decoy may have this share of the motif's own score at most, at any offset on either strand."""

_DECOYS = 256
"""So many orders of the columns are tried; the least resembling dinucleotides decide."""


def find_motif(name: str, *, release: str | None = None, path: Path | None = None) -> Motif:
    """The motif of that name or identifier.

    Looked up in the MEME file ``path`` where one is given, else in the ``release`` of JASPAR that
    is named ("JASPAR2014" ... whatever pyjaspar ships), else among the five matrices shipped here
    and then in JASPAR2024. Case matters. Identifiers go before names. Of several matrices of one
    name, a file gives its first; a release the latest version of the smallest identifier. So does
    an identifier without version ("MA0139"). Probabilities are JASPAR's counts without pseudocount.

    Raises ``UnknownMotif`` for an unknown motif, with the nearest, and ``UsageError`` for an
    unknown release or file.
    """
    if path and release:
        raise UsageError(
            f"motif: expected a MEME file or a release of JASPAR, got both, {path} and {release}"
        )
    if path or not release:
        motifs = read_motifs(path or SHIPPED)
        match = next((motif for motif in motifs if motif.identifier == name), None)
        match = match or next((motif for motif in motifs if motif.name == name), None)
        if match:
            return match
        if path:
            known = [word for motif in motifs for word in (motif.identifier, motif.name)]
            raise UnknownMotif(_unknown(name, str(path), known))
    return _of_release(name, release or RELEASE)


def _of_release(name: str, release: str) -> Motif:
    try:
        import pyjaspar
    except ImportError:
        shipped = ", ".join(motif.name for motif in read_motifs(SHIPPED))
        raise UsageError(
            f"motif: {name!r} is looked up in {release} by pyjaspar, which is not installed (these "
            f"are there without it: {shipped}); pip install 'xaibench[motifs]'"
        ) from None
    releases = list(pyjaspar.jaspar_releases)
    if release not in releases:
        raise UsageError(
            f"release: expected one of {', '.join(releases)}, got {release!r}; the nearest is "
            f"{_nearest(release, releases)!r}"
        )
    rows = _rows_of(release)
    row = _chosen(name, rows)
    if row:
        return Motif(f"{row.base}.{row.version}", row.name, _probabilities(row, release))
    others = [other for other in releases if _chosen(name, _rows_of(other))]
    known = [word for row in rows for word in (f"{row.base}.{row.version}", row.name)]
    hint = f"; {others[0]} has it" if others else ""
    raise UnknownMotif(_unknown(name, release, known) + hint)


SHORTEST = 7
"""Columns of a matrix of a family: the best match of a shorter one has a p-value above 1e-4."""


def motifs_of_family(name: str, *, release: str = RELEASE) -> tuple[str, ...]:
    """The identifiers of the latest CORE matrices of all factors whose family or class JASPAR calls
    so, of every taxon, with ``SHORTEST`` columns or more; case does not matter.

    UnknownMotif for another name, with the nearest; UsageError where pyjaspar is missing.
    """
    try:
        with _opened(release) as connection:
            rows = connection.execute(_FAMILIES).fetchall()
    except ImportError:
        raise UsageError(
            f"family: {name!r} is looked up in {release} by pyjaspar, which is not installed; pip "
            "install 'xaibench[motifs]'"
        ) from None
    latest: dict[str, int] = {}
    for family, base, version, columns in rows:
        if family.casefold() == name.casefold() and columns >= SHORTEST:
            latest[base] = max(version, latest.get(base, 0))
    if not latest:
        known = sorted({family for family, *_ in rows})
        raise UnknownMotif(
            f"family: expected a family or class of {release}, got {name!r}; the nearest is "
            f"{_nearest(name, known)!r}"
        )
    return tuple(f"{base}.{version}" for base, version in sorted(latest.items()))


_FAMILIES = """
SELECT a.VAL, m.BASE_ID, m.VERSION, (SELECT MAX(d.col) FROM MATRIX_DATA d WHERE d.ID = m.ID)
FROM MATRIX m JOIN MATRIX_ANNOTATION a ON a.ID = m.ID
WHERE m.COLLECTION = 'CORE' AND a.TAG IN ('family', 'class')
"""


class _Row(NamedTuple):
    """What a release of JASPAR says of a matrix; ``key`` is the database's own number."""

    key: int
    base: str
    version: int
    name: str


@contextmanager
def _opened(release: str) -> Iterator[Any]:
    """The SQLite connection of a release. pyjaspar's own calls look up all else that is known of a
    matrix as well, and print or warn where there is none."""
    import pyjaspar

    with closing(pyjaspar.jaspardb(release=release).conn) as connection:
        yield connection


def _rows_of(release: str) -> list[_Row]:
    with _opened(release) as connection:
        rows = connection.execute("SELECT ID, BASE_ID, VERSION, NAME FROM MATRIX")
        return [_Row(*row) for row in rows]


def _chosen(name: str, rows: list[_Row]) -> _Row | None:
    """The row of a full identifier, of a bare one, or of a name, in this order."""
    full = [row for row in rows if f"{row.base}.{row.version}" == name]
    bare = [row for row in rows if row.base == name]
    named = [row for row in rows if row.name == name]
    candidates = full or bare or named
    return min(candidates, key=lambda row: (row.base, -row.version), default=None)


def _probabilities(row: _Row, release: str) -> Matrix:
    query = "SELECT col, row, val FROM MATRIX_DATA WHERE ID = ?"
    with _opened(release) as connection:
        cells = connection.execute(query, (row.key,)).fetchall()
    counts = np.zeros((max(column for column, _, _ in cells), 4))
    for column, base, count in cells:
        counts[column - 1, "ACGT".index(base)] = count
    sums = counts.sum(axis=1, keepdims=True)
    if (sums <= 0).any():  # UN0498.1 and UN0570.1 of JASPAR2022 and later
        raise UsageError(
            f"motif: expected a matrix with counts in every column, got {row.base}.{row.version} "
            f"of {release}, whose column {int(sums.argmin())} is empty"
        )
    probabilities: Matrix = counts / sums
    return probabilities


def _unknown(name: str, where: str, known: list[str]) -> str:
    return (
        f"motif: expected a name or an identifier of {where}, got {name!r}; "
        f"the nearest is {_nearest(name, known)!r}"
    )


def _nearest(name: str, known: list[str]) -> str:
    by_folded = {word.casefold(): word for word in reversed(known)}
    return by_folded[get_close_matches(name.casefold(), by_folded, n=1, cutoff=0)[0]]


def decoy(motif: Matrix, generator: np.random.Generator) -> Matrix:
    """The columns in another order that does not resemble the motif but keeps its dinucleotides.

    Of the random orders with a resemblance of 0.3 at most, the one whose expected dinucleotides
    are closest to the motif's: otherwise counting CC and GG solves half the task.
    """
    orders = [motif[generator.permutation(len(motif))] for _ in range(_DECOYS)]
    unlike = [order for order in orders if resemblance(order, motif) <= _RESEMBLANCE]
    if not unlike:
        raise UsageError(
            f"decoys: expected a motif whose columns can be put in an order unlike it, got one of "
            f"{len(motif)} columns of which {_DECOYS} orders all resemble it; decoys: [absent]"
        )
    expected = _expected_dinucleotides(motif)
    return min(
        unlike, key=lambda order: float(np.abs(_expected_dinucleotides(order) - expected).sum())
    )


def _expected_dinucleotides(matrix: Matrix) -> Matrix:
    """``(base, next base)``: expected counts in an instance."""
    counts: Matrix = matrix[:-1].T @ matrix[1:]
    return counts


def resemblance(matrix: Matrix, motif: Matrix) -> float:
    """The expected score that ``matrix`` gets from the motif, as a share of the motif's own.

    The best over all offsets and both strands; the score of a column is its expected log-odds
    against uniform bases. 1 for the motif itself, about 0 or below for what is unlike it.
    """
    log_odds = np.log2(4 * (motif + 0.001) / 1.004)
    own = float((motif * log_odds).sum())
    both = [strand @ log_odds.T for strand in (matrix, matrix[::-1, ::-1])]
    return max(float(_diagonal_sums(by_column).max()) for by_column in both) / own


def _diagonal_sums(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Those of a matrix, from the corner at its lower left on."""
    rows, columns = matrix.shape
    # each row is one longer than it is read below, and so lies one further on than the row before
    padded = np.zeros((rows, rows + columns))
    padded[:, :columns] = matrix[::-1]
    skewed = padded.ravel()[:-rows].reshape(rows, rows + columns - 1)
    sums: NDArray[np.float64] = skewed.sum(axis=0)
    return sums
