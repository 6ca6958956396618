"""``xaibench list``, ``check`` and ``check-model``: what there is to name in a plan, and whether a
method or a model of one's own keeps its contract."""

from typing import Annotated

import typer

from xaibench.plugins.registry import PLUGIN_KINDS
from xaibench.terminal import echo

from .options import AsJson, Plugins, echo_json, fail


def list_(
    kind: Annotated[
        str | None, typer.Argument(help=f"One kind only: {', '.join(PLUGIN_KINDS)} or presets.")
    ] = None,
    plugins: Plugins = None,
    as_json: AsJson = False,
) -> None:
    """What is available, one line each."""
    from xaibench.plan.listing import LISTED, described_plugins
    from xaibench.terminal import aligned_rows

    kinds = [kind] if kind else LISTED
    described = {each: described_plugins(each, tuple(plugins or ())) for each in kinds}
    if as_json:
        echo_json(described)
        return
    listed = {each: aligned_rows([*rows.items()], "<<") for each, rows in described.items()}
    if kind:
        echo("\n".join(listed[kind]))
        return
    indented = ([each, *(f"  {line}" for line in lines)] for each, lines in listed.items())
    echo("\n\n".join("\n".join(lines) for lines in indented))


def check(
    name: Annotated[str, typer.Argument(help="An attribution method, or captum.attr:CLASS.")],
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="key=value, an option of the method. Repeatable."),
    ] = None,
    plugins: Plugins = None,
    as_json: AsJson = False,
) -> None:
    """The contract of a method, on small models with known answers; exit code 1 if it is broken."""
    from xaibench.testing.contract import check_by_name, describe_checks

    checks = check_by_name(name, changes=changes or (), plugins=tuple(plugins or ()))
    if as_json:
        echo_json([each._asdict() for each in checks])
    else:
        echo("\n".join(describe_checks(checks)))
    fail([check.name for check in checks if check.held is False])


def check_model(
    name: Annotated[str, typer.Argument(help="A model: a function or class of --plugin, or ours.")],
    weights: Annotated[
        list[str] | None,
        typer.Option(help="safetensors, or .pt as torch.save writes it [fresh]. Repeatable."),
    ] = None,
    sequences: Annotated[
        str | None, typer.Option(help="A file, a dataset or a plan [random DNA].")
    ] = None,
    length: Annotated[int, typer.Option(min=1, help="Of random DNA.")] = 200,
    classes: Annotated[
        int | None,
        typer.Option(min=1, help="How many; 1 for a number (regression) [those of the labels]"),
    ] = None,
    methods: Annotated[
        list[str] | None, typer.Option("--method", help="A method to try [all]. Repeatable.")
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="key=value, an option of the model: layout=NL4, explain.output=3. Repeatable.",
        ),
    ] = None,
    plugins: Plugins = None,
    device: Annotated[str, typer.Option(help="Where the model computes, such as cuda.")] = "cpu",
) -> None:
    """What a model does to a few sequences, and which methods apply; exit code 1 on a problem."""
    from xaibench.testing.own_model import check_models_by_name

    problems = []
    checks = check_models_by_name(
        name,
        weights=weights or (),
        sequences=sequences,
        length=length,
        classes=classes,
        changes=changes or (),
        plugins=tuple(plugins or ()),
        methods=methods,
        device=device,
    )
    for heading, checked in checks:
        echo(heading)
        echo(checked)
        problems += [f"{heading}: {finding.name}" for finding in checked.problems]
    fail(problems)
