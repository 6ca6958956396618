"""The tables, the figure and the numbers beside attnlrp.md, from the folders of its two runs.

python docs/results/attnlrp.py CTCF_PU1 TATA

Without folders it makes the learning curves alone, from attnlrp_training.csv.
What stands between `<!-- NAME -->` and `<!-- end -->` in the page is written anew.
"""

import json
import re
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import pandas as pd
from matplotlib import pyplot as plt

HERE = Path(__file__).parent
PAGE = HERE / "attnlrp.md"
DATA = ("CTCF/PU.1", "TATA")
ABSENT = "-"
CNN, LANGUAGE = "cnn", "dnabert2"
OPERATOR = "uniform"
SHOWN = {
    ("value", "gini", ""): "Gini index",
    ("value", "effective_positions", ""): "effective positions",
    ("normalised", "deletion_logit_difference", OPERATOR): "deletion, share of the oracle's gap",
    ("against random", "deletion_logit_difference", OPERATOR): "deletion, gap to random",
    ("against random", "insertion_logit_difference", OPERATOR): "insertion, gap to random",
    ("value", "auprc", ""): "AUPRC for the motif",
    ("value", "seed_agreement", ""): "agreement of seeds",
}
"""Question, metric and operator of what the table of methods has for each model -> its head."""

CURVES = {
    "random control": "0.5",
    "attnlrp": "#D55E00",
    "attnlrp broadcast": "#E69F00",
    "last_layer_attention": "#0072B2",
    "attention_rollout": "#56B4E9",
    "integrated_gradients": "#009E73",
}
PAIRS = {
    ("lrp epsilon", "attnlrp"): "LRP epsilon,\nAttnLRP",
    ("lrp epsilon", "attnlrp broadcast"): "LRP epsilon,\nbroadcast",
    ("lrp epsilon", "cp_lrp"): "LRP epsilon,\nCP-LRP",
    ("lrp z_plus", "attnlrp"): "LRP z_plus,\nAttnLRP",
    ("integrated_gradients", "integrated_gradients"): "integrated\ngradients",
    ("occlusion", "occlusion"): "occlusion",
}
"""Methods on the CNN and on the language model whose similarity is shown."""

LEARNING = {
    "cnn": ("#009E73", "CNN"),
    "dnabert2": ("#0072B2", "DNABERT-2 from masked tokens"),
    "from_random": ("#D55E00", "DNABERT-2 from random weights"),
}
"""Models whose learning is shown."""

FIGURE = "![Deletion on the language model, and how alike the maps of both models are](attnlrp.png)"


def main(*folders: Path) -> None:
    if folders:
        of_runs(dict(zip(DATA, folders, strict=True)))
    training = pd.read_csv(HERE / "attnlrp_training.csv")
    PAGE.write_text(replaced(PAGE.read_text(), "learning", learning(training)))
    learning_figure(training).savefig(HERE / "attnlrp_learning.png", dpi=110)


def of_runs(runs: dict[str, Path]) -> None:
    for name, keep in KEPT.items():
        parts = [keep(table(run, name)).assign(data=data) for data, run in runs.items()]
        frame = pd.concat(parts, ignore_index=True)
        if name == "estimates":  # which a board ranks with those of the same version alone
            frame["version"] = frame["data"].map({data: version(runs[data]) for data in runs})
        frame.to_csv(HERE / f"attnlrp_{name}.csv", index=False, float_format="%.5g")
    page = PAGE.read_text()
    for name, lines in {
        "models": models(runs),
        "claims": claims(runs),
        **{f"methods {data}": methods(run) for data, run in runs.items()},
        "agreement": agreement(runs),
        "figure": iter([FIGURE]),
        "cost": cost(runs),
    }.items():
        page = replaced(page, name, lines)
    PAGE.write_text(page)
    figure(runs).savefig(HERE / "attnlrp.png", dpi=110)


def version(run: Path) -> str:
    return str(json.loads((run / "environment.json").read_text())["versions"]["xaibench"])


