"""The rules of AttnLRP and CP-LRP as the papers write them, in plain loops over one sequence.

*Achtibat et al. 2024*: propositions 3.1 to 3.4 and the epsilon rule, with epsilon 0. Every function
is given relevance of an output and gives that of the inputs.
"""

from __future__ import annotations

from math import erf, sqrt

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


def linear(inputs: Values, weight: Values, outputs: Values, relevance: Values) -> Values:
    """``(site, input)`` by ``(output, input)``; what ``outputs`` have besides is a bias."""
    handed = np.zeros_like(inputs)
    for site in range(len(inputs)):
        for j in range(len(weight)):
            for i in range(inputs.shape[1]):
                share = inputs[site, i] * weight[j, i] / outputs[site, j]
                handed[site, i] += share * relevance[site, j]
    return handed


def addend(values: Values, outputs: Values, relevance: Values) -> Values:
    handed = np.zeros_like(values)
    for place in np.ndindex(values.shape):
        handed[place] = values[place] / outputs[place] * relevance[place]
    return handed


def matrix_product(first: Values, second: Values, relevance: Values) -> tuple[Values, Values]:
    """``(a, b)`` by ``(b, c)``: half of every product to each of its factors."""
    outputs, of_first, of_second = first @ second, np.zeros_like(first), np.zeros_like(second)
    for i in range(first.shape[0]):
        for j in range(second.shape[1]):
            for k in range(first.shape[1]):
                half = first[i, k] * second[k, j] / (2 * outputs[i, j]) * relevance[i, j]
                of_first[i, k] += half
                of_second[k, j] += half
    return of_first, of_second


def weighted_values(weights: Values, values: Values, relevance: Values) -> Values:
    """A product by weights that are held constant (CP-LRP)."""
    outputs, handed = weights @ values, np.zeros_like(values)
    for i in range(weights.shape[0]):
        for j in range(values.shape[1]):
            for k in range(weights.shape[1]):
                handed[k, j] += weights[i, k] * values[k, j] / outputs[i, j] * relevance[i, j]
    return handed


def softmax(logits: Values, relevance: Values) -> Values:
    """Over the last axis: ``x_i (R_i - s_i sum_j R_j)``; what is masked has none."""
    handed = np.zeros_like(logits)
    for row in range(len(logits)):
        weights = softmax_of(logits[row])
        for i in range(len(weights)):
            if weights[i]:
                taken = weights[i] * sum(relevance[row])
                handed[row, i] = logits[row, i] * (relevance[row, i] - taken)
    return handed


def softmax_of(logits: Values) -> Values:
    exponentials: Values = np.exp(logits - logits.max(-1, keepdims=True))
    shares: Values = exponentials / exponentials.sum(-1, keepdims=True)
    return shares


def normalised(
    inputs: Values,
    weight: Values,
    bias: Values,
    relevance: Values,
    *,
    centred: bool,
    epsilon: float = 1e-5,
) -> Values:
    """Layer normalisation, around 0 root mean square: the deviation is held constant."""
    handed = np.zeros_like(inputs)
    features = inputs.shape[1]
    for site in range(len(inputs)):
        mean = inputs[site].mean() if centred else 0.0
        around = inputs[site] - mean
        deviation = sqrt((around**2).mean() + epsilon)
        for j in range(features):
            scaled = weight[j] * around[j] / deviation
            of_centred = scaled / (scaled + bias[j]) * relevance[site, j]
            for i in range(features):
                part = inputs[site, i] * ((i == j) - centred / features)
                handed[site, i] += part / around[j] * of_centred
    return handed


def mean_over_sites(inputs: Values, relevance: Values) -> Values:
    """``(site, feature)`` -> ``(feature,)``."""
    handed = np.zeros_like(inputs)
    for site in range(len(inputs)):
        for j in range(inputs.shape[1]):
            handed[site, j] = inputs[site, j] / inputs[:, j].sum() * relevance[j]
    return handed


def gelu(values: Values) -> Values:
    answer: Values = values * (1 + np.vectorize(erf)(values / sqrt(2))) / 2
    return answer


def silu(values: Values) -> Values:
    answer: Values = values / (1 + np.exp(-values))
    return answer


def rotated(values: Values) -> tuple[Values, Values]:
    """Rotary position embedding: ``(site, feature)`` -> the same, and the matrix ``(site, output,
    input)`` that rotates the features of each site, pairs half the features apart."""
    sites, features = values.shape
    half = features // 2
    matrices = np.zeros((sites, features, features))
    for site in range(sites):
        for pair in range(half):
            angle = site / 10_000 ** (pair / half)
            matrices[site, pair, pair] = matrices[site, pair + half, pair + half] = np.cos(angle)
            matrices[site, pair, pair + half] = -np.sin(angle)
            matrices[site, pair + half, pair] = np.sin(angle)
    return np.einsum("sij,sj->si", matrices, values), matrices


def attention(
    query: Values,
    key: Values,
    value: Values,
    relevance: Values,
    *,
    bias: Values | None = None,
    rotary: bool = False,
    constant: bool = False,
) -> tuple[Values, Values, Values]:
    """One head ``(site, feature)``: relevance of queries, keys and values. ``bias`` ``(query,
    key)`` is added to the logits; with ``constant`` the weights are held constant."""
    turned = [rotated(each) if rotary else (each, None) for each in (query, key)]
    (query_at, by_query), (key_at, by_key) = turned
    match = query_at @ key_at.T / sqrt(query.shape[1])
    logits = match if bias is None else match + bias
    weights = softmax_of(logits)
    if constant:
        nothing = np.zeros_like(query)
        return nothing, nothing, weighted_values(weights, value, relevance)
    of_weights, of_value = matrix_product(weights, value, relevance)
    of_match = addend(match, np.where(np.isinf(logits), 1, logits), softmax(logits, of_weights))
    of_query, of_key = matrix_product(query_at, key_at.T, of_match)
    if by_query is not None and by_key is not None:
        of_query = _turned_back(query, by_query, query_at, of_query)
        of_key = _turned_back(key, by_key, key_at, of_key.T).T
    return of_query, of_key.T, of_value


def _turned_back(values: Values, matrices: Values, outputs: Values, relevance: Values) -> Values:
    sites = range(len(values))
    rows = [
        linear(values[s : s + 1], matrices[s], outputs[s : s + 1], relevance[s : s + 1])
        for s in sites
    ]
    handed: Values = np.concatenate(rows)
    return handed
