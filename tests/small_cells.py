"""A small scGPT in a folder, under the published names, and cells with a planted gene programme."""

import json

import h5py
import numpy as np
import torch
from scipy import sparse

from xaibench.models.scgpt import ScGPT

GENES = tuple(f"G{number}" for number in range(48))
PROGRAMME = GENES[10:20]
"""High in cells of the type ``active``."""

TYPES = ("active", "resting")
WIDTH, HEADS, HIDDEN, LAYERS = 16, 2, 20, 2


def published_tensors(genes, classes):
    """Names and shapes of ``best_model.pt``."""
    shapes = {
        "encoder.embedding.weight": (genes, WIDTH),
        "value_encoder.linear1.weight": (WIDTH, 1),
        "value_encoder.linear1.bias": (WIDTH,),
        "value_encoder.linear2.weight": (WIDTH, WIDTH),
        "value_encoder.linear2.bias": (WIDTH,),
        "flag_encoder.weight": (2, WIDTH),
        "decoder.fc.0.weight": (WIDTH, WIDTH),
        "mvc_decoder.gene2query.weight": (WIDTH, WIDTH),
    }
    for norm in ("encoder.enc_norm", "value_encoder.norm"):
        shapes |= {f"{norm}.weight": (WIDTH,), f"{norm}.bias": (WIDTH,)}
    for layer in range(LAYERS):
        at = f"transformer_encoder.layers.{layer}."
        for name, out, width in (
            ("self_attn.Wqkv", 3 * WIDTH, WIDTH),
            ("self_attn.out_proj", WIDTH, WIDTH),
            ("linear1", HIDDEN, WIDTH),
            ("linear2", WIDTH, HIDDEN),
        ):
            shapes |= {f"{at}{name}.weight": (out, width), f"{at}{name}.bias": (out,)}
        for norm in ("norm1", "norm2"):
            shapes |= {f"{at}{norm}.weight": (WIDTH,), f"{at}{norm}.bias": (WIDTH,)}
    if classes:
        for place in (0, 3):
            at = f"cls_decoder._decoder.{place}"
            shapes |= {f"{at}.weight": (WIDTH, WIDTH), f"{at}.bias": (WIDTH,)}
            at = f"cls_decoder._decoder.{place + 2}"
            shapes |= {f"{at}.weight": (WIDTH,), f"{at}.bias": (WIDTH,)}
        shapes |= {"cls_decoder.out_layer.weight": (classes, WIDTH)}
        shapes |= {"cls_decoder.out_layer.bias": (classes,)}
    return {name: _drawn(name, shape) for name, shape in shapes.items()}


def _drawn(name, shape):
    """Of normalisations 1, of biases 0."""
    if len(shape) == 1:
        return torch.full(shape, float(name.endswith("weight")))
    return 0.3 * torch.randn(shape)


def write_scgpt(folder, *, classes=2, args=()):
    """The folder, with random weights, but for the first head of the first layer: genes of the
    programme share a direction of their embeddings, and it attends to that."""
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {gene: number for number, gene in enumerate((*GENES, "<pad>", "<cls>", "<eoc>"))}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    sizes = {"embsize": WIDTH, "nheads": HEADS, "d_hid": HIDDEN, "nlayers": LAYERS}
    published = {
        "n_bins": 21,
        "pad_value": -2,
        "pad_token": "<pad>",
        "max_seq_len": 1200,
        "dropout": 0,
    }
    (folder / "args.json").write_text(json.dumps({**sizes, **published, **dict(args)}))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        tensors = published_tensors(len(vocabulary), classes)
    tensors["encoder.embedding.weight"][[vocabulary[gene] for gene in PROGRAMME], 0] += 1.5
    at = "transformer_encoder.layers.0.self_attn.Wqkv."
    tensors[f"{at}weight"][[0, WIDTH]] = 0
    tensors[f"{at}bias"][0], tensors[f"{at}weight"][WIDTH, 0] = 2, 1
    torch.save(tensors, folder / "best_model.pt")
    return folder


def counts_of_cells(number, seed=0):
    """``(cell, gene)`` counts, half of them 0, and the type of each cell."""
    generator = np.random.default_rng(seed)
    labels = np.arange(number) % 2
    means = np.exp(generator.normal(1, 1, (number, len(GENES))))
    means[np.ix_(labels == 0, np.isin(GENES, PROGRAMME))] *= 3
    there = generator.random(means.shape) < 0.6
    return (generator.poisson(means) * there).astype(np.float32), labels


def write_h5ad(path, counts, labels, *, genes=GENES, kind="csr_matrix", column="cell_type"):
    """As anndata 0.8 and later write it."""
    with h5py.File(path, "w") as file:
        for name, index in (("obs", [f"c{row}" for row in range(len(counts))]), ("var", genes)):
            group = file.create_group(name)
            group.attrs["_index"] = "_index"
            group["_index"] = list(index)
        group = file["obs"].create_group(column)
        group.attrs["encoding-type"] = "categorical"
        group["codes"], group["categories"] = np.asarray(labels, np.int8), list(TYPES)
        file["var"]["symbol"] = [f"symbol {gene}" for gene in genes]
        if kind == "dense":
            file["X"] = counts
            return path
        made = getattr(sparse, kind)(counts)
        group = file.create_group("X")
        group.attrs["encoding-type"], group.attrs["shape"] = kind, counts.shape
        for name in ("data", "indices", "indptr"):
            group[name] = getattr(made, name)
    return path


def train(folder, counts, labels, *, epochs=20, lr=3e-3):
    """Fit the class of each cell, and write the weights back."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = ScGPT(path=folder, genes=GENES).train()
        optimiser = torch.optim.AdamW(model.parameters(), lr=lr)
        for _ in range(epochs):
            for rows in torch.randperm(len(counts)).split(50):
                given = torch.from_numpy(counts)[rows]
                valid = torch.from_numpy(model.token_sites(given).valid)
                logits = model(model.encode(given), valid)
                loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(labels)[rows])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
    stored = torch.load(folder / "best_model.pt", weights_only=True)
    torch.save({**stored, **model.state_dict()}, folder / "best_model.pt")
    return loss.item()
