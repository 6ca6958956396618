"""The sections of a report and their order, whatever it is rendered to."""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations

from xaibench.results.reading import Results

from ..format.select import models_of
from ..tables.accuracy import accuracy, accuracy_differences, baselines
from ..tables.agreement import matrices
from ..tables.certainty import can_show, certainty
from ..tables.claims import claims_tables, rules
from ..tables.controls import controls
from ..tables.cost import cost_table, guards, on_special_tokens
from ..tables.discrimination import (
    discrimination,
    discrimination_differences,
    regression_differences,
    regression_table,
)
from ..tables.failures import unmeasured
from ..tables.leaderboard import by_seed, leaderboard, standings
from ..tables.metrics import between_models, gaps, randomisation, stability
from ..tables.model_agreement import model_agreements
from ..tables.operators import agreement_of_operators, distances, least_agreement
from ..tables.pairs import pairs
from ..tables.pareto import score_and_cost
from ..tables.selftest import comparisons, failures, outcomes
from ..tables.training import converged, masked
from ..tables.transfers import transfers
from .about import about, command, models_table, plan_text
from .document import Listing, Section
from .glossary import glossary
from .leads import (
    AGAINST_RANDOM,
    ARROWS_AND_MARKS,
    DIFFERENCES,
    beside_baselines,
    compared_by_agreement,
    compared_with_first,
    gap_is,
    normalised_is,
    operator_shift_is,
    priors_are,
    selftest_is,
    signs_apart,
    where_defined,
    without_classification,
)
from .methods_text import account, works_cited
from .planned_section import PlannedSection, SectionTables, every, overall, per_family, per_model


@lru_cache(maxsize=1)
def sections(results: Results) -> list[Section]:
    """Every section in which this run has a table, and those of figures alone."""
    planned = [(plan.section(results), plan.tables is None) for plan in REPORT]
    known = [section for section, figures_alone in planned if section.tables or figures_alone]
    return [*known, _run_section(results), _reading_section(results)]


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
            lambda results: rules(results.claims),
        ),
        lambda results: claims_tables(results.claims),
        folded=False,
    ),
    PlannedSection(
        "leaderboard",
        "Which method finds what the model uses?",
        "Leaderboard",
        (
            gap_is,
            normalised_is,
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
            compared_with_first,
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
            beside_baselines,
            without_classification,
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
            signs_apart,
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
            priors_are,
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
            operator_shift_is,
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
            where_defined,
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
            where_defined,
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
            where_defined,
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
            where_defined,
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
            selftest_is,
            "Guards watch every explanation: the completeness error is the largest, as a share of "
            "the change of the output (RMS); the batch difference is how far the scores of a few "
            "sequences move, as a share of the largest, when they are explained in a different "
            "batch; flat maps score every position the same.",
        ),
        every(overall(failures, guards, on_special_tokens, outcomes), per_model(comparisons)),
        figures=("selftest",),
    ),
    PlannedSection(
        "agreement",
        "Do the methods agree?",
        "Agreement",
        (compared_by_agreement,),
        per_model(matrices, transfers),
        figures=("agreement",),
    ),
    PlannedSection(
        "model-agreement",
        "Are two models explained alike?",
        "Alike",
        (
            "Maps of the same sequences on two models, for the true label. They are alike beyond "
            "what a position tells where they are more so than with the map of another sequence "
            "of the class, and as alike as can be where they are as much so as the maps of two "
            "trainings of one model. Scores of tokens are the same over several nucleotides, "
            "which no map of single nucleotides is.",
        ),
        model_agreements,
        folded=False,
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
