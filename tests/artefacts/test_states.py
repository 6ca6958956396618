"""A model before its training and in the course of it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from small_tokenizer import write_tokenizer

from xaibench.artefacts import states
from xaibench.artefacts.artefact import Memory, ensure
from xaibench.artefacts.job import Job, prepare
from xaibench.artefacts.models import model_artefact
from xaibench.artefacts.trained_models import TrainedModel
from xaibench.errors import NotApplicable
from xaibench.models.dnabert2 import DNABert2
from xaibench.plan.schema import Use, read_plan

PLAN = """
dataset: {name: planted, train: 80, test: 20, length: 40}
seeds: [4]
training: {epochs: 3, batch_size: 16, learning_rate: 0.01, keep: last}
models:
  begun:
    {use: dnabert2, tokenizer: tokenizer.json, pretrained: given.safetensors, width: 6, layers: 1,
    heads: 2, hidden: 4}
  cnn: {filters: [3], kernels: [7]}
attribution: [saliency]
metrics: [gini]
"""
BEGUN, CNN = TrainedModel("begun", 4), TrainedModel("cnn", 4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("states")
    tokenizer = write_tokenizer(folder / "tokenizer.json")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        given = DNABert2(classes=2, tokenizer=tokenizer, width=6, layers=1, heads=2, hidden=4)
    save_file(given.bert.state_dict(), folder / "given.safetensors")
    (folder / "plan.yaml").write_text(PLAN)
    return folder


@pytest.fixture(scope="module")
def work(folder):
    plan = str(folder / "plan.yaml")
    return prepare(Job(read_plan(plan), plan, (), folder / "run"))


def embeddings(model):
    return model.state_dict()["bert.embeddings.word_embeddings.weight"].numpy()


def same(one, other):
    first, second = one.state_dict(), other.state_dict()
    return all(torch.equal(first[name], second[name]) for name in first)


def test_a_model_begins_from_its_checkpoint_or_without_it(work, folder):
    given = torch.from_numpy(embeddings(states.as_it_began(work, BEGUN)))
    pretrained = states.with_pretrained_weights(work, BEGUN)
    random = states.with_random_weights(work, BEGUN)
    np.testing.assert_array_equal(embeddings(pretrained), given)
    assert np.abs(embeddings(random) - embeddings(pretrained)).max() > 0.01
    assert embeddings(random).std() == pytest.approx(0.02, rel=0.2)  # as BERT begins
    assert same(states.with_random_weights(work, BEGUN), random)
    assert same(states.with_random_weights(work, CNN), states.as_it_began(work, CNN))


def test_the_last_of_the_epochs_is_the_trained_model(work):
    ensure(model_artefact(work, CNN), Memory(work))
    trained = model_artefact(work, CNN).load(work.store)
    states.keep_epochs(work, CNN, [1, 3])
    assert same(states.after_epoch(work, CNN, 3), trained)
    first = states.after_epoch(work, CNN, 1)
    assert not same(first, trained)
    assert not same(first, states.as_it_began(work, CNN))
    assert not first.training
    assert not [*work.store.root.glob(".training-*")]


def test_epochs_that_are_stored_are_not_learnt_again(work, monkeypatch):
    states.keep_epochs(work, CNN, [1])
    monkeypatch.setattr(states, "learnt", None)
    states.keep_epochs(work, CNN, [1])


def test_what_a_model_never_was_is_not_applicable(work):
    with pytest.raises(NotApplicable, match="cnn does not begin from pre-trained weights"):
        states.with_pretrained_weights(work, CNN)
    with pytest.raises(NotApplicable, match="the training of cnn ends before epoch 4"):
        states.keep_epochs(work, CNN, [4])


def test_a_program_was_never_without_its_weights(work):
    plan = work.plan.model_copy(update={"models": {"program": Use(use="torchscript")}})
    program = replace(work, job=replace(work.job, plan=plan))
    with pytest.raises(NotApplicable, match="program comes whole out of its file"):
        states.as_it_began(program, TrainedModel("program", 0))


OF_FOLDERS = """
dataset: {name: planted, train: 80, test: 20, length: 40}
seeds: [4]
models: {folder: {use: huggingface, path: bert}, mixture: {use: mistral_dna, pretrained: mixtral}}
attribution: [saliency]
metrics: [gini]
"""


@pytest.mark.parametrize(("model", "kind"), [("folder", "bert"), ("mixture", "mixtral")])
def test_a_network_that_its_checkpoint_describes_begins_without_its_weights(model, kind, tmp_path):
    pytest.importorskip("transformers")
    from small_networks import write_network

    for each in ("bert", "mixtral"):
        (tmp_path / each).mkdir()
    given = write_network(tmp_path / kind, kind).state_dict()
    (tmp_path / "plan.yaml").write_text(OF_FOLDERS)
    plan = str(tmp_path / "plan.yaml")
    work = prepare(Job(read_plan(plan), plan, (), tmp_path / "run"))
    trained = TrainedModel(model, 4)
    pretrained = states.with_pretrained_weights(work, trained).network.state_dict()
    random = states.with_random_weights(work, trained).network.state_dict()
    assert all(torch.equal(pretrained[name], each) for name, each in given.items())
    weights = [name for name, each in given.items() if each.ndim > 1]
    assert len(weights) > 10
    assert not any(torch.equal(random[name], given[name]) for name in weights)
