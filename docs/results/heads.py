"""The tables, the figure and the numbers beside heads.md, from the folders of its runs.

python docs/results/heads.py TATA CTCF_PU1 TOKENS

What stands between `<!-- NAME -->` and `<!-- end -->` in the page is written anew. The first two
folders hold what `xaibench heads` wrote into `states`, `ablation`, `value_norm` and `relevance`,
the third is of heads_tokens.yaml and has `heads`.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import pandas as pd
from attnlrp import replaced, rows
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

HERE = Path(__file__).parent
PAGE = HERE / "heads.md"
DATA = ("TATA", "CTCF/PU.1")
STATES = ("random", "pretrained", "epoch:1", "epoch:2", "trained")
DRAWN = ("random", "pretrained", "trained")
CLAIMED = ("states", "ablation")
WORDS = {"accuracy": "accuracy", "logit_difference": "logit of the label"}
FIGURE = (
    "![Heads by layer in three states, and what is lost with the heads that are chosen](heads.png)"
)


def main(*folders: Path) -> None:
    *of_data, tokens = folders
    runs = dict(zip(DATA, of_data, strict=True))
    asked = {(data, each): run / each for data, run in runs.items() for each in CLAIMED}
    asked[DATA[1], "tokens"] = tokens / "heads"
    tables = {
        "associations": joined(runs, "states", "heads"),
        "changes": joined(runs, "states", "changes"),
        "ablations": joined(runs, "ablation", "ablation_tests"),
        "relevance": joined(runs, "ablation", "relevance_tests"),
        "scores": pd.concat(
            joined(runs, score, "heads").assign(received=score)
            for score in ("value_norm", "relevance")
        ),
        "tokens": pd.read_csv(tokens / "heads" / "heads.csv"),
        "claims": pd.concat(map(tested, asked, asked.values()), ignore_index=True),
    }
    for name, table in tables.items():
        table.to_csv(HERE / f"heads_{name}.csv", index=False, float_format="%.5g")
    page = PAGE.read_text()
    for name, lines in {
        "models": models(runs),
        "associations": associated(tables["associations"]),
        "scores": by_score(tables["associations"], tables["scores"]),
        "changes": changed(tables["changes"]),
        "tokens": by_tokens(tables["tokens"], tokens),
        "claims": claims(tables["claims"]),
        "ablations": ablated(tables["ablations"], runs),
        "relevance": against(tables["relevance"]),
        "figure": iter([FIGURE]),
    }.items():
        page = replaced(page, name, lines)
    PAGE.write_text(page)
    figure(tables, runs).savefig(HERE / "heads.png", dpi=110)


def tested(about: tuple[str, str], folder: Path) -> pd.DataFrame:
    """The claims that a call of `xaibench heads` has a table for."""
    table = pd.read_csv(folder / "claims.csv")
    return table[table["verdict"] != "not tested"].assign(data=about[0])


def joined(runs: dict[str, Path], folder: str, name: str) -> pd.DataFrame:
    """Of the runs that were asked for it."""
    files = {data: run / folder / f"{name}.csv" for data, run in runs.items()}
    parts = [pd.read_csv(each).assign(data=data) for data, each in files.items() if each.exists()]
    return pd.concat(parts, ignore_index=True)


def intact(run: Path) -> pd.DataFrame:
    table = pd.read_csv(run / "ablation" / "ablations.csv")
    return table[table["set"] == "intact"]


def accuracies(run: Path) -> pd.DataFrame:
    """By model and seed the accuracy, ``mean``, and of how many test sequences, ``size``."""
    results = pd.read_parquet(run / "results.parquet")
    own = results[(results["metric"] == "accuracy") & (results["method"] == "")]
    return own.groupby(["model", "seed"])["value"].agg(["mean", "size"])


def of_seeds(accuracy: pd.Series) -> str:
    return ", ".join(f"{each:.3f}" for each in accuracy)


def models(runs: dict[str, Path]) -> Iterator[str]:
    lines = []
    for data, run in runs.items():
        own = accuracies(run)
        floor = json.loads((run / "environment.json").read_text())["floor"]
        best = max(floor, key=lambda each: each["accuracy"] or 0)
        lines.append(
            (
                *(data, f"{own['size'].max():,}", of_seeds(own["mean"])),
                f"{best['accuracy']:.3f} {best['name']}",
            )
        )
    yield from rows(
        ("data", "test sequences", "accuracy of the seeds", "composition alone"), *lines
    )


def cell(part: pd.DataFrame) -> str:
    """How many heads of each replicate are associated, and the strongest over replicates."""
    if part.empty:
        return "-"
    counts = part.groupby("replicate")["associated"].sum()
    means = part.groupby(["layer", "head"])["mean"].mean()
    layer, head = means.abs().idxmax()
    by_replicate = part[(part["layer"] == layer) & (part["head"] == head)]["mean"]
    spread = ", ".join(f"{each:.2f}" for each in by_replicate)
    return f"{', '.join(map(str, counts))} ({layer}.{head}: {spread})"


def associated(table: pd.DataFrame) -> Iterator[str]:
    lines = []
    for (data, track), part in table.groupby(["data", "track"], sort=False):
        lines.append((data, track, *(cell(part[part["state"] == state]) for state in STATES)))
    yield from rows(("data", "track", *STATES), *lines)


def by_score(maximum: pd.DataFrame, scores: pd.DataFrame) -> Iterator[str]:
    trained = maximum[maximum["state"] == "trained"].assign(received="maximum")
    every = pd.concat([trained[trained["data"].isin(scores["data"])], scores])
    names = ("maximum", "value_norm", "relevance")
    lines = []
    for (data, track), part in every.groupby(["data", "track"], sort=False):
        lines.append((data, track, *(cell(part[part["received"] == name]) for name in names)))
    yield from rows(("data", "track", *names), *lines)


def changed(table: pd.DataFrame) -> Iterator[str]:
    lines = []
    keys = ["data", "before", "after", "track"]
    for (data, before, after, track), part in table.groupby(keys, sort=False):
        counts = part.groupby("replicate")["changed"].sum()
        more = part[part["changed"] & (part["change"] > 0)].groupby("replicate").size()
        up = ", ".join(str(more.get(each, 0)) for each in counts.index)
        means = part.groupby(["layer", "head"])["change"].mean()
        layer, head = means.abs().idxmax()
        step = f"{before} to {after}"
        largest = f"{layer}.{head}: {means[layer, head]:+.2f}"
        lines.append((data, step, track, ", ".join(map(str, counts)), up, largest))
    yield from rows(
        ("data", "step", "track", "heads changed", "of these up", "largest change"), *lines
    )


def by_tokens(table: pd.DataFrame, run: Path) -> Iterator[str]:
    """A line a model of the run on other tokens, and the largest correlation by seed."""
    accuracy = accuracies(run)["mean"]
    lines = []
    for (model, tokens), part in table.groupby(["model", "tokens"], sort=False):
        about = (model.replace("_", " "), tokens, of_seeds(accuracy[model]))
        tracks = (part[part["track"] == track] for track in ("truth", "gc"))
        lines.append((*about, *map(cell, tracks)))
    yield from rows(("model", "a token is", "accuracy of the seeds", "truth", "gc"), *lines)


def claims(table: pd.DataFrame) -> Iterator[str]:
    lines = []
    for _, row in table.iterrows():
        measured = f"{row['mean']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"
        about = (row["data"], row["claim"], row["quantity"], measured)
        p = "-" if pd.isna(row["p"]) else f"{row['p_holm']:.2g}"
        lines.append((*about, p, row["verdict"]))
    yield from rows(("data", "claim", "measured", "value", "p (Holm)", "verdict"), *lines)


def ablated(table: pd.DataFrame, runs: dict[str, Path]) -> Iterator[str]:
    lines = []
    shown = table[table["measure"].isin(WORDS)]
    for _, row in shown.iterrows():
        whole = intact(runs[row["data"]])[row["measure"]].mean()
        numbers = (whole, row["chosen"], row["least_associated"], row["random"])
        difference = f"{row['difference']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]"
        about = (row["data"], row["track"], row["by"], WORDS[row["measure"]])
        reached = (f"{each:.3f}" for each in numbers)
        lines.append((*about, *reached, difference, f"{row['p']:.2g}", f"{row['p_random']:.2g}"))
    head = (
        "data",
        "track",
        "by",
        "measure",
        "intact",
        "chosen",
        "least",
        "random",
        "chosen - random",
    )
    yield from rows((*head, "p", "p of sets"), *lines)


def against(table: pd.DataFrame) -> Iterator[str]:
    lines = []
    for _, row in table[table["measure"].isin(WORDS)].iterrows():
        difference = f"{row['difference']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]"
        about = (row["data"], row["track"], row["by"], WORDS[row["measure"]], row["minus"])
        reached = (f"{row['relevance']:.3f}", f"{row['association']:.3f}")
        lines.append((*about, *reached, difference, f"{row['p']:.2g}", f"{row['q']:.2g}"))
    head = (
        "data",
        "track",
        "by",
        "measure",
        "minus",
        "by relevance",
        "by association",
        "difference",
    )
    yield from rows((*head, "p", "q"), *lines)


def figure(tables: dict[str, pd.DataFrame], runs: dict[str, Path]) -> plt.Figure:
    shown, panels = plt.subplots(
        len(runs), len(DRAWN) + 1, figsize=(13, 3 * len(runs)), squeeze=False
    )
    for line, data in zip(panels, runs, strict=True):
        truth = tables["associations"].query("data == @data and track == 'truth'")
        for axes, state in zip(line, DRAWN, strict=False):
            heads(axes, truth[truth["state"] == state], f"{data}: truth, {state}")
        losses(line[-1], tables["ablations"].query("data == @data"), data)
    shown.tight_layout()
    return shown


def heads(axes: Axes, part: pd.DataFrame, title: str) -> None:
    """Mean over replicates; a dot where a head is associated in all of them."""
    grid = part.pivot_table(index="layer", columns="head", values="mean")
    axes.imshow(grid, cmap="RdBu_r", vmin=-0.5, vmax=0.5)
    everywhere = part.pivot_table(index="layer", columns="head", values="associated", aggfunc="min")
    for layer, head in grid.stack().index:
        axes.text(head, layer, f"{grid.loc[layer, head]:.2f}", ha="center", va="center", fontsize=8)
        if everywhere.loc[layer, head]:
            axes.plot(head + 0.38, layer - 0.36, "k.", markersize=4)
    axes.set_title(title, fontsize=9)
    axes.set(xlabel="head", ylabel="layer", xticks=grid.columns, yticks=grid.index)


def losses(axes: Axes, part: pd.DataFrame, data: str) -> None:
    """Chosen minus random, with the interval over seeds."""
    part = part[part["measure"] == "logit_difference"].reset_index(drop=True)
    axes.set_visible(len(part) > 0)
    axes.errorbar(
        part["difference"],
        part.index,
        xerr=[part["difference"] - part["low"], part["high"] - part["difference"]],
        fmt="o",
        color="#D55E00",
        capsize=2,
        markersize=4,
    )
    axes.axvline(0, color="0.6", linewidth=0.8)
    axes.set_yticks(part.index, part["track"] + ", " + part["by"], fontsize=8)
    axes.invert_yaxis()
    axes.set_title(f"{data}: logit of the label,\nchosen minus random heads", fontsize=9)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
