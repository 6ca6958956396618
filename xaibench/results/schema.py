"""The tables of a run folder: the one place that says their files, columns and what makes them.

From here come the writer (``runs.tables``), the reader and the check of a stranger's folder
(``results.reading``), the columns that the functions of ``analysis`` fill, and the tables of
``docs/run-folder.md`` (``python docs/run_folder.py``). Another table is
another entry here, and the function that it names.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from .columns import Column, ColumnKind, TableSchema


class Question(StrEnum):
    """What a row of ``estimates.csv`` answers (``analysis.estimates``)."""

    VALUE = "value"
    AGAINST_RANDOM = "against random"
    AGAINST_CONTROL = "against control"
    AGAINST_BEST = "against best"
    AGAINST_REFERENCE = "against reference"
    NORMALISED = "normalised"
    SELF_TEST = "self-test"
    BETWEEN_MODELS = "between models"
    NORMALISED_BETWEEN_MODELS = "normalised between models"
    BETWEEN_TRANSFERS = "between transfers"


def text_column(name: str, unit: str, meaning: str, empty: str = "never") -> Column:
    return Column(name, ColumnKind.TEXT, unit, meaning, empty)


def number_column(name: str, unit: str, meaning: str, empty: str = "never") -> Column:
    return Column(name, ColumnKind.NUMBER, unit, meaning, empty)


def integer_column(name: str, unit: str, meaning: str, empty: str = "never") -> Column:
    return Column(name, ColumnKind.INTEGER, unit, meaning, empty)


def one_of(name: str, allowed: Sequence[str], meaning: str, empty: str = "never") -> Column:
    """Text from a closed list."""
    listed = ", ".join(f"`{value}`" for value in allowed)
    return Column(name, ColumnKind.TEXT, listed, meaning, empty, tuple(map(str, allowed)))


ANSWERS = ("yes", "no", "unknown")
"""Of a check of the self-test."""

COMPARED = (
    "same sequence",
    "another sequence",
    "random map",
    "seeds of model",
    "seeds of other_model",
)
"""Which maps ``model_agreement.csv`` compares: those of two models, what they are above where two
models agree, and what two trainings of either reach."""

TOKEN_COLUMNS = (
    "outside",
    "outside_before",
    "outside_after",
    "on_unknown",
    "truncated",
    "unread",
)
"""Of ``cost.csv`` where a model reads tokens: shares of relevance, of sequences and of
nucleotides, empty for models of nucleotides."""

TABLES = (
    TableSchema(
        name="records",
        file="results.parquet",
        holds="every value that was measured",
        row="one value of one metric on one sequence",
        made_by="xaibench.evaluation.records:frame",
        columns=(
            text_column("dataset", "name of a dataset", "the data, as the plan names them"),
            text_column("model", "label of the plan", "the model that was explained"),
            integer_column(
                "seed",
                "seeds of the plan",
                "the training seed: initialisation, batch order, dropout, masking",
            ),
            text_column(
                "method",
                "label of the plan, or `random control`, `oracle`, `distance to centre`, `GC "
                "content`",
                "whose map was measured",
                "values of the model itself (`accuracy`)",
            ),
            one_of(
                "control",
                ("rotated", "another sequence", "mean map", "negated", "blurred"),
                "what was made of the map first",
                "the map itself was measured",
            ),
            text_column(
                "metric",
                "label of the plan; with its quantity where it has several; `accuracy`, `training`",
                "what was measured",
                "a method as a whole did not apply or failed",
            ),
            text_column(
                "operator",
                "label of the plan; a layer for randomised weights",
                "what took the place of replaced bases",
                "the metric replaces nothing",
            ),
            integer_column(
                "repeat",
                "from 0",
                "the draw of the random control",
                "never (0 where nothing is drawn)",
            ),
            text_column(
                "sequence",
                "name in the data",
                "the test sequence",
                "a row that says why there are no values",
            ),
            number_column(
                "value",
                "as the metric defines it ([metrics.md](metrics.md))",
                "the value",
                "undefined on this sequence, or status is not `ok`",
            ),
            one_of(
                "status",
                ("ok", "failed", "not applicable", "not computed"),
                "whether there is a value; `not computed` in an unfinished run alone",
            ),
            text_column("reason", "free text", "why there is none", "status is `ok`"),
        ),
    ),
    TableSchema(
        name="estimates",
        file="estimates.csv",
        holds="means, differences, intervals, p values, ranks",
        row="one question",
        made_by="xaibench.analysis.estimates:estimates",
        columns=(
            one_of("question", tuple(Question), "what is asked"),
            text_column("dataset", "name of a dataset", "the data"),
            text_column("model", "label", "the model; of a pair the first"),
            text_column(
                "other", "a control, a method, a model", "what is compared with", "nothing is"
            ),
            text_column("method", "label", "whose map", "values of the model itself"),
            text_column("metric", "label, with its quantity", "what was measured"),
            text_column(
                "operator",
                "label, or a layer",
                "what replaced bases",
                "the metric replaces nothing",
            ),
            number_column(
                "mean",
                "unit of the metric; differences are signed so that positive is better",
                "the mean over seeds of the means over sequences",
                "nothing is defined; `reason` says why",
            ),
            number_column(
                "low",
                "unit of `mean`",
                "lower end of the headline interval, for retraining",
                "one replicate, or no mean",
            ),
            number_column("high", "unit of `mean`", "its upper end", "as `low`"),
            number_column(
                "sequences_low",
                "unit of `mean`",
                "lower end of the interval for these models",
                "no mean",
            ),
            number_column("sequences_high", "unit of `mean`", "its upper end", "no mean"),
            number_column(
                "effect",
                "standard deviations",
                "d_z of the paired differences",
                "no difference is asked, or it is constant",
            ),
            number_column(
                "p",
                "(0, 1]",
                "two-sided p for retraining on other sequences, below .05 where `low, high` "
                "excludes 0",
                "no difference is asked, or one replicate",
            ),
            number_column(
                "p_sequences",
                "(0, 1]",
                "two-sided p for these models, below .05 where its interval excludes 0",
                "no difference is asked",
            ),
            number_column(
                "p_seeds",
                "(0, 1]",
                "two-sided p for retraining on exactly these sequences: t over seed means",
                "no difference is asked, one replicate, or seeds that agree",
            ),
            integer_column("sequences", "count", "sequences with a value"),
            integer_column("seeds", "count", "seeds with a value"),
            integer_column("undefined", "count", "NaN among the values"),
            text_column("reason", "free text", "why a number is missing", "none is"),
            number_column(
                "p_holm", "(0, 1]", "`p` after Holm over the methods of the model", "as `p`"
            ),
            number_column(
                "p_sequences_holm",
                "(0, 1]",
                "`p_sequences` after Holm over the methods of the model",
                "as `p_sequences`",
            ),
            number_column(
                "p_seeds_holm",
                "(0, 1]",
                "`p_seeds` after Holm over the methods of the model",
                "as `p_seeds`",
            ),
            number_column(
                "rank",
                "from 1 (best)",
                "place among the methods of the model",
                "the metric ranks nothing, failed its self-test, or there is no mean",
            ),
        ),
    ),
    TableSchema(
        name="tests",
        file="tests.csv",
        holds="further tests of the leading comparisons",
        row="one test",
        made_by="xaibench.analysis.certainty.significance:tests",
        columns=(
            one_of("question", tuple(Question), "what is asked"),
            text_column("model", "label", "the model; of a pair the first"),
            text_column("other", "a control, a method, a model", "what is compared with"),
            text_column("method", "label", "whose map", "accuracies are compared"),
            text_column("metric", "label, with its quantity", "what was measured"),
            text_column("operator", "label", "what replaced bases", "accuracies are compared"),
            number_column(
                "seed", "seeds of the plan", "the seed of McNemar's test", "another test"
            ),
            one_of(
                "test",
                ("crossed t", "t", "paired t", "Wilcoxon", "sign flips", "McNemar"),
                "the test, two-sided",
            ),
            one_of(
                "population",
                ("retraining", "retraining, these sequences", "these models"),
                "what population the test is about; of weights that are given, other files",
            ),
            number_column("statistic", "as the test defines it", "the statistic", "no pairs"),
            number_column("p", "[0, 1]", "two-sided p", "too few pairs; `reason` says so"),
            number_column("p_corrected", "[0, 1]", "p after Holm", "p is empty"),
            text_column("correction", "`Holm over N`", "over how many tests", "p is empty"),
            integer_column("pairs", "count", "pairs that were compared"),
            number_column(
                "smallest",
                "(0, 1]",
                "the smallest p that the test can give with these pairs",
                "the test has none",
            ),
            number_column(
                "effect",
                "standard deviations",
                "d_z of what was tested",
                "McNemar's test, or constant differences",
            ),
            number_column(
                "delta", "[-1, 1]", "Cliff's delta: pairs won less pairs lost", "no pairs"
            ),
            text_column("reason", "free text", "why a number is missing", "none is"),
        ),
        later=True,
    ),
    TableSchema(
        name="ranks",
        file="ranks.csv",
        holds="mean ranks, critical difference, who may be the best",
        row="one ranked method",
        made_by="xaibench.analysis.certainty.rank_tests:ranks",
        columns=(
            text_column("model", "label", "the model"),
            text_column("metric", "label, with its quantity", "what ranks"),
            text_column("operator", "label", "what replaced bases", "the metric replaces nothing"),
            text_column("method", "label", "the method"),
            number_column(
                "mean_rank",
                "from 1 (best)",
                "mean over sequences of its rank",
                "no sequence has a value of every method",
            ),
            number_column(
                "critical_difference",
                "ranks",
                "two mean ranks further apart differ (Nemenyi)",
                "as `mean_rank`",
            ),
            number_column(
                "p_friedman",
                "[0, 1]",
                "whether the methods differ at all",
                "fewer than three methods or too few sequences",
            ),
            integer_column("blocks", "count", "the sequences, or groups, that were ranked"),
            number_column(
                "best",
                "[0, 1]",
                "the share of bootstrap draws in which the method is best",
                "as `mean_rank`",
            ),
            text_column(
                "reason", "free text", "why a number is missing, or holds for less", "none is"
            ),
        ),
        later=True,
    ),
    TableSchema(
        name="variance",
        file="variance.csv",
        holds="where the spread of the leaderboard comes from",
        row="one component of variance",
        made_by="xaibench.analysis.certainty.variance:variance",
        columns=(
            text_column("model", "label", "the model"),
            text_column(
                "method",
                "label, or `random control`",
                "whose gap to random; of the control, its value",
            ),
            text_column("metric", "label, with its quantity", "the leaderboard's"),
            text_column(
                "operator", "label", "what replaced bases", "the operator is one of the components"
            ),
            one_of(
                "component",
                ("operator", "seed", "sequence", "draw", "residual"),
                "where the variance comes from",
            ),
            number_column(
                "variance",
                "unit of the metric, squared; not below 0",
                "the component",
                "it cannot be estimated; `reason` says why",
            ),
            number_column(
                "share", "[0, 1]", "its share of the sum of those known", "as `variance`"
            ),
            text_column("reason", "free text", "why it cannot be estimated", "it can"),
        ),
        later=True,
    ),
    TableSchema(
        name="detectable",
        file="detectable.csv",
        holds="what so many seeds and sequences can show",
        row="one comparison and population",
        made_by="xaibench.analysis.certainty.power:detectable_table",
        columns=(
            text_column("model", "label", "the model; of a pair the first"),
            text_column("other", "a control, a method, a model", "what is compared with"),
            text_column("method", "label", "whose map", "accuracies are compared"),
            text_column("metric", "label, with its quantity", "what was measured"),
            text_column("operator", "label", "what replaced bases", "accuracies are compared"),
            one_of("question", tuple(Question), "what is asked"),
            one_of(
                "population",
                ("retraining", "these models"),
                "what population it is about; of weights that are given, other files",
            ),
            integer_column("n", "count", "seeds, or sequences (groups where these are resampled)"),
            number_column(
                "spread",
                "unit of the metric",
                "the standard deviation of `n` independent differences that would give the same "
                "standard error",
                "one alone",
            ),
            number_column(
                "detectable",
                "unit of the metric",
                "the true difference that the test of the estimates, two-sided at .05, finds four"
                " times in five",
                "as `spread`",
            ),
            text_column("reason", "free text", "why a number is missing", "none is"),
        ),
        later=True,
    ),
    TableSchema(
        name="classification",
        file="classification.csv",
        holds="AUROC, AUPRC and MCC of the models (Pearson, Spearman and MSE of a single output), "
        "and how they differ",
        row="one measure of a model, or of two",
        made_by="xaibench.analysis.certainty.classification:classification",
        columns=(
            one_of(
                "question",
                (Question.VALUE, Question.BETWEEN_MODELS),
                "the measure of `model`, or `model` minus `other`",
            ),
            text_column("model", "label", "the model"),
            text_column("other", "label", "the model it is compared with", "`value`"),
            one_of(
                "metric",
                ("auroc", "auprc", "mcc", "pearson", "spearman", "mse"),
                "the measure; with two classes AUPRC is that of the second, with more AUROC and "
                "AUPRC are means over classes of each against the rest; the last three of a model "
                "of a single output beside measured numbers",
            ),
            number_column(
                "mean",
                "AUROC and AUPRC [0, 1], MCC and correlations [-1, 1], MSE squared units of the "
                "response; differences twice as wide",
                "the mean over seeds, higher is better (MSE: lower)",
                "a class has no test sequence, the model has a single output and no number was "
                "measured, logits are not finite, or models share no seed: "
                "`reason`",
            ),
            number_column(
                "low",
                "as `mean`",
                "lower end of the interval for retraining",
                "as `mean`, or one replicate",
            ),
            number_column("high", "as `mean`", "its upper end", "as `low`"),
            number_column(
                "sequences_low",
                "as `mean`",
                "lower end of the interval for these models",
                "as `mean`, or one sequence or group",
            ),
            number_column("sequences_high", "as `mean`", "its upper end", "as `sequences_low`"),
            integer_column("sequences", "count", "test sequences behind it"),
            integer_column("seeds", "count", "seeds behind it"),
            text_column("reason", "free text", "why something is missing", "nothing is"),
        ),
        later=True,
    ),
    TableSchema(
        name="predictions",
        file="predictions.parquet",
        holds="the logits of every model on the test split",
        row="one sequence under one seed",
        made_by="xaibench.analysis.summaries:predictions",
        columns=(
            text_column("model", "label", "the model"),
            integer_column("seed", "seeds of the plan", "the training seed"),
            text_column("sequence", "name", "the test sequence"),
            integer_column("label", "from 0", "the number of its class"),
        ),
        more=r"response|group|logit_\d+",
        later=True,
    ),
    TableSchema(
        name="claims",
        file="claims.csv",
        holds="claims of a paper put to the test, where the plan names some",
        row="one claim",
        made_by="xaibench.analysis.claims:claims",
        columns=(
            text_column("claim", "free text", "what the paper claims"),
            text_column(
                "published", "free text", "what it gives for it, or that it gives no number"
            ),
            text_column(
                "quantity", "free text", "what we measured", "the run has no numbers for it"
            ),
            number_column(
                "mean",
                "as `quantity` says: a difference, positive where the claim is right, but for the"
                " accuracy under deletion, the share of seeds (both [0, 1]), and the ratio of two"
                " standard deviations (1: no difference)",
                "what we found",
                "the run has no numbers for it",
            ),
            number_column(
                "low", "unit of `mean`", "lower end of its interval", "as `mean`, or one replicate"
            ),
            number_column("high", "unit of `mean`", "its upper end", "as `low`"),
            integer_column("seeds", "count", "seeds behind it"),
            integer_column(
                "sequences", "count", "sequences behind it; 0 where it is one number per seed"
            ),
            text_column("test", "free text", "the test", "the run has no numbers for it"),
            number_column("p", "[0, 1]", "its p", "too few seeds"),
            number_column("p_holm", "[0, 1]", "p after Holm over all claims", "as `p`"),
            one_of(
                "verdict",
                ("holds", "does not hold", "cannot be told at this n", "not tested"),
                "what the rule says",
            ),
            text_column(
                "rule",
                "free text",
                "the rule, fixed before the run",
                "the run has no numbers for it",
            ),
            text_column("caveat", "free text", "what to know before it is quoted", "nothing"),
        ),
        later=True,
    ),
    TableSchema(
        name="selftest",
        file="selftest.csv",
        holds="which metrics can tell good maps from bad ones here",
        row="one metric on one model",
        made_by="xaibench.analysis.selftest:self_test",
        columns=(
            text_column("model", "label", "the model"),
            text_column("metric", "label, with its quantity", "the metric that is tested"),
            text_column("operator", "label", "what replaced bases", "the metric replaces nothing"),
            one_of("oracle_over_random", ANSWERS, "the oracle comes out above random"),
            one_of("random_over_negated", ANSWERS, "random comes out above the negated oracle"),
            one_of(
                "blurred_not_over_oracle",
                ANSWERS,
                "the blurred oracle does not come out above the oracle",
            ),
            one_of("passed", ANSWERS, "all three"),
            text_column("reason", "free text", "what failed or is unknown", "it passed"),
        ),
    ),
    TableSchema(
        name="curves",
        file="curves.csv",
        holds="mean curves of replacing positions",
        row="one point of one curve",
        made_by="xaibench.analysis.summaries:curves",
        columns=(
            text_column("model", "label", "the model"),
            text_column("method", "label, or `random control`", "whose map gives the order"),
            text_column("operator", "label", "what replaces bases"),
            one_of("quantity", ("logit_difference", "probability", "accuracy"), "what is drawn"),
            one_of(
                "order",
                ("most relevant first", "least relevant first", "random"),
                "which positions go first",
            ),
            number_column("fraction", "[0, 1]", "the share of positions that are replaced"),
            number_column("mean", "logits, or [0, 1]", "the mean over sequences and seeds"),
            number_column(
                "low",
                "unit of `mean`",
                "lower end of its interval, for retraining",
                "one replicate, one sequence, or one cluster where clusters are resampled",
            ),
            number_column("high", "unit of `mean`", "its upper end", "as `low`"),
            integer_column("sequences", "count", "sequences behind it"),
            integer_column("seeds", "count", "seeds behind it"),
        ),
    ),
    TableSchema(
        name="operators",
        file="operators.csv",
        holds="how far replacing pushes sequences off the data",
        row="one operator at one fraction",
        made_by="xaibench.analysis.operator_shift:operators",
        columns=(
            text_column(
                "model", "label", "the model", "the letters alone are looked at (`log_likelihood`)"
            ),
            text_column("operator", "label", "what replaces bases"),
            text_column(
                "quantity",
                "`log_likelihood` (nats per base), `confidence` (largest probability)",
                "what changes",
            ),
            number_column("fraction", "(0, 1]", "the share of positions replaced, drawn at random"),
            number_column("mean", "unit of the quantity", "its change from the intact sequence"),
            number_column(
                "low",
                "unit of `mean`",
                "lower end of the interval; with one replicate over sequences",
            ),
            number_column("high", "unit of `mean`", "its upper end"),
            integer_column("sequences", "count", "sequences behind it"),
            integer_column("seeds", "count", "seeds behind it"),
        ),
    ),
    TableSchema(
        name="rankings",
        file="rankings.csv",
        holds="whether two operators order the methods alike",
        row="one pair of operators",
        made_by="xaibench.analysis.operator_shift:rankings",
        columns=(
            text_column("model", "label", "the model"),
            text_column("metric", "label, with its quantity", "what orders the methods"),
            text_column("operator", "label", "one operator"),
            text_column("other", "label", "another"),
            number_column(
                "tau",
                "[-1, 1]",
                "Kendall's tau-b of the methods' gaps to random",
                "fewer than three methods, or all alike",
            ),
            integer_column("methods", "count", "methods that have both gaps"),
        ),
    ),
    TableSchema(
        name="agreement",
        file="agreement.csv",
        holds="how alike the maps of two methods are",
        row="one pair of methods",
        made_by="xaibench.analysis.agreement:agreement",
        columns=(
            text_column("model", "label", "the model"),
            text_column("method", "label", "one method"),
            text_column("other", "label", "another, or the same: then two seeds are compared"),
            text_column(
                "measure",
                "`spearman` ([-1, 1]), `overlap` ([0, 1]), `spearman of tokens` ([-1, 1])",
                "rank correlation, shared share of the top positions, or, where a model reads "
                "tokens, rank correlation of the sums over its tokens",
            ),
            number_column(
                "mean",
                "as the measure",
                "the mean over sequences and seeds",
                "undefined everywhere (flat maps)",
            ),
            number_column(
                "low",
                "as the measure",
                "lower end of the interval; with one replicate over sequences",
                "as `mean`",
            ),
            number_column("high", "as the measure", "its upper end", "as `mean`"),
            integer_column("sequences", "count", "sequences behind it"),
            integer_column("seeds", "count", "seeds behind it"),
        ),
    ),
    TableSchema(
        name="model_agreement",
        file="model_agreement.csv",
        holds="how alike the maps of two models are on the same sequences",
        row="one comparison of one method on one model with one on another",
        made_by="xaibench.analysis.model_agreement:model_agreement",
        columns=(
            text_column("model", "label", "one model"),
            text_column("method", "label", "the method that explains it"),
            text_column("other_model", "label", "the other model"),
            text_column("other", "label", "the method that explains that one"),
            text_column(
                "measure",
                "`spearman` ([-1, 1]), `overlap` ([0, 1]), `spearman of tokens` ([-1, 1])",
                "rank correlation, shared share of the top positions, or, where one of the models "
                "reads tokens, rank correlation of the sums over its tokens",
            ),
            one_of(
                "compared",
                COMPARED,
                "the maps of both on the same sequence; that of `model` with that of `other_model` "
                "on another sequence of the class, or with a random one; those of two trainings of "
                "`model`, or of `other_model`",
            ),
            number_column(
                "mean",
                "as the measure",
                "the mean over sequences and seeds",
                "undefined everywhere (flat maps)",
            ),
            number_column(
                "low",
                "as the measure",
                "lower end of the interval, for retraining; with one replicate, and between the "
                "seeds of a model, over sequences",
                "as `mean`",
            ),
            number_column("high", "as the measure", "its upper end", "as `mean`"),
            integer_column("sequences", "count", "sequences behind it"),
            integer_column("seeds", "count", "seeds behind it"),
        ),
        later=True,
    ),
    TableSchema(
        name="training",
        file="training.csv",
        holds="how every model was trained",
        row="one epoch",
        made_by="xaibench.analysis.summaries:training",
        columns=(
            text_column("model", "label", "the model"),
            integer_column("seed", "seeds of the plan", "the training seed"),
            integer_column("epoch", "from 1", "the epoch"),
        ),
        more=".+",
    ),
    TableSchema(
        name="cost",
        file="cost.csv",
        holds="what explaining took, and what the guards saw",
        row="one method on one trained model",
        made_by="xaibench.analysis.summaries:cost",
        columns=(
            text_column("model", "label", "the model"),
            integer_column("seed", "seeds of the plan", "the training seed"),
            text_column("method", "label", "the method"),
            number_column("forwards", "passes of one sequence", "forward passes"),
            number_column("backwards", "passes of one sequence", "backward passes"),
            number_column(
                "seconds",
                "seconds",
                "time of the processor, all threads together; of another device by the clock",
            ),
            number_column(
                "completeness_error",
                "share of the RMS change of the output",
                "largest error of the sum of scores",
                "the method promises no completeness",
            ),
            number_column(
                "difference",
                "share of the largest score",
                "how far scores move when explained in a different batch",
            ),
            number_column("flat", "[0, 1]", "the share of maps that score every position the same"),
            integer_column("sequences", "count", "sequences that were explained"),
        ),
        more="|".join(TOKEN_COLUMNS),
    ),
)

OF_NAME = {table.name: table for table in TABLES}
OF_FILE = {table.file: table for table in TABLES}

HEAD_TABLES = (
    TableSchema(
        name="heads",
        file="heads/heads.csv",
        holds="which attention heads follow which track (`xaibench heads`)",
        row="one head of a trained model and one track",
        made_by="xaibench.heads.association:associations_of",
        columns=(
            text_column("model", "label", "the model"),
            text_column("state", "`random`, `pretrained`, `epoch:N`, `trained`", "of the model"),
            text_column("replicate", "seed, or a file of weights", "which training of it"),
            text_column("tokens", "free text", "what a site of the model is"),
            integer_column("layer", "from 0", "the layer"),
            integer_column("head", "from 0", "the head in its layer"),
            text_column("track", "name", "what it is compared with ([heads.md](heads.md))"),
            number_column(
                "mean",
                "[-1, 1]",
                "mean over sequences of Spearman's correlation within the sequence",
                "head and track vary in too few sequences; `reason` says so",
            ),
            number_column("low", "unit of `mean`", "lower end of its interval", "as `mean`"),
            number_column("high", "unit of `mean`", "its upper end", "as `mean`"),
            integer_column("sequences", "count", "sequences in which both vary"),
            number_column("p_shift", "[0, 1]", "two-sided p, circular shifts", "as `mean`"),
            number_column(
                "p_exchange",
                "[0, 1]",
                "two-sided p, tracks of other sequences",
                "as `mean`, or where sequences cannot be exchanged; `reason` says so",
            ),
            number_column(
                "q_shift",
                "[0, 1]",
                "after Benjamini and Hochberg over the rows of a model",
                "as `p_shift`",
            ),
            number_column("q_exchange", "[0, 1]", "the same of `p_exchange`", "as `p_exchange`"),
            one_of("associated", ("True", "False"), "whether both q are below 0.05"),
            text_column("reason", "free text", "why a number is missing", "none is"),
        ),
    ),
    TableSchema(
        name="ablations",
        file="heads/ablations.csv",
        holds="what models reach without some of their heads",
        row="one set of heads of one trained model",
        made_by="xaibench.heads.ablation:ablations",
        columns=(
            text_column("model", "label", "the model"),
            text_column("state", "`random`, `pretrained`, `epoch:N`, `trained`", "of the model"),
            text_column("replicate", "seed, or a file of weights", "which training of it"),
            text_column("track", "name", "what the chosen heads go with", "the model is intact"),
            number_column("share", "[0, 1]", "of all heads, that are taken out"),
            one_of(
                "by",
                ("strength", "positive", "negative"),
                "what chooses heads: the largest correlation by size, or of one sign",
                "the model is intact",
            ),
            one_of(
                "set",
                ("intact", "chosen", "least associated", "random"),
                "the chosen heads, or a control with as many in each layer",
            ),
            integer_column("draw", "from 0", "the draw of a random set"),
            integer_column("heads", "count", "heads that are taken out"),
            number_column("accuracy", "[0, 1]", "of the test sequences", "there are no classes"),
            number_column("auroc", "[0, 1]", "of the test sequences", "as `accuracy`"),
            number_column(
                "logit_difference",
                "logits",
                "mean of the logit of the label minus that of the others",
                "as `accuracy`",
            ),
        ),
    ),
    TableSchema(
        name="ablation_tests",
        file="heads/ablation_tests.csv",
        holds="whether losing chosen heads hurts more than losing others",
        row="one set, share and measure of one model",
        made_by="xaibench.heads.ablation:ablation_tests",
        columns=(
            text_column("model", "label", "the model"),
            text_column("state", "as in `heads.csv`", "of the model"),
            text_column("track", "name", "what the chosen heads go with"),
            number_column("share", "[0, 1]", "of all heads, that are taken out"),
            text_column("by", "as in `ablations.csv`", "what chooses heads"),
            text_column("measure", "a column of `ablations.csv`", "what was measured"),
            integer_column("heads", "count", "heads that are taken out"),
            number_column("chosen", "unit of the measure", "without the chosen", "as there"),
            number_column(
                "least_associated", "unit of the measure", "without the least", "as there"
            ),
            number_column("random", "unit of the measure", "mean without random sets", "as there"),
            number_column(
                "difference",
                "unit of the measure",
                "chosen minus random; negative where the chosen matter more",
                "as there",
            ),
            number_column(
                "low", "unit of the measure", "lower end of its interval", "one replicate"
            ),
            number_column("high", "unit of the measure", "its upper end", "one replicate"),
            number_column("p", "(0, 1]", "two-sided, paired t over replicates", "one replicate"),
            integer_column("replicates", "count", "replicates behind it"),
            number_column(
                "p_random",
                "(0, 1]",
                "rank of the chosen among the random sets, the largest over replicates",
                "as there",
            ),
            number_column("q", "(0, 1]", "`p` after Benjamini and Hochberg", "one replicate"),
        ),
    ),
    TableSchema(
        name="relevance_tests",
        file="heads/relevance_tests.csv",
        holds="whether AttnLRP names heads that matter more than those that follow a track",
        row="one track, share and measure of one model",
        made_by="xaibench.heads.ablation:relevance_against_association",
        columns=(
            text_column("model", "label", "the model"),
            text_column("state", "as in `heads.csv`", "of the model"),
            text_column("track", "name", "what the other heads go with"),
            number_column("share", "[0, 1]", "of all heads, that are taken out"),
            text_column("by", "as in `ablations.csv`", "what chooses heads"),
            text_column("measure", "a column of `ablations.csv`", "what was measured"),
            one_of(
                "minus",
                ("nothing", "random"),
                "whether what random sets reach was taken off first",
            ),
            number_column(
                "relevance", "unit of the measure", "without the most relevant", "as there"
            ),
            number_column(
                "association", "unit of the measure", "without the associated", "as there"
            ),
            number_column(
                "difference",
                "unit of the measure",
                "relevance minus association; negative where relevance names heads that matter "
                "more",
                "as there",
            ),
            number_column(
                "low", "unit of the measure", "lower end of its interval", "one replicate"
            ),
            number_column("high", "unit of the measure", "its upper end", "one replicate"),
            number_column("p", "(0, 1]", "two-sided, paired t over replicates", "one replicate"),
            integer_column("replicates", "count", "replicates behind it"),
            number_column("q", "(0, 1]", "`p` after Benjamini and Hochberg", "one replicate"),
        ),
    ),
    TableSchema(
        name="changes",
        file="heads/changes.csv",
        holds="what heads follow in one state, or context, and in another",
        row="one head of a trained model, one track and one comparison",
        made_by="xaibench.heads.changes:changes_between",
        columns=(
            text_column("model", "label", "the model"),
            text_column("replicate", "seed, or a file of weights", "which training of it"),
            text_column("before", "a state", "what is compared with"),
            text_column("after", "a state, with `shuffled around TRACK`", "what is compared"),
            integer_column("layer", "from 0", "the layer"),
            integer_column("head", "from 0", "the head in its layer"),
            text_column("track", "name", "what it is compared with"),
            number_column("mean_before", "[-1, 1]", "mean correlation before", "no sequence"),
            number_column("mean_after", "[-1, 1]", "mean correlation after", "no sequence"),
            number_column("change", "[-2, 2]", "after minus before", "no sequence"),
            number_column("low", "unit of `change`", "lower end of its interval", "no sequence"),
            number_column("high", "unit of `change`", "its upper end", "no sequence"),
            number_column("p", "(0, 1]", "two-sided, t over pairs of sequences", "no sequence"),
            integer_column("sequences", "count", "sequences with both"),
            number_column(
                "q", "(0, 1]", "`p` after Benjamini and Hochberg over a comparison", "as `p`"
            ),
            one_of("changed", ("True", "False"), "whether `q` is below 0.05"),
        ),
    ),
    TableSchema(
        name="claims",
        file="heads/claims.csv",
        holds="claims about attention heads put to the test",
        row="one claim",
        made_by="xaibench.heads.claims:head_claims",
        columns=OF_NAME["claims"].columns,
    ),
)
"""Those that ``xaibench heads`` writes into a folder of the run; no report needs them."""

COLUMNS = {table.file: tuple(table.names) for table in TABLES}
"""By file, the columns that the table has."""

TEXT = frozenset[str]().union(*(table.texts for table in TABLES))
"""The columns that hold text, in whichever table."""


def columns_of(name: str) -> list[str]:
    """The columns of the table of this name, in the order in which they are written."""
    return OF_NAME[name].names


def columns_of_heads(name: str) -> list[str]:
    """The same of a table of ``HEAD_TABLES``."""
    return next(table.names for table in HEAD_TABLES if table.name == name)
