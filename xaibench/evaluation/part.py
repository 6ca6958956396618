"""What a metric is measured on, part by part: an operator and a quantity, a layer, or all at
once."""

from collections.abc import Callable, Iterator

from .apply import Inputs
from .records import RecordGroup

MetricPart = tuple[RecordGroup, Callable[[], Iterator[Inputs]]]
"""What its records say, and what makes the inputs of the metric, one per draw. The latter raises
``Missing`` or ``NotApplicable`` where there are none."""
