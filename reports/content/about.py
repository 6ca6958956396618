"""What was run: the data, the models, the software, the plan."""

from __future__ import annotations

import math
import shlex
from pathlib import PurePath
from typing import Any

import yaml

from xaibench.results.reading import Results
from xaibench.results.replicates import given_weights

from ..format.numbers import ABSENT, with_noun
from ..format.replicates import replicate_terms
from ..format.select import methods_of, models_of, seeds_with_records
from ..tables.table import Cell, Table, heads


def report_title(results: Results) -> str:
    planned = results.plan.get("dataset")
    options = planned if isinstance(planned, dict) else {}
    path = PurePath(str(options.get("path") or "")).name
    data = results.environment.get("dataset") or {}
    name = options.get("dataset") or path or data.get("name", "a DNA classifier")
    if "stands in for" in (data.get("facts") or {}):
        name = f"a stand-in for {name}"
    return f"Which explanation to trust: {name}"


def facts(results: Results) -> list[str]:
    """What was compared, for the line under the title."""
    explained = results.estimates[results.estimates["method"] != ""]
    sequences = explained["sequences"].max()
    counts = [
        (len(models_of(results)), "model"),
        (len(methods_of(results)), "method"),
        (len(seeds_with_records(results)), replicate_terms(results).noun),
        (0 if math.isnan(sequences) else int(sequences), "explained sequence"),
    ]
    return [
        *(with_noun(count, noun) for count, noun in counts),
        str(results.environment.get("date", "")),
    ]


def about(results: Results) -> Table:
    """The run in a few lines: the data, the software, the machine, the command."""
    environment = results.environment
    data = environment.get("dataset") or {}
    lines = {
        "Dataset": data.get("name"),
        "Where the data come from": data.get("note"),
        **(data.get("facts") or {}),
        "Sequences": _in_one_line(data.get("sizes")),
        "Classes": _comma_separated(_classes(data)),
        "Fingerprint of the data": environment.get("data"),
        "Methods": _comma_separated(methods_of(results)),
        "Operators": _comma_separated(results.plan.get("operators")),
        "Seeds": _seeds(results),
        "Weights": _weights(results),
        "Versions": _in_one_line(environment.get("versions")),
        "Processor": environment.get("processor"),
        "Threads": environment.get("threads"),
        "Device": environment.get("device"),
        "Date": environment.get("date"),
        "Seconds, all calls": environment.get("seconds"),
        "Command": environment.get("command"),
    }
    rows = tuple((Cell(name), Cell(str(value))) for name, value in lines.items() if value)
    return Table("The run", heads("What", "Value", prose=(0, 1)), rows)


def _classes(data: dict[str, Any]) -> list[str]:
    """Their names where there are two or more; of fewer the facts of the data say why."""
    names = list(data.get("classes") or data.get("class_names") or ())
    return names if len(names) > 1 else []


def _seeds(results: Results) -> str:
    """The seeds that models were trained under; nothing where none was trained."""
    trained = [model for model in models_of(results) if model not in given_weights(results)]
    return _comma_separated(seeds_with_records(results)) if trained else ""


def _weights(results: Results) -> str:
    """The files of the models that came with their weights."""
    given = given_weights(results)
    return "; ".join(f"{model}: {_comma_separated(files)}" for model, files in given.items())


def models_table(results: Results) -> Table:
    """Each model with its options and its size."""
    planned = results.plan.get("models")
    options = planned if isinstance(planned, dict) else {}
    sizes = results.environment.get("parameters") or {}
    rows = []
    for model in models_of(results):
        size = f"{sizes[model]:,}" if model in sizes else ABSENT
        rows.append(
            (Cell(model), Cell(_in_one_line(options.get(model)) or "as they are"), Cell(size))
        )
    header = heads("Model", "Options", "Parameters", prose=(0, 1))
    return Table("The models", header, tuple(rows))


def plan_text(results: Results) -> str:
    """The resolved plan as YAML."""
    return yaml.safe_dump(
        results.plan, sort_keys=False, allow_unicode=True, default_flow_style=None, width=100
    )


def command(results: Results) -> str:
    """The command that runs the plan again, with the plug-ins that came from elsewhere."""
    plugins = results.environment.get("plugins") or ()
    options = (f"--plugin {shlex.quote(plugin)}" for plugin in plugins)
    return " ".join(("xaibench run plan.yaml -o again", *options))


def _comma_separated(names: Any) -> str:
    return ", ".join(str(name) for name in names or ())


def _in_one_line(mapping: Any) -> str:
    """A mapping in one line, without what is not set."""
    if not isinstance(mapping, dict):
        return "" if mapping is None else str(mapping)
    known = {name: value for name, value in mapping.items() if value is not None}
    return ", ".join(
        f"{name} ({_in_one_line(value)})" if isinstance(value, dict) else f"{name} {value}"
        for name, value in known.items()
    )
