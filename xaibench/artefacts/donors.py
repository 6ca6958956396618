"""What replaced positions take."""

import numpy as np

from xaibench.dna.operators import base_composition, donors
from xaibench.plugins.fence import fenced
from xaibench.plugins.signatures import takes
from xaibench.randomness import streams
from xaibench.shapes import Codes
from xaibench.values import N

from .job import Work, plugin_and_options


def donor_of(work: Work, operator: str, codes: Codes) -> Codes:
    """What replaced positions of some sequences take: one draw per sequence, the same for all
    models and methods."""
    use = work.plan.operators[operator]
    plugin, options = plugin_and_options(work, "operators", use)
    if "composition" in takes(plugin.call):
        options["composition"] = base_composition(work.splits.background.codes)
    generators = streams(work.plan.data_seed, f"donor {use.use}", codes)
    with fenced():
        donor = donors(plugin.call, codes, generators, **options)
    if donor.shape != codes.shape or donor.dtype != np.uint8 or donor.max(initial=0) > N:
        raise ValueError(
            f"{plugin.name}: expected a donor of codes 0 to 4, uint8 {codes.shape[1:]}, got "
            f"{donor.dtype} {donor.shape[1:]} up to {donor.max(initial=0)}"
        )
    return donor