def table(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(
        folder / f"{name}.csv", keep_default_na=False, na_values=["", "nan"], low_memory=False
    ).fillna({"operator": "", "caveat": "", "quantity": ""})


def shown_estimates(every: pd.DataFrame) -> pd.DataFrame:
    questions = {question for question, *_ in SHOWN} | {"between models", "against reference"}
    metrics = {metric for _, metric, _ in SHOWN} | {"accuracy", "relevance_mass", "pointing_game"}
    known = every["mean"].notna() & every["metric"].isin(metrics)
    return every[known & every["question"].isin(questions)]


def whole(every: pd.DataFrame) -> pd.DataFrame:
    return every


KEPT = {
    "claims": whole,
    "estimates": shown_estimates,
    "model_agreement": whole,
    "training": whole,
    "cost": whole,
}
"""The tables of a run -> what of them is kept beside the page."""


def replaced(page: str, name: str, lines: Iterator[str]) -> str:
    """The page with other lines between the marks of this name."""
    begin, end = f"<!-- {name} -->", "<!-- end -->"
    if begin not in page:
        raise SystemExit(f"{PAGE.name}: expected the mark {begin}, got none")
    text = "\n".join([begin, *lines, end])
    return re.sub(f"{re.escape(begin)}.*?{end}", lambda _: text, page, count=1, flags=re.DOTALL)


def rows(*lines: tuple[Any, ...]) -> Iterator[str]:
    """The lines of a Markdown table, the first its head."""
    head, *body = lines
    yield f"| {' | '.join(head)} |"
    yield "|---" * len(head) + "|"
    for line in body:
        yield f"| {' | '.join(map(str, line))} |"


def interval(row: Any) -> str:
    """The mean with its interval, for retraining where there are seeds."""
    if pd.isna(row["mean"]):
        return ABSENT
    size = abs(row["mean"])
    decimals = 3 if size < 0.095 else 2 if size < 10 else 1
    ends = ", ".join(f"{row[end]:.{decimals}f}" for end in ("low", "high"))
    return f"{row['mean']:.{decimals}f} [{ends}]"


def models(runs: dict[str, Path]) -> Iterator[str]:
    lines = [("data", "model", "accuracy", "composition alone")]
    for data, run in runs.items():
        environment = json.loads((run / "environment.json").read_text())
        floor = max(environment["floor"], key=lambda each: each["accuracy"])
        values = table(run, "estimates").query("question == 'value' and metric == 'accuracy'")
        for row in values.to_dict("records"):
            ends = f"[{row['low']:.3f}, {row['high']:.3f}]"
            reached = f"{row['mean']:.3f} {ends}"
            lines.append((data, row["model"], reached, f"{floor['accuracy']:.3f} {floor['name']}"))
    return rows(*lines)


def accuracies(training: pd.DataFrame, data: str, model: str) -> pd.DataFrame:
    """By epoch: mean, lowest and highest accuracy on validation over seeds."""
    own = training[(training["data"] == data) & (training["model"] == model)]
    return own.groupby("epoch")["validation_accuracy"].agg(["mean", "min", "max"])


def learning(training: pd.DataFrame) -> Iterator[str]:
    """The table of what each model reaches epoch by epoch, and its figure."""
    epochs = sorted(training["epoch"].unique())
    lines = [("data", "model", *(f"epoch {epoch}" for epoch in epochs))]
    for data, (model, (_, name)) in product(DATA, LEARNING.items()):
        known = accuracies(training, data, model)
        cells = (spread(known, epoch) if epoch in known.index else ABSENT for epoch in epochs)
        lines.append((data, name, *cells))
    yield from rows(*lines)
    yield from ("", "![Accuracy on validation by epoch, and the floor](attnlrp_learning.png)")


def spread(known: pd.DataFrame, epoch: int) -> str:
    mean, low, high = known.loc[epoch]
    return f"{mean:.3f} ({low:.3f} to {high:.3f})"


def floors() -> dict[str, float]:
    """Accuracy on test of what knows the composition alone, as the page has it."""
    cells = [line.split("|") for line in PAGE.read_text().splitlines() if "-mers |" in line]
    return {each[1].strip(): float(each[4].split()[0]) for each in cells}


def claims(runs: dict[str, Path]) -> Iterator[str]:
    """By claim and quantity, which are the same where both runs have them."""
    cells: dict[tuple[str, str], dict[str, str]] = {}
    for data, run in runs.items():
        for row in table(run, "claims").to_dict("records"):
            quantity = row["quantity"] or row["caveat"].split(";")[0]
            cell = f"{interval(row)}: {row['verdict']}"
            cells.setdefault((row["claim"], quantity), {})[data] = cell
    head = ("claim", "measured", *runs)
    return rows(
        head, *((*key, *(row.get(data, "") for data in runs)) for key, row in cells.items())
    )


def methods(run: Path) -> Iterator[str]:
    """Every method on both models, metric by metric."""
    every = table(run, "estimates")
    names = dict.fromkeys(every.loc[every["question"] == "value", "method"].dropna())
    names = [name for name in names if name not in ("random control", "oracle")]
    columns = {}
    for (question, metric, operator), head in SHOWN.items():
        match = (every["question"] == question) & (every["metric"] == metric)
        of_metric = every[match & (every["operator"] == operator)]
        for model in (CNN, LANGUAGE):
            own = of_metric[of_metric["model"] == model].drop_duplicates("method")
            columns[f"{head}, {model}"] = own.set_index("method")
    body = [
        (
            name,
            *(interval(own.loc[name]) if name in own.index else ABSENT for own in columns.values()),
        )
        for name in names
    ]
    return rows(("method", *columns), *body)


def similarity(run: Path, measure: str = "spearman") -> pd.DataFrame:
    every = table(run, "model_agreement").query("measure == @measure")
    return every.set_index(["method", "other", "compared"])


def agreement(runs: dict[str, Path]) -> Iterator[str]:
    """How alike the maps of both models are, by nucleotides and by tokens."""
    first = similarity(next(iter(runs.values())))
    compared = dict.fromkeys(first.index.get_level_values("compared"))
    lines = [("data", "of", f"on {CNN}", f"on {LANGUAGE}", *compared)]
    for (data, run), measure in product(runs.items(), ("spearman", "spearman of tokens")):
        every = similarity(run, measure)
        of = "tokens" if "tokens" in measure else "nucleotides"
        for pair in [pair for pair in PAIRS if (*pair, "same sequence") in every.index]:
            cells = (interval(every.loc[(*pair, each)]) for each in compared)
            lines.append((data, of, *pair, *cells))
    return rows(*lines)


def cost(runs: dict[str, Path]) -> Iterator[str]:
    """Milliseconds a sequence, and the share of scores outside of nucleotides."""
    frames = [table(run, "cost").assign(data=data) for data, run in runs.items()]
    every = pd.concat(frames, ignore_index=True)
    every["ms"] = 1000 * every["seconds"] / every["sequences"]
    means = every.groupby(["method", "data", "model"], sort=False)[["ms", "outside"]].mean()
    heads = [(data, model) for data in runs for model in (CNN, LANGUAGE)]
    lines = [
        (
            "method",
            *(f"ms a sequence, {model}, {data}" for data, model in heads),
            *(f"on [CLS] and [SEP], {data}" for data in runs),
        )
    ]
    for method in dict.fromkeys(every["method"]):
        keys = [(method, *head) for head in heads]
        times = [f"{means.loc[key, 'ms']:.3g}" if key in means.index else ABSENT for key in keys]
        shares = [means["outside"].get((method, data, LANGUAGE)) for data in runs]
        lines.append(
            (method, *times, *(ABSENT if pd.isna(each) else f"{each:.2f}" for each in shares))
        )
    return rows(*lines)


# The figures


def learning_figure(training: pd.DataFrame) -> plt.Figure:
    """Means over seeds, from the lowest to the highest, and the floor as a line."""
    drawn, axes = plt.subplots(1, len(DATA), figsize=(9, 3.2), layout="constrained")
    for axis, data in zip(axes, DATA, strict=True):
        for place, (model, (colour, name)) in enumerate(LEARNING.items()):
            known = accuracies(training, data, model)
            reach = [known["mean"] - known["min"], known["max"] - known["mean"]]
            at = known.index + 0.08 * (place - 1)
            axis.errorbar(at, known["mean"], reach, fmt="o-", ms=3, lw=1, color=colour, label=name)
        axis.axhline(floors()[data], color="0.4", ls=":", label="5-mers alone, on test")
        axis.set(title=data, xlabel="epoch", xticks=known.index, xlim=(0.5, known.index[-1] + 0.5))
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("accuracy on validation")
    axes[1].legend(frameon=False, fontsize=7)
    return drawn


def figure(runs: dict[str, Path]) -> plt.Figure:
    drawn, axes = plt.subplots(len(runs), 2, figsize=(11, 7), layout="constrained")
    for (left, right), (data, run) in zip(axes, runs.items(), strict=True):
        deletion(left, run)
        bars(right, run)
        left.set_title(f"{data}: deletion on {LANGUAGE}", fontsize=9)
        right.set_title(f"{data}: maps of {CNN} and {LANGUAGE}", fontsize=9)
        for axis in (left, right):
            axis.spines[["top", "right"]].set_visible(False)
    axes[0, 0].legend(frameon=False, fontsize=7)
    axes[0, 1].legend(frameon=False, fontsize=7, ncols=3, loc="upper left")
    return drawn


def deletion(axis: plt.Axes, run: Path) -> None:
    every = table(run, "curves").query(
        "model == @LANGUAGE and operator == @OPERATOR and quantity == 'logit_difference'"
    )
    for method, colour in CURVES.items():
        order = "random" if method == "random control" else "most relevant first"
        own = every[(every["method"] == method) & (every["order"] == order)]
        own = own.sort_values("fraction")
        axis.fill_between(own["fraction"], own["low"], own["high"], color=colour, alpha=0.15, lw=0)
        axis.plot(own["fraction"], own["mean"], "o-", ms=3, color=colour, label=method)
    axis.set(xlabel="share of nucleotides replaced", ylabel="logit difference")


def bars(axis: plt.Axes, run: Path) -> None:
    every = similarity(run)
    compared = dict.fromkeys(every.index.get_level_values("compared"))
    width = 0.8 / len(compared)
    for place, each in enumerate(compared):
        known = [pair for pair in PAIRS if (*pair, each) in every.index]
        own = [every.loc[(*pair, each)] for pair in known]
        at = [list(PAIRS).index(pair) + place * width for pair in known]
        reach = [
            [row["mean"] - row["low"] for row in own],
            [row["high"] - row["mean"] for row in own],
        ]
        axis.bar(at, [row["mean"] for row in own], width, yerr=reach, label=each, capsize=1)
    axis.set_xticks([place + 0.3 for place in range(len(PAIRS))], [*PAIRS.values()], fontsize=7)
    axis.set(ylabel="Spearman correlation", ylim=(-0.3, 1.2))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
