"""Pieces of one table, joined without a second copy of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd


def rows_joined(pieces: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """The rows of all pieces, one after another; there is at least one piece, and all have the
    same columns. A piece is let go of once the next is asked for.

    Values are copied, for a piece may be a view of memory that is let go of as a whole alone. Text
    in categories stays so: of all pieces, in the order in which they appear. Beside the table
    there is at most one more copy of one of its columns.
    """
    import pandas as pd

    columns: dict[Any, list[Any]] = {}
    categories: dict[Any, pd.Index[Any]] = {}
    for piece in pieces:
        for name in piece:
            values = piece[name]
            if isinstance(values.dtype, pd.CategoricalDtype):
                known = categories.get(name, values.cat.categories)
                categories[name], codes = _renumbered(known, values)
                columns.setdefault(name, []).append(codes)
            else:
                columns.setdefault(name, []).append(values.copy())
    made = {}
    for name in [*columns]:
        parts = columns.pop(name)
        if name in categories:
            made[name] = pd.Categorical.from_codes(np.concatenate(parts), categories[name])
        else:
            made[name] = pd.concat(parts, ignore_index=True)
    return pd.DataFrame(made, copy=False)


def _renumbered(known: pd.Index[Any], values: pd.Series[Any]) -> tuple[pd.Index[Any], NDArray[Any]]:
    """The categories with those of the values that are not among them, and the values' codes."""
    import pyarrow as pa
    from pyarrow import compute

    own, codes = values.cat.categories, values.cat.codes.to_numpy()
    if own is known or own.equals(known):
        return known, codes.copy()
    new, old = pa.array(own), pa.array(known)
    every = known.append(own[compute.index_in(new, old).is_null().to_numpy(zero_copy_only=False)])
    places = compute.index_in(new, pa.array(every)).to_numpy()
    places = np.append(places, -1).astype(np.min_scalar_type(-len(every) - 1))
    return every, places[codes]  # the code of what is missing is the last, -1
