"""What a section says before its tables where that depends on the run, and what its marks mean."""

from __future__ import annotations

from xaibench.results.reading import Results
from xaibench.results.schema import Question

from ..format.names import curve_of, metrics_of, parts_signed_from_unsigned
from ..format.replicates import replicate_terms
from ..format.select import explained_quantity, has_classes, has_train, without_classes
from ..tables.discrimination import LACKING, OF_NUMBERS
from ..tables.selftest import selftest_sentence

AGAINST_RANDOM = (
    "▲ better than random, ▼ worse, ≈ the interval of the paired difference to random includes 0. "
    "Figures in brackets are 95 % intervals; with one replicate they are over sequences only."
)
ARROWS_AND_MARKS = "↑ higher is better, ↓ lower. " + AGAINST_RANDOM
DIFFERENCES = (
    "▲ better, ▼ worse, ≈ the interval of the paired difference includes 0: not distinguishable."
)


def gap_is(results: Results) -> str:
    return (
        "Positions are replaced from the highest score down, and the area under the falling "
        f"{explained_quantity(results)} is compared with that of random positions, sequence by "
        "sequence. The gap is random minus method: 0 is no better than chance, larger is better."
    )


def normalised_is(results: Results) -> str:
    if not (results.estimates["question"] == Question.NORMALISED).any():
        return ""
    return (
        "Normalised is the gap as a share of the oracle's: 0 is random, 1 an order that knows the "
        "answer; it is over fewer sequences where its head says so."
    )


def beside_baselines(results: Results) -> str:
    """How the quality of models is read, and what of it is not known of these data."""
    if results.classification["metric"].isin([*OF_NUMBERS]).any():
        return (
            "Pearson and Spearman are correlations of the output with the measured numbers, by "
            "chance 0; MSE is the mean squared difference, in squared units of these."
        )
    if not has_classes(results):
        return "How good these models are is not known: the data have no classes."
    separation = (
        "AUROC, AUPRC and MCC do not flatter a model that knows the largest class alone: by chance "
        "they are 0.5, the share of the class, and 0."
    )
    if not has_train(results):
        return f"What trivial baselines reach is not known: no train split. {separation}"
    return (
        "A model that is no better than the trivial baselines may have learnt no more than they "
        f"did. k-mers: logistic regression on k-mer frequencies. {separation}"
    )


def operator_shift_is(results: Results) -> str:
    background = "training" if has_train(results) else "test"
    probability = " and of the largest probability of the model" if has_classes(results) else ""
    return (
        "The first rows give the change of the log-likelihood of a sequence (under a k-mer model "
        f"of the {background} sequences){probability} when this share of the positions, drawn at "
        "random, is replaced. Kendall's tau is 1 where two operators order the methods alike, and "
        "0 where the orders are unrelated."
    )


def without_classification(results: Results) -> str:
    known = len(results.classification) or not has_classes(results) or without_classes(results)
    return "" if known else LACKING


def selftest_is(results: Results) -> str:
    """What the self-test asks of a metric; nothing where it did not run."""
    if results.selftest.empty:
        return ""
    return (
        "A metric is tested on maps whose order is known before it may rank methods: the oracle "
        "must be above random, random above the negated oracle, and the blurred oracle must not "
        "be above the oracle, by intervals for these trained models. A metric that fails cannot "
        f"discriminate here and ranks nothing. {selftest_sentence(results)} {DIFFERENCES}"
    )


def signs_apart(results: Results) -> str:
    """Why signed and unsigned methods are not compared, where a metric does not."""
    families = {curve_of(metric)[0] for metric in metrics_of(results, "faithfulness")}
    named = sorted(name for name in families if parts_signed_from_unsigned(results, name))
    if not named:
        return ""
    return (
        f"Signed and unsigned methods are not compared on {', '.join(named)}, and are ranked and "
        "corrected apart: a signed method puts evidence against the class last, where an unsigned "
        "one puts what does not matter."
    )


def priors_are(results: Results) -> str:
    if not metrics_of(results, "localisation"):
        return ""
    return "On the known motif also minus maps that never saw the model."


def where_defined(results: Results) -> str:
    """Where the definitions of the metrics are, if the run has them."""
    facts = (results.environment.get("metrics") or {}).values()
    has = any(metric.get("definition") for metric in facts)
    return "Every metric is defined at the end." if has else ""


def compared_with_first(results: Results) -> str:
    nouns = replicate_terms(results).nouns
    return (
        f"Each method is compared with the first on the same sequences and {nouns}, and its "
        "verdict says whether the two are statistically distinguishable. P(best) is how often a "
        f"method has the best mean when sequences and {nouns} are resampled; it flatters the "
        "first, which was chosen on the same data."
    )


def compared_by_agreement(results: Results) -> str:
    noun = replicate_terms(results).noun
    return (
        f"Two methods on the same model and {noun}, averaged over sequences. The diagonal is for "
        f"comparison: one method on two models that differ by their {noun} alone. Agreement is no "
        "proof, for methods may share a fault."
    )
