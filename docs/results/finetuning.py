"""The table and the figure of fine-tuning: from pre-trained weights and from random ones.

python docs/results/finetuning.py RUN [RUN ...]

Each RUN is a folder of `xaibench run finetuning_ctcf_pu1.yaml` or `finetuning_tata.yaml`.
"""

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

HERE = Path(__file__).parent
COLOURS = {"pretrained": "#0072B2", "random": "#D55E00"}
LABELS = {"pretrained": "from masked tokens", "random": "from random weights"}
MEASURES = ("train_accuracy", "validation_accuracy", "validation_loss")


def main(runs: list[Path]) -> None:
    tables = pd.concat([table(run).assign(data=run.name) for run in runs], ignore_index=True)
    tables.to_csv(HERE / "finetuning_training.csv", index=False, float_format="%.4f")
    figure, panels = plt.subplots(1, len(runs), figsize=(4.2 * len(runs), 3.2), squeeze=False)
    for axes, run in zip(panels[0], runs, strict=True):
        draw(axes, run)
    panels[0, 0].set_ylabel("accuracy on validation")
    panels[0, 0].legend(frameon=False, fontsize=8)
    figure.tight_layout()
    figure.savefig(HERE / "finetuning.png", dpi=110)


def table(run: Path) -> pd.DataFrame:
    """A row per model and epoch: mean, lowest and highest over seeds; then accuracy on test, with
    that of trivial baselines, in rows without an epoch."""
    history = pd.read_csv(run / "training.csv")
    rows = history.groupby(["model", "epoch"])[[*MEASURES]].agg(["mean", "min", "max"])
    rows.columns = [f"{measure} {what}" for measure, what in rows.columns]
    return pd.concat([rows.reset_index(), tested(run)], ignore_index=True)


def tested(run: Path) -> pd.DataFrame:
    results = pd.read_parquet(run / "results.parquet")
    own = results[(results["metric"] == "accuracy") & (results["method"] == "")]
    by_seed = own.groupby(["model", "seed"])["value"].mean()
    rows = by_seed.groupby("model").agg(["mean", "min", "max"]).add_prefix("test_accuracy ")
    trivial = {each["name"]: each["accuracy"] for each in floor(run)}
    baselines = pd.DataFrame({"test_accuracy mean": trivial}).rename_axis("model")
    return pd.concat([rows, baselines]).reset_index()


def floor(run: Path) -> list[dict[str, float]]:
    return list(json.loads((run / "environment.json").read_text())["floor"])


def draw(axes: Axes, run: Path) -> None:
    """Lines are means over seeds, bands from the lowest to the highest."""
    history = pd.read_csv(run / "training.csv")
    for model, of_model in history.groupby("model"):
        by_epoch = of_model.groupby("epoch")["validation_accuracy"].agg(["mean", "min", "max"])
        axes.plot(by_epoch.index, by_epoch["mean"], color=COLOURS[model], label=LABELS[model])
        band = by_epoch["min"], by_epoch["max"]
        axes.fill_between(by_epoch.index, *band, color=COLOURS[model], alpha=0.2, linewidth=0)
    best = max(floor(run), key=lambda each: each["accuracy"])
    axes.axhline(best["accuracy"], color="0.4", linestyle=":", label=f"{best['name']}, on test")
    axes.set_xlabel("epoch")
    axes.set_title(run.name, fontsize=9)


if __name__ == "__main__":
    main([Path(run) for run in sys.argv[1:]])
