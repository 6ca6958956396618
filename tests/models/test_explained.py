"""Every method of this package on every model of it, through the door of the harness."""

from importlib.metadata import entry_points
from itertools import product

import numpy as np
import pytest
import torch
import toy
from torch import nn

from xaibench.errors import NotApplicable
from xaibench.explanation.method_call import explain
from xaibench.models.attngen import AttnGen
from xaibench.models.cnn import CNN
from xaibench.models.genomic_benchmarks_cnn import GenomicBenchmarksCNN
from xaibench.models.kmer import KmerCounts
from xaibench.models.transformer import Transformer

SIZES = {"classes": 2, "length": 61}
SMALL = {"filters": (5, 6), "kernels": (7, 3)}
MODELS = {
    "cnn": lambda: CNN(**SIZES, **SMALL),
    "attngen": lambda: AttnGen(**SIZES, **SMALL),
    "scorer": lambda: AttnGen(**SIZES, **SMALL, attention_as="scorer"),
    "genomic_benchmarks_cnn": lambda: GenomicBenchmarksCNN(**SIZES),
    "as published": lambda: GenomicBenchmarksCNN(**SIZES, as_published=True),
    "kmer": lambda: KmerCounts(**SIZES, k=3),
    "transformer": lambda: Transformer(**SIZES, width=8, hidden=9),
}
METHODS = {
    point.name: point
    for point in entry_points(group="xaibench.attribution")
    if point.value.startswith("xaibench.attribution.") and point.name != "scores"
}
WITHOUT_ATTENTION = {"cnn", "genomic_benchmarks_cnn", "as published", "kmer"}
NOT_APPLICABLE = {
    *product(["attention", "attention_x_gradient"], WITHOUT_ATTENTION),
    *product(["attention_rollout", "last_layer_attention"], set(MODELS) - {"transformer"}),
    ("attention_x_gradient", "scorer"),  # nothing that is explained depends on its attention
}
CODES = toy.sequences(3, 61)
REFERENCES = toy.random_references(CODES)


def as_trained(name):
    """Seeded weights, and statistics as if it had been trained."""
    torch.manual_seed(0)
    model = MODELS[name]()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    return model.eval()


def explained(method, name):
    return explain(
        METHODS[method].load(),
        as_trained(name),
        CODES,
        np.array([0, 1, 1]),
        options={},
        seed=0,
        component=method,
        references=REFERENCES,
    )


@pytest.mark.parametrize(
    ("method", "model"),
    [pair for pair in product(METHODS, MODELS) if pair not in NOT_APPLICABLE],
)
def test_every_method_explains_every_model_that_has_what_it_needs(method, model):
    """``explain`` refuses scores that are not finite, a model that is not left as it was found, and
    a broken promise of completeness."""
    assert explained(method, model).scores.shape == CODES.shape


@pytest.mark.parametrize(("method", "model"), sorted(NOT_APPLICABLE))
def test_where_a_model_lacks_what_a_method_needs_it_says_so(method, model):
    with pytest.raises(NotApplicable):
        explained(method, model)
