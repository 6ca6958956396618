"""The axes, named once.

``sequence`` one DNA sequence; ``position`` a nucleotide of it; ``base`` one of A C G T;
``channel`` and ``site`` the two axes of a model's encoded input (for a nucleotide model: base and
position); ``class`` an output; ``step`` a point of a curve; ``reference``, ``seed`` and ``draw``
count repetitions. Shapes in docstrings are written ``(sequence, position)`` or, where a line is
short, with N sequences, L positions, C channels, S sites, K references.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.uint8]
"""``(sequence, position)``; A C G T = 0 1 2 3; N and padding = 4."""

Mask = NDArray[np.bool_]
"""``(sequence, position)``; the name of a mask says what True means."""

Evidence = NDArray[np.signedinteger[Any]]
"""``(sequence, position)``; the class that a motif at the position speaks for, -1 where none is."""

Labels = NDArray[np.int64]
"""``(sequence,)``; an index into the class names."""

Scores = NDArray[np.float32]
"""``(sequence, position)``; larger is more relevant to the target."""

Logits = NDArray[np.float32]
"""``(..., sequence, class)``."""

Float = NDArray[np.float64]
"""Numbers in double precision, of any shape."""

Values = NDArray[np.float64]
"""``(sequence,)``; one number for each sequence, NaN where undefined."""
