"""Fine-tuning: low-rank adaptation, recomputed layers, warm-up, scaled gradients."""

import copy

import numpy as np
import pytest
import torch

from xaibench.data.splitting import cut_validation
from xaibench.data.synthetic.planted import planted
from xaibench.errors import ModelError, UsageError
from xaibench.models import training
from xaibench.models.batches import Setting, batches_of_epoch
from xaibench.models.checkpoints import State
from xaibench.models.cnn import CNN
from xaibench.models.dnabert2 import DNABert2
from xaibench.models.low_rank import LowRank, low_rank_adapted
from xaibench.models.masking import NONE
from xaibench.models.recompute import recomputed
from xaibench.models.training import supervised
from xaibench.nn.inference import logits
from xaibench.plan.schema import read_plan
from xaibench.values import Splits

pytest.importorskip("tokenizers")

from small_tokenizer import write_tokenizer

SIZES = {"width": 12, "layers": 2, "heads": 3, "hidden": 10}
LORA = LowRank(rank=2, alpha=4.0, targets=("Wqkv", "mlp.wo"))
TARGETS = {
    f"bert.encoder.layer.{layer}.{name}.weight"
    for layer in range(2)
    for name in ("attention.self.Wqkv", "mlp.wo")
}


@pytest.fixture(scope="module")
def splits():
    whole = planted(data_seed=0, train=60, test=20, length=23)
    train, validation = cut_validation(whole.train, 0.2, 0)
    return Splits(train, whole.test, validation)


@pytest.fixture(scope="module")
def untrained(tmp_path_factory):
    tokenizer = write_tokenizer(tmp_path_factory.mktemp("tokenizer") / "tokenizer.json")
    torch.manual_seed(0)
    return DNABert2(classes=2, tokenizer=tokenizer, **SIZES)


def trained(untrained, splits, **options):
    model = copy.deepcopy(untrained)
    torch.manual_seed(1)
    options = {"epochs": 2, "batch_size": 16, "learning_rate": 0.01, **options}
    known = {"seed": 0, "progress": lambda *row: None}
    return model, supervised(model, splits, **{**known, **options})


@pytest.mark.parametrize(
    ("schedule", "warm_up", "expected"),
    [
        ("linear", 0.4, [0.5, 1, 1, 2 / 3, 1 / 3]),
        ("linear", 0.0, [1, 0.8, 0.6, 0.4, 0.2]),
        ("constant", 0.6, [1 / 3, 2 / 3, 1, 1, 1]),
        # from 1 / 25 up along half a cosine in one step, then down it in three
        ("one_cycle", 0.4, [0.04, 1, 0.75, 0.25, 0]),
        # down at once: between the first step and one before it nothing rises
        ("one_cycle", 0.0, [*(0.5 + 0.5 * np.cos(np.pi * (step + 1) / 5) for step in range(5))]),
    ],
)
def test_the_rate_rises_in_its_share_of_the_steps_and_falls(schedule, warm_up, expected):
    network = CNN(classes=2, length=11, filters=(2,), kernels=(3,))
    optimiser, following = training._optimiser(network, 5, 0.5, 0.0, schedule, warm_up)
    rates = []
    for _ in range(5):
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        following.step()
    assert rates == pytest.approx([0.5 * each for each in expected], abs=1e-5)


def test_a_gradient_above_the_norm_is_scaled_to_it(untrained, splits):
    norms = {}
    for limit in (None, 0.01):
        model = copy.deepcopy(untrained)
        state = State(model, *training._optimiser(model, 20, 0.01, 0.0, "constant"))

        def norm(optimiser, *_, of=limit):
            (group,) = optimiser.param_groups
            grads = [each.grad.flatten() for each in group["params"] if each.grad is not None]
            norms[of] = float(torch.cat(grads).norm())

        state.optimiser.register_step_pre_hook(norm)
        setting = Setting(NONE, 0, 16, False, False, torch.device("cpu"), limit)
        batch = next(batches_of_epoch(model, splits.train, 0, 0.0, setting))
        training._step(state, batch, setting)
    assert norms[None] > 0.02
    assert norms[0.01] == pytest.approx(0.01, rel=1e-3)


def test_with_lora_targets_change_by_a_low_rank_the_head_freely_and_nothing_else(untrained, splits):
    model, history = trained(untrained, splits, lora=LORA)
    before, after = untrained.state_dict(), model.state_dict()
    assert {*after} == {*before}
    for name in before:
        change = after[name] - before[name]
        if name in TARGETS:
            strengths = torch.linalg.svdvals(change)
            assert strengths[1] > 1e-4  # both ranks are used
            assert strengths[2] < 1e-6  # rounding of weights of about 0.1
        elif name.startswith(("bert.pooler", "classifier")):
            assert change.abs().max() > 0
        else:
            assert torch.equal(after[name], before[name]), name
    # two per layer, of 36 x 12 and of 12 x 10, and a pooler and a head with their biases
    count = 2 * 2 * (36 + 12) + 2 * 2 * (12 + 10) + 12 * 12 + 12 + 2 * 12 + 2
    assert [row["learnt"] for row in history] == [count, count]
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert not any("parametriz" in str(type(module)).lower() for module in model.modules())
    assert "learnt" not in trained(untrained, splits, epochs=1)[1][0]


