"""A small plan with a model that reads tokens beside a CNN, through everything."""

from pathlib import Path

import pytest
from shared import made_once
from small_run import finished, work_of
from small_tokenizer import write_tokenizer

from xaibench.artefacts.job import Work

PLAN = """
dataset: {name: planted, train: 80, test: 30, length: 40}
claims: attnlrp
reference: by operation
seeds: [0, 3]
training: {epochs: 1, batch_size: 20}
models:
  plain: {use: cnn, filters: [4], kernels: [19]}
  reader: {use: dnabert2, tokenizer: TOKENIZER, width: 8, layers: 1, heads: 2, hidden: 8}
attribution:
  by operation broadcast: {use: lrp, rule: attnlrp, transfer: broadcast}
  by operation: {use: lrp, rule: attnlrp}
  by epsilon: {use: lrp}
  attention_x_gradient: {}
  input_x_gradient: {}
  random: {}
sequences: 8
controlled: 4
controls: [mean map]
fractions: [0, 0.3, 1]
random_draws: 2
operators: [n, uniform]
metrics: {deletion: {}, auprc: {}, gini: {}, seed_agreement: {}}
reports: [markdown]
"""


def token_run(factory: pytest.TempPathFactory) -> Work:
    """The finished run, made once for all processes that test side by side."""

    def make(folder: Path) -> None:
        write_tokenizer(folder / "tokenizer.json")
        _, outcome = finished(folder / "run", text=_plan(folder))
        assert outcome.failures == []

    folder = made_once(factory, "token-run", make)
    return work_of(folder / "run", text=_plan(folder))


def _plan(folder: Path) -> str:
    return PLAN.replace("TOKENIZER", str(folder / "tokenizer.json"))
