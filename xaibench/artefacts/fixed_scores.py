"""Methods whose scores were made elsewhere: they follow no change of model or sequences."""

from __future__ import annotations

import json
from typing import Any

from xaibench.errors import NotApplicable, UsageError, message_of
from xaibench.plan.schema import Use
from xaibench.plugins.harness_options import harness_fields
from xaibench.plugins.options import is_path
from xaibench.plugins.registry import Plugin, load
from xaibench.plugins.signatures import own_fields
from xaibench.protocols import MethodFacts, method_facts

from .artefact import identified
from .job import Work, plugin_and_options, remembered, seeds_of
from .subsets import subset
from .trained_models import TrainedModel


def is_fixed(work: Work, method: str) -> bool:
    """Whether the scores of a method of the plan were made elsewhere."""
    return _facts(work, method).fixed


def is_signed(work: Work, method: str) -> bool:
    """Whether negative scores of a method mean evidence against the target; of scores made
    elsewhere the plan says so."""
    facts = _facts(work, method)
    written = work.plan.attribution[method].options.get("signed", True)
    return facts.signed and (not facts.fixed or bool(written))


def use_for(work: Work, trained: TrainedModel, method: str) -> Use:
    """A method of the plan as it is used for one trained model: of several files of scores, each of
    one replicate, that of this one.

    UsageError where there are not as many files as replicates, or ``of`` names no model.
    """
    use = work.plan.attribution[method]
    if not is_fixed(work, method) or not _is_made_for(work, trained, method):
        return use
    replicates = seeds_of(work.plan, trained.name)
    number = replicates.index(trained.seed) if trained.seed in replicates else 0
    options = dict(use.options)
    for name in _options_with_files(_plugin(work, method)):
        files = options[name]
        if not isinstance(files, list):
            continue
        if len(files) != len(replicates):
            raise UsageError(
                f"attribution.{method}.{name}: expected one file, or {len(replicates)}, one per "
                f"replicate of {trained.name}, got {len(files)}"
            )
        options[name] = files[number]
    return use.model_copy(update={"options": options})


@remembered
def replicates_share_scores(work: Work, model: str, method: str) -> bool:
    """Whether several replicates of a model have the same scores, made elsewhere."""
    if not is_fixed(work, method):
        return False
    replicates = [TrainedModel(model, seed) for seed in seeds_of(work.plan, model)]
    uses = [use_for(work, each, method) for each in replicates]
    contents = {json.dumps(identified(work, "attribution", use)) for use in uses}
    return len(contents) < len(replicates)


def require_not_fixed(work: Work, method: str, what: str) -> None:
    """NotApplicable where the scores of a method cannot follow a change."""
    if is_fixed(work, method):
        raise NotApplicable(f"scores made elsewhere cannot follow {what}")


def require_made_for(work: Work, trained: TrainedModel, method: str) -> None:
    """NotApplicable where the scores of a method were made of another model."""
    if not _is_made_for(work, trained, method):
        of = work.plan.attribution[method].options["of"]
        raise NotApplicable(f"the scores are of {of}, not of {trained.name}")


def require_scores_fit(work: Work) -> None:
    """UsageError, before anything is computed, where a file of scores made elsewhere is damaged or
    not of the sequences that are explained; a method says so by its ``require_fit``."""
    for method in work.plan.attribution:
        check = getattr(_plugin(work, method).call, "require_fit", None)
        for trained in _replicates(work) if check is not None else ():
            if _is_made_for(work, trained, method):
                _require_fit(work, trained, method, check)


def _replicates(work: Work) -> list[TrainedModel]:
    plan = work.plan
    return [TrainedModel(name, seed) for name in plan.models for seed in seeds_of(plan, name)]


def _require_fit(work: Work, trained: TrainedModel, method: str, check: Any) -> None:
    use = use_for(work, trained, method)
    _, options = plugin_and_options(work, "attribution", use)
    try:
        check(subset(work, trained.name, method).codes, work.splits.test, options)
    except ValueError as error:
        raise UsageError(f"attribution.{method}: {message_of(error)}") from None


def _is_made_for(work: Work, trained: TrainedModel, method: str) -> bool:
    of: Any = work.plan.attribution[method].options.get("of", "")
    if is_fixed(work, method) and of and of not in work.plan.models:
        known = ", ".join(work.plan.models)
        raise UsageError(
            f"attribution.{method}.of: expected a model of the plan ({known}), got {of!r}"
        )
    return not is_fixed(work, method) or of in ("", trained.name)


@remembered
def _facts(work: Work, method: str) -> MethodFacts:
    return method_facts(_plugin(work, method).call)


def _plugin(work: Work, method: str) -> Plugin:
    return load("attribution", work.plan.attribution[method].use, work.job.plugins)


def _options_with_files(plugin: Plugin) -> list[str]:
    """The options of a method that name a file, or one per replicate."""
    fields = {**own_fields(plugin), **harness_fields(plugin)}
    return [name for name, (hint, _) in fields.items() if is_path(hint)]