def test_merged_weights_give_the_logits_of_what_was_learnt(untrained, splits):
    model = copy.deepcopy(untrained)
    torch.manual_seed(0)
    for parameter in model.parameters():  # so that no logit is small beside rounding
        parameter.data += 0.3 * torch.randn(parameter.shape)
    frozen = model.bert.embeddings.word_embeddings.weight.requires_grad_(False)
    intact = logits(model, splits.test.codes)
    with low_rank_adapted(model, LORA):
        assert np.array_equal(logits(model, splits.test.codes), intact)  # B is 0
        for name, parameter in model.named_parameters():
            if name.endswith(".b"):
                parameter.data.normal_(std=0.5)
        inside = logits(model, splits.test.codes)
    after = logits(model, splits.test.codes)
    assert np.abs(inside - intact).max() > 1e-3
    assert np.array_equal(after, inside)
    wanting = {name for name, each in model.named_parameters() if each.requires_grad}
    assert {name for name, _ in model.named_parameters()} - wanting == {
        "bert.embeddings.word_embeddings.weight"
    }
    assert model.bert.embeddings.word_embeddings.weight is frozen


def test_a_training_with_lora_that_was_killed_gives_the_weights_of_one_that_was_not(
    untrained, splits, tmp_path
):
    class Killed(Exception):
        pass

    def kill(epoch, epochs, row):
        raise Killed

    with pytest.raises(Killed):
        trained(untrained, splits, lora=LORA, checkpoint=tmp_path / "state", progress=kill)
    resumed, _ = trained(untrained, splits, lora=LORA, checkpoint=tmp_path / "state")
    undisturbed, _ = trained(untrained, splits, lora=LORA)
    same = undisturbed.state_dict()
    assert all(torch.equal(each, same[name]) for name, each in resumed.state_dict().items())


def test_without_targets_every_linear_layer_outside_of_the_head_is_one(untrained):
    model = copy.deepcopy(untrained)
    with low_rank_adapted(model, LowRank()):
        names = {name for name, _ in model.named_parameters() if name.endswith(".a")}
    # Wqkv, dense, gated_layers and wo of two layers
    assert len(names) == 8


def test_the_head_of_a_model_that_names_none_is_its_last_module_with_parameters():
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    with low_rank_adapted(model, LowRank(rank=1)):
        wanting = {name for name, each in model.named_parameters() if each.requires_grad}
    assert wanting == {
        *("0.parametrizations.weight.0.a", "0.parametrizations.weight.0.b"),
        *("2.weight", "2.bias"),
    }


def test_recomputed_layers_give_the_same_weights_and_remember_less(untrained, splits):
    plain, _ = trained(untrained, splits)
    again, _ = trained(untrained, splits, recompute=True)
    same = again.state_dict()
    assert all(torch.equal(each, same[name]) for name, each in plain.state_dict().items())
    codes = torch.from_numpy(splits.train.codes[:7])
    inputs = again.encode(codes)
    kept = remembered(again, inputs)
    with recomputed(again):
        assert remembered(again, inputs) < 0.5 * kept
    assert remembered(again, inputs) == kept


def remembered(model, inputs):
    """Numbers that a forward pass keeps for its gradients."""
    sizes = []

    def pack(tensor):
        sizes.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        model(inputs)
    return sum(sizes)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lora": LowRank()}, r"expected linear layers beside the head \(classify\), got none"),
        ({"recompute": True}, r"expected a list of layers \(nn.ModuleList\) in the model, got"),
    ],
)
def test_a_model_that_they_do_not_fit_is_named(options, message, splits):
    model = CNN(classes=2, length=23, filters=(2,), kernels=(3,))
    with pytest.raises(ModelError, match=message):
        trained(model, splits, **options)


def test_a_target_that_is_no_linear_layer_is_named(untrained, splits):
    with pytest.raises(ModelError, match=r"is named 'query'; there are Wqkv, dense, gated_layers,"):
        trained(untrained, splits, lora=LowRank(targets=("query",)))


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("lora: {rank: 0}", r"training\.lora\.rank: input should be greater than or equal to 1"),
        ("lora: {ranks: 1}", r"training\.lora: unknown key 'ranks'; did you mean 'rank'"),
        ("warm_up: 1", r"training\.warm_up: input should be less than 1, got 1"),
        ("gradient_norm: 0", r"training\.gradient_norm: input should be greater than 0, got 0"),
    ],
)
def test_options_that_cannot_be_are_one_line(written, message, tmp_path):
    path = tmp_path / "plan.yaml"
    path.write_text(f"dataset: planted\nmodels: [cnn]\ntraining: {{{written}}}\n")
    with pytest.raises(UsageError, match=message):
        read_plan(str(path))
