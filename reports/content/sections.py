"""The sections of a report and their order, whatever it is rendered to."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, combinations

from xaibench.results.reading import Results
from xaibench.results.schema import Question

from ..format.names import curve_of, metrics_of, parts_signed_from_unsigned
from ..format.replicates import replicate_terms
from ..format.select import (
    explained_quantity,
    has_classes,
    has_train,
    models_of,
    without_classes,
)
from ..tables.accuracy import accuracy, accuracy_differences, baselines
from ..tables.agreement import matrices
from ..tables.certainty import can_show, certainty
from ..tables.claims import claims_tables, rules
from ..tables.controls import controls
from ..tables.cost import cost_table, guards
from ..tables.discrimination import (
    LACKING,
    OF_NUMBERS,
    discrimination,
    discrimination_differences,
    regression_differences,
    regression_table,
)
from ..tables.failures import unmeasured
from ..tables.leaderboard import by_seed, leaderboard, standings
from ..tables.metrics import between_models, gaps, measures, randomisation, stability
from ..tables.operators import agreement_of_operators, distances, least_agreement
from ..tables.pairs import pairs
from ..tables.pareto import score_and_cost
from ..tables.selftest import comparisons, failures, outcomes, selftest_sentence
from ..tables.table import Table
from ..tables.training import converged, masked
from .about import about, command, models_table, plan_text
from .document import Listing, Section
from .glossary import glossary
from .methods_text import account, works_cited

SectionTables = Iterable[Table | None]
Text = str | Callable[[Results], str]

AGAINST_RANDOM = (
    "▲ better than random, ▼ worse, ≈ the interval of the paired difference to random includes 0. "
    "Figures in brackets are 95 % intervals; with one replicate they are over sequences only."
)
ARROWS_AND_MARKS = "↑ higher is better, ↓ lower. " + AGAINST_RANDOM
DIFFERENCES = (
    "▲ better, ▼ worse, ≈ the interval of the paired difference includes 0: not distinguishable."
)


@dataclass(frozen=True, slots=True)
class PlannedSection:
    """A section of every report: its lead (parts that are joined by blanks) and its tables, as the
    run has them."""

    anchor: str
    title: str
    short: str
    lead: tuple[Text, ...] = ()
    tables: Callable[[Results], SectionTables] | None = None
    figures: tuple[str, ...] = ()
    folded: bool = True

    def section(self, results: Results) -> Section:
        parts = (part if isinstance(part, str) else part(results) for part in self.lead)
        lead = " ".join(filter(None, parts))
        made = self.tables(results) if self.tables else ()
        return Section(
            self.anchor,
            self.title,
            (lead,) if lead else (),
            tuple(table for table in made if table is not None),
            self.figures,
            short=self.short,
            folded=self.folded,
        )


@lru_cache(maxsize=1)
def sections(results: Results) -> list[Section]:
    """Every section in which this run has a table, and those of figures alone."""
    planned = [(plan.section(results), plan.tables is None) for plan in REPORT]
    known = [section for section, figures_alone in planned if section.tables or figures_alone]
    return [*known, _run_section(results), _reading_section(results)]


def per_model(
    *makers: Callable[[Results, str], Table | Iterable[Table] | None],
) -> Callable[[Results], SectionTables]:
    """The tables of one model after the other, by each of the ``makers``."""

    def tables(results: Results) -> SectionTables:
        for model in models_of(results):
            for maker in makers:
                made = maker(results, model)
                yield from (made,) if made is None or isinstance(made, Table) else made

    return tables


def per_family(family: str) -> Callable[[Results], SectionTables]:
    """A table per model of the metrics of a family."""
    return per_model(lambda results, model: measures(results, model, family))


def overall(*makers: Callable[[Results], Table | None]) -> Callable[[Results], SectionTables]:
    """A table by each of the ``makers``."""
    return lambda results: (maker(results) for maker in makers)


def every(*groups: Callable[[Results], SectionTables]) -> Callable[[Results], SectionTables]:
    """The tables of one group after the other."""
    return lambda results: chain.from_iterable(group(results) for group in groups)


# Leads that depend on the run


def _gap_is(results: Results) -> str:
    return (
        "Positions are replaced from the highest score down, and the area under the falling "
        f"{explained_quantity(results)} is compared with that of random positions, sequence by "
        "sequence. The gap is random minus method: 0 is no better than chance, larger is better."
    )


def _normalised_is(results: Results) -> str:
    if not (results.estimates["question"] == Question.NORMALISED).any():
        return ""
    return (
        "Normalised is the gap as a share of the oracle's: 0 is random, 1 an order that knows the "
        "answer; it is over fewer sequences where its head says so."
    )


def _beside_baselines(results: Results) -> str:
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


def _operator_shift_is(results: Results) -> str:
    background = "training" if has_train(results) else "test"
    probability = " and of the largest probability of the model" if has_classes(results) else ""
    return (
        "The first rows give the change of the log-likelihood of a sequence (under a k-mer model "
        f"of the {background} sequences){probability} when this share of the positions, drawn at "
        "random, is replaced. Kendall's tau is 1 where two operators order the methods alike, and "
        "0 where the orders are unrelated."
    )


def _without_classification(results: Results) -> str:
    known = len(results.classification) or not has_classes(results) or without_classes(results)
    return "" if known else LACKING


def _selftest_is(results: Results) -> str:
    """What the self-test asks of a metric; nothing where it did not run."""
    if results.selftest.empty:
        return ""
    return (
        "A metric is tested on maps whose order is known before it may rank methods: the oracle "
        "must be above random, random above the negated oracle, and the blurred oracle must not "
        "be above the oracle, by intervals for these trained models. A metric that fails cannot "
        f"discriminate here and ranks nothing. {selftest_sentence(results)} {DIFFERENCES}"
    )


def _signs_apart(results: Results) -> str:
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


def _priors_are(results: Results) -> str:
    if not metrics_of(results, "localisation"):
        return ""
    return "On the known motif also minus maps that never saw the model."


def _where_defined(results: Results) -> str:
    """Where the definitions of the metrics are, if the run has them."""
    facts = (results.environment.get("metrics") or {}).values()
    has = any(metric.get("definition") for metric in facts)
    return "Every metric is defined at the end." if has else ""


def _compared_with_first(results: Results) -> str:
    nouns = replicate_terms(results).nouns
    return (
        f"Each method is compared with the first on the same sequences and {nouns}, and its "
        "verdict says whether the two are statistically distinguishable. P(best) is how often a "
        f"method has the best mean when sequences and {nouns} are resampled; it flatters the "
        "first, which was chosen on the same data."
    )


def _compared_by_agreement(results: Results) -> str:
    noun = replicate_terms(results).noun
    return (
        f"Two methods on the same model and {noun}, averaged over sequences. The diagonal is for "
        f"comparison: one method on two models that differ by their {noun} alone. Agreement is no "
        "proof, for methods may share a fault."
    )


def _between_tables(results: Results) -> SectionTables:
    return (between_models(results, *pair) for pair in combinations(models_of(results), 2))


def _costs(results: Results) -> SectionTables:
    """Cost beside the score, and alone only where a method has a cost and no score."""
    scored = [score_and_cost(results, model) for model in models_of(results)]
    count = sum(len(table.rows) for table in scored if table)
    has_cost = results.cost[["model", "method"]].drop_duplicates()
    return scored if count == len(has_cost) else [*scored, cost_table(results)]


def _references(results: Results) -> SectionTables:
    return [works_cited(account(results))]


REPORT = (
    PlannedSection(
        "claims",
        "Do the claims hold?",
        "Claims",
        (
            "The rules of the verdicts were fixed before the run; anything between them is "
            "undecided at this n. p values are corrected after Holm over all claims.",
            rules,
        ),
        claims_tables,
        folded=False,
    ),
    PlannedSection(
        "leaderboard",
        "Which method finds what the model uses?",
        "Leaderboard",
        (
            _gap_is,
            _normalised_is,
            "d_z is the mean of the paired differences over their standard deviation; p values are "
            "two-sided and corrected after Holm over the methods of a model.",
        ),
        every(overall(standings), per_model(leaderboard, by_seed)),
        figures=("leaderboard",),
        folded=False,
    ),
    PlannedSection(
        "between",
        "The same method on two models",
        "Between models",
        (
            "Paired differences; for deletion, of the gap to random. ▲ better on the first model, "
            "▼ on the second, ≈ the interval includes 0.",
        ),
        every(overall(pairs), _between_tables),
        folded=False,
    ),
    PlannedSection(
        "certainty",
        "How sure is this?",
        "How sure",
        (
            _compared_with_first,
            can_show,
        ),
        certainty,
        figures=("certainty",),
    ),
    PlannedSection(
        "accuracy",
        "How good are the models?",
        "Models",
        (
            "An explanation is worth as much as the model it explains.",
            _beside_baselines,
            _without_classification,
        ),
        overall(
            accuracy,
            discrimination,
            regression_table,
            baselines,
            accuracy_differences,
            discrimination_differences,
            regression_differences,
            converged,
            masked,
        ),
        folded=False,
    ),
    PlannedSection(
        "training",
        "How the models were trained",
        "Training",
        (
            "Thin lines are seeds, thick lines their mean. Grey and dashed: training sequences; "
            "dark: validation sequences.",
        ),
        figures=("training",),
    ),
    PlannedSection(
        "deletion",
        "What happens while positions are replaced",
        "Curves",
        (
            "Replaced positions take the bases of one donor, the same for all methods. Deletion "
            "starts with the most relevant position and should fall fast; insertion is the area "
            "while the least relevant go first and should stay high. Every number is the gap to "
            "random, signed so that larger is better.",
            _signs_apart,
            AGAINST_RANDOM,
        ),
        per_model(gaps),
        figures=("deletion",),
    ),
    PlannedSection(
        "controls",
        "Against control maps",
        "Controls",
        (
            "A method minus a control map made from its own, on the same sequences: the map "
            "shifted along the sequence (rotated), that of another sequence of the class, the mean "
            "of all maps (mean map), negated, or blurred.",
            _priors_are,
            "A method that does not beat its mean map shows where motifs tend to be, not what the "
            "sequence holds there.",
            DIFFERENCES,
        ),
        per_model(controls),
        figures=("controls",),
    ),
    PlannedSection(
        "operators",
        "Does it matter what replaces a base?",
        "Operators",
        (
            "An operator that moves sequences far from the data asks the model about what it was "
            "not trained on.",
            _operator_shift_is,
            DIFFERENCES,
        ),
        every(per_model(distances, agreement_of_operators), overall(least_agreement)),
        figures=("operators",),
    ),
    PlannedSection(
        "stability",
        "Are the explanations stable?",
        "Stability",
        (
            "A map that never changes is perfectly stable and uninformative: nothing is ranked, "
            "and each number is beside its difference to that of the method's mean map, the "
            "same for every sequence, where controls ran. Agreement and consistency are Spearman "
            "correlations, agreement for the true label; sensitivity is the largest relative "
            "change under single substitutions.",
            _where_defined,
            ARROWS_AND_MARKS,
        ),
        per_model(stability),
        figures=("stability",),
    ),
    PlannedSection(
        "localisation",
        "Are the scores on the known motif?",
        "Known motif",
        (
            "AUPRC: average precision of the scores against the motif's positions. Relevance mass: "
            "the share of the positive score on the motif. Both for the true label. A random "
            "order's AUPRC is above the share of motif positions, which is the chance of relevance "
            "mass.",
            _where_defined,
            ARROWS_AND_MARKS,
        ),
        per_family("localisation"),
        figures=("localisation",),
    ),
    PlannedSection(
        "randomisation",
        "Do the explanations depend on what was learnt?",
        "Randomised weights",
        (
            "How similar the maps of a model are before and after its weights are re-initialised: "
            "from the output down to the layer that heads a column (cascading), or in that layer "
            "alone (independent). A map that stays the same does not depend on the weights. "
            "Nothing is ranked by it.",
            _where_defined,
            ARROWS_AND_MARKS,
        ),
        per_model(randomisation),
        figures=("randomisation",),
    ),
    PlannedSection(
        "complexity",
        "How concentrated are the maps?",
        "Complexity",
        (
            "A description, no merit: few positions are right where the model uses few.",
            _where_defined,
        ),
        per_family("complexity"),
        figures=("complexity",),
    ),
    PlannedSection(
        "other",
        "Other measures",
        "Other measures",
        ("Metrics that came with the run.", ARROWS_AND_MARKS),
        per_family("other"),
        figures=("other",),
    ),
    PlannedSection(
        "selftest",
        "What was not ranked, and why?",
        "Self-test, guards",
        (
            _selftest_is,
            "Guards watch every explanation: the completeness error is the largest, as a share of "
            "the change of the output (RMS); the batch difference is how far the scores of a few "
            "sequences move, as a share of the largest, when they are explained in a different "
            "batch; flat maps score every position the same.",
        ),
        every(overall(failures, guards, outcomes), per_model(comparisons)),
        figures=("selftest",),
    ),
    PlannedSection(
        "agreement",
        "Do the methods agree?",
        "Agreement",
        (_compared_by_agreement,),
        per_model(matrices),
        figures=("agreement",),
    ),
    PlannedSection(
        "cost",
        "What it costs",
        "Cost",
        (
            "● on the Pareto front: no other method is at least as good and cheaper; the cheapest "
            "is on it however little it finds. Forwards and backwards are passes of one sequence "
            "through the model.",
        ),
        _costs,
        figures=("cost",),
    ),
    PlannedSection(
        "examples",
        "Examples, base by base",
        "Examples",
        (
            "A few of the explained sequences under every method, of the first replicate. Which "
            "they are is a rule, named with each, and no choice of the best looking.",
        ),
        figures=("examples",),
    ),
    PlannedSection(
        "unmeasured",
        "What did not apply or failed",
        "Failures",
        ("A method that is not defined for a model is no failure; one that raised is.",),
        overall(unmeasured),
        folded=False,
    ),
    PlannedSection(
        "methods", "What was done, for a methods section", "Methods text", (account,), _references
    ),
)
"""In the order of the page; ``_run_section`` and ``_reading_section`` are the last."""


def _run_section(results: Results) -> Section:
    """The data, the models, the command and the plan."""
    note = "With the plan below in a file of that name."
    return Section(
        "run",
        "What was run",
        tables=(about(results), models_table(results)),
        listings=(
            Listing("The command to run it again", command(results), note=note),
            Listing("The plan, in full", plan_text(results), folded=True),
        ),
        short="The run",
    )


def _reading_section(results: Results) -> Section:
    lead = (
        "Figures in brackets are 95 % intervals. “Not distinguishable” means that the interval of "
        "the paired difference includes 0."
    )
    terms = tuple(glossary(results))
    return Section("reading", "How to read this", (lead,), terms=terms, short="Glossary")
