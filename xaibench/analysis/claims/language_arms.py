"""Which models and methods of a plan are compared where a language model stands beside a CNN."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from xaibench.analysis.model_agreement import WITHOUT_MODEL, reads_tokens
from xaibench.artefacts.job import Work, is_explained
from xaibench.plan.schema import Plan

EQUAL = "equal"


@dataclass(frozen=True, slots=True)
class LanguageArms:
    """Labels of the plan, empty where it has none: the first explained model that reads tokens, and
    the first that does not; AttnLRP that splits scores of tokens equally, LRP by ``epsilon``, and
    the ``others`` that AttnLRP is compared with. ``began`` says from which weights the language
    model was trained."""

    language: str
    cnn: str
    attnlrp: str
    lrp: str
    others: tuple[str, ...]
    began: str


def language_arms(work: Work) -> LanguageArms:
    """Told by what models and methods are, not by their labels; the first of a kind counts."""
    plan = work.plan
    explained = [model for model in plan.models if is_explained(plan, model)]
    tokens = {model: reads_tokens(plan, work.job.plugins, model) for model in explained}
    language = next((model for model in explained if tokens[model]), "")
    return LanguageArms(
        language=language,
        cnn=next((model for model in explained if not tokens[model]), ""),
        attnlrp=_first_lrp(plan, "attnlrp"),
        lrp=_first_lrp(plan, "epsilon"),
        others=_others(plan),
        began=_began(plan, language) if language else "",
    )


def _first_lrp(plan: Plan, rule: str) -> str:
    """The first label of LRP with this rule, tokens split equally."""
    for label, use in plan.attribution.items():
        splits = use.options.get("transfer", EQUAL) == EQUAL
        if use.use == "lrp" and use.options.get("rule", "epsilon") == rule and splits:
            return label
    return ""


def _others(plan: Plan) -> tuple[str, ...]:
    """Methods that are no second AttnLRP and look at a model."""
    return tuple(
        label
        for label, use in plan.attribution.items()
        if use.options.get("rule") != "attnlrp" and use.use not in WITHOUT_MODEL
    )


def _began(plan: Plan, model: str) -> str:
    options = plan.models[model].options
    if options.get("weights"):
        return "with its weights"
    pretrained = options.get("pretrained")
    return f"from {Path(str(pretrained)).name}" if pretrained else "from random weights"
