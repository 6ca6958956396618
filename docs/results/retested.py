"""What the headline's test says of the estimates of 0.1.0, as far as their tables tell.

    python docs/results/retested.py

The tables hold the mean, t over seeds (``p_seeds``) and the interval over sequences: the variance
of seed means, and that of sequences with the rest still in it. The p made of these is therefore at
most somewhat too large; skewness is not in the tables and left out.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy import special, stats

from xaibench.statistics.corrections import holm
from xaibench.statistics.crossed import Component, Spread, p_value

HERE = Path(__file__).parent
TABLES = (
    *("standin_estimates.csv", "evaluation_leaderboard.csv"),
    *("attngen_estimates.csv", "attngen_elsewhere_estimates.csv"),
)
FAMILY = ["data", "question", "dataset", "model", "other", "metric", "operator"]
NORMAL = special.ndtri(0.975)


def retested(row: pd.Series) -> float:
    """The p of the crossed t of one estimate; NaN where there was no test over seeds."""
    if np.isnan(row["p_seeds"]):
        return np.nan
    error = abs(row["mean"]) / stats.t.isf(row["p_seeds"] / 2, row["seeds"] - 1)
    of_sequences = (row["sequences_high"] - row["sequences_low"]) / (2 * NORMAL)
    seeds = Component(error**2, row["seeds"] - 1)
    sequences = Component(of_sequences**2, row["sequences"] - 1)
    return p_value(Spread(row["mean"], seeds, sequences, 0.0, int(row["sequences"])))


def corrected(frame: pd.DataFrame, name: str) -> pd.Series:
    families = frame.groupby([each for each in FAMILY if each in frame], dropna=False)[name]
    return families.transform(lambda p: holm(p.to_numpy()))


def main() -> None:
    print("| table | tests | p_seeds < .05 | p < .05 | Holm: before | now | lost | won |")
    print("|---|---|---|---|---|---|---|---|")
    for name in TABLES:
        frame = pd.read_csv(HERE / name)
        frame["p"] = frame.apply(retested, axis=1)
        frame = frame[frame["p"].notna()].copy()
        frame["now"], frame["before"] = corrected(frame, "p"), corrected(frame, "p_seeds")
        before, now = frame["before"] < 0.05, frame["now"] < 0.05
        counts = [
            (frame["p_seeds"] < 0.05).sum(),
            (frame["p"] < 0.05).sum(),
            *(each.sum() for each in (before, now, before & ~now, now & ~before)),
        ]
        print(
            f"| `{name}` | {len(frame):,} | " + " | ".join(f"{count:,}" for count in counts) + " |"
        )
        board = frame[
            frame["question"].eq("against random")
            & frame["metric"].eq("deletion_logit_difference")
            & frame["operator"].eq("uniform")
        ]
        for _, row in board[(board["before"] < 0.05) != (board["now"] < 0.05)].iterrows():
            where = row.get("data", ""), row["model"], row["method"]
            print("   ", *where, f"p after Holm {row['before']:.4f} before, {row['now']:.4f} now")


if __name__ == "__main__":
    main()
