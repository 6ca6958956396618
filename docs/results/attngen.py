"""The tables and the figure beside attngen.md, from the folders of its three runs.

python docs/results/attngen.py RUN ELSEWHERE TRANSFORMER
"""

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

from xaibench.artefacts.curve_keys import CurveKey
from xaibench.artefacts.job import Job, Work, prepare
from xaibench.artefacts.trained_models import replicates_of
from xaibench.evaluation.quantities import existing_curves
from xaibench.plan.schema import read_plan

HERE = Path(__file__).parent
RATIOS = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)
ARMS = {0.0: "attention only"} | {
    ratio: f"attngen {ratio:.2f}".replace("0.", ".") for ratio in RATIOS
}
SHOWN, OPERATOR = "attngen .05", "uniform"
COLOURS = {
    "random control": "0.5",
    "attention": "#0072B2",
    "integrated_gradients": "#009E73",
}
NAMES = {
    "random control": "random orders",
    "attention": "attention",
    "integrated_gradients": "integrated gradients",
}
CONTROLS = {"rotated": ":", "another sequence": "--", "mean map": "-."}
QUESTIONS = ("value", "against random", "against best", "normalised")
METRICS = ("accuracy", "deletion_logit_difference", "effective_positions", "gini", "auprc")


def main(run: Path, elsewhere: Path, transformer: Path) -> None:
    (HERE / "attngen_claims.csv").write_bytes((run / "claims.csv").read_bytes())
    series = {folder.name: folder for folder in sorted(elsewhere.iterdir()) if folder.is_dir()}
    further = {**series, "standin": transformer}
    write(estimates(run).assign(data="standin"), "attngen_estimates")
    write(training(run), "attngen_training")
    write(curves(run), "attngen_curves")
    for name, table_of in {"estimates": estimates, "training": training, "curves": curves}.items():
        parts = [table_of(folder).assign(data=data) for data, folder in further.items()]
        write(pd.concat(parts, ignore_index=True), f"attngen_elsewhere_{name}")
    figure(run, series).savefig(HERE / "attngen.png", dpi=110)


def table(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(
        folder / f"{name}.csv", keep_default_na=False, na_values=["", "nan"], low_memory=False
    )


def environment(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "environment.json").read_text()))


def write(frame: pd.DataFrame, name: str) -> None:
    frame.to_csv(HERE / f"{name}.csv", index=False, float_format="%.5g")


def estimates(folder: Path) -> pd.DataFrame:
    every = table(folder, "estimates")
    question, metric = every["question"], every["metric"]
    of_models = (question == "between models") & (metric == "accuracy")
    of_controls = (question == "against control") & (every["method"] == "attention")
    shown = (question.isin(QUESTIONS) | of_models | of_controls) & metric.isin(METRICS)
    apart = every["method"].isin(["random control", "oracle"])
    rows = every[shown & ~apart & every["mean"].notna()]
    return rows.assign(version=environment(folder)["versions"]["xaibench"])


def training(folder: Path) -> pd.DataFrame:
    return table(folder, "training").drop(columns=["seconds", "kept"], errors="ignore")


def curves(folder: Path) -> pd.DataFrame:
    every = table(folder, "curves")
    return every[(every["quantity"] == "accuracy") & (every["method"] != "random")]


# The figure


def figure(run: Path, series: dict[str, Path]) -> plt.Figure:
    drawn, axes = plt.subplots(2, 3, figsize=(12, 7), layout="constrained")
    by_ratio(axes[0, 0], run)
    for axis, operator in zip(axes[0, 1:], ("uniform", "n"), strict=True):
        deletion(axis, run, SHOWN, operator)
        with_controls(axis, run, operator)
        axis.set_title(f"the stand-in, {SHOWN}, operator {operator}", fontsize=9)
    for axis, data in zip(axes[1, :2], ("planted", "composition"), strict=True):
        deletion(axis, series[data], "attngen .15", OPERATOR)
        axis.set_title(f"{data}, attngen .15, operator {OPERATOR}", fontsize=9)
    axes[0, 1].legend(frameon=False, fontsize=7)
    masked_motifs(axes[1, 2], series)
    for axis in axes.flat:
        axis.spines[["top", "right"]].set_visible(False)
    return drawn


