"""What replaced positions take, or replaced tokens."""

from functools import partial

import numpy as np

from xaibench.dna.operators import base_composition, donors
from xaibench.errors import NotApplicable
from xaibench.nn.token_replacement import Replacing
from xaibench.plugins.fence import fenced
from xaibench.plugins.registry import load
from xaibench.plugins.signatures import takes
from xaibench.protocols import operator_facts
from xaibench.randomness import streams
from xaibench.shapes import Codes
from xaibench.values import N

from .job import Work, plugin_and_options, remembered


def donor_of(work: Work, operator: str, codes: Codes) -> Codes:
    """What replaced positions of some sequences take: one draw per sequence, the same for all
    models and methods. NotApplicable where the operator replaces tokens."""
    if replaces_tokens(work, operator):
        raise NotApplicable(f"{operator} replaces tokens, and has no bases to put in their place")
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


@remembered
def replaces_tokens(work: Work, operator: str) -> bool:
    """Whether an operator of the plan replaces the tokens of a model rather than nucleotides; ""
    stands for none."""
    if not operator:
        return False
    plugin = load("operators", work.plan.operators[operator].use, work.job.plugins)
    return operator_facts(plugin.call).of_tokens


def token_operator(work: Work, operator: str) -> Replacing:
    """An operator of the plan that replaces tokens, with its options."""
    plugin, options = plugin_and_options(work, "operators", work.plan.operators[operator])
    return partial(plugin.call, **options)