def by_ratio(axis: plt.Axes, run: Path) -> None:
    rows = table(run, "estimates").query("question == 'value' and metric == 'accuracy'")
    rows = rows.set_index("model")
    floor = max(each["accuracy"] for each in environment(run)["floor"])
    last = table(run, "training").sort_values("epoch").groupby(["model", "seed"]).tail(1)
    validation = last.groupby("model")["validation_accuracy"].mean()
    ratios, arms = list(ARMS), list(ARMS.values())
    test = rows.loc[arms]
    axis.axhspan(*rows.loc["cnn", ["low", "high"]], color="0.88", label="cnn, test")
    axis.axhline(floor, color="0.4", ls=":", label="5-mers, test")
    axis.plot(ratios, validation[arms], "o-", color="#0072B2", label="validation")
    reach = np.abs(test[["low", "high"]].to_numpy() - test[["mean"]].to_numpy()).T
    axis.errorbar(ratios, test["mean"], reach, fmt="o-", color="#D55E00", capsize=2, label="test")
    axis.set(xlabel="masking ratio (0: attention without masking)", ylabel="accuracy")
    axis.set_title("the stand-in", fontsize=9)
    axis.legend(frameon=False, fontsize=7, loc="lower left")


def deletion(axis: plt.Axes, run: Path, model: str, operator: str) -> None:
    rows = curves(run).query("model == @model and operator == @operator")
    for method, colour in COLOURS.items():
        here = rows[rows["method"] == method].sort_values("fraction")
        label = f"{NAMES[method]} ({here['sequences'].max():,})"
        axis.fill_between(
            here["fraction"], here["low"], here["high"], color=colour, alpha=0.2, lw=0
        )
        axis.plot(here["fraction"], here["mean"], "o-", ms=3, color=colour, label=label)
    axis.axhspan(0.4, 0.6, color="#F0E442", alpha=0.25, lw=0)
    axis.set(xlabel="share of positions replaced", ylabel="accuracy", ylim=(0, 1))


def with_controls(axis: plt.Axes, run: Path, operator: str) -> None:
    """Attention's own control maps, in three ways."""
    work = prepare(Job(read_plan(str(run / "plan.yaml")), str(run / "plan.yaml"), (), run))
    for control, style in CONTROLS.items():
        lines = of_control(work, operator, control)
        label = f"{control} ({lines.shape[1]})"
        axis.plot(work.plan.fractions, lines.mean(1), style, color="#0072B2", lw=1, label=label)


def of_control(work: Work, operator: str, control: str) -> np.ndarray:
    """``(step, sequence)``: accuracy, the mean over seeds."""
    found = []
    key = CurveKey("attention", operator, control=control)
    for trained in replicates_of(work.plan, SHOWN):
        found += existing_curves(work, trained, key, "accuracy")
    return np.mean(found, axis=0)


def masked_motifs(axis: plt.Axes, series: dict[str, Path]) -> None:
    """The share of motif positions among the masked, over that among all."""
    colours = {"planted": "#0072B2", "ctcf_pu1": "#D55E00", "tata": "#009E73"}
    for data, colour in colours.items():
        rows = table(series[data], "training").query("masked > 0")
        last = rows.sort_values("epoch").groupby(["model", "seed"]).tail(1)
        inside = environment(series[data])["dataset"]["inside_motif"]
        share = last.assign(share=last["masked_in_motif"] / inside).groupby("mask_ratio")["share"]
        means, least, most = share.mean(), share.min(), share.max()
        reach = [means - least, most - means]
        axis.errorbar(means.index, means, reach, fmt="o-", color=colour, capsize=2, label=data)
    axis.axhline(1, color="0.4", ls=":")
    axis.set(xlabel="masking ratio", ylabel="motif share of the masked / of all", ylim=(0, None))
    axis.set_title("what masking hides (bars: range of three seeds)", fontsize=9)
    axis.legend(frameon=False, fontsize=7)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
