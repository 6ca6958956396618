"""What ``environment.json`` and ``examples.json`` of a run folder hold, and whether they do."""

from typing import Annotated, Any

from pydantic import BaseModel, Field, InstanceOf, TypeAdapter, ValidationError

from xaibench.errors import UsageError, message_of, shortened

Text = InstanceOf[str]
"""Also one that is no UTF-8, as a name on a disk."""


class _Dataset(BaseModel):
    name: Text | None = None
    note: Text | None = None
    facts: dict[Text, Any] | None = None
    sizes: dict[Text, int] | None = None
    length: int | None = None
    class_names: list[Text] | None = None
    test_counts: list[int] | None = None
    groups: bool | None = None
    inside_motif: float | None = None


class _Baseline(BaseModel):
    name: Text | None = None
    accuracy: float | None = None
    auroc: float | None = None
    auprc: float | None = None
    mcc: float | None = None


class _Facts(BaseModel):
    family: Text
    better: Text
    definition: Text | None = None


class _Unfinished(BaseModel):
    done: int
    tasks: int


class Environment(BaseModel):
    """How a run was made, and on what; versions before this one have fewer keys. What a reader may
    do without is null where it is not known."""

    command: Text | None = None
    plugins: list[Text] | None = None
    date: Text | None = None
    jobs: int | None = None
    threads: int | None = None
    device: Text | None = None
    seconds: float | None = None
    tables: list[Text] | None = None
    versions: dict[Text, Text] | None = None
    processor: Text | None = None
    cores: int | None = None
    trained_with: dict[Text, int] | None = None
    data: Text | None = None
    dataset: _Dataset | None = None
    floor: list[_Baseline] | None = None
    parameters: dict[Text, int] | None = None
    replicates: dict[Text, list[Text]] | None = None
    signed: dict[Text, bool | None] | None = None
    metrics: dict[Text, _Facts] | None = None
    operators: dict[Text, Text] | None = None
    chance: dict[Text, float | None] | None = None
    explained: Text | None = None
    single_output: list[Text] | None = None
    cautions: list[Text] | None = None
    clusters: dict[Text, int] | None = None
    unfinished: _Unfinished | None = None


class _Predicted(BaseModel):
    predicted: Text | None = None
    probability: float | None = None
    output: float | None = None


class _Bands(BaseModel):
    mean: list[float | None] | None = None
    low: list[float | None] | None = None
    high: list[float | None] | None = None


class _Curves(BaseModel):
    operator: Text | None = None
    fractions: list[float] | None = None
    methods: dict[Text, list[float | None]] | None = None
    random: _Bands | None = None


class Example(BaseModel):
    """One sequence with its maps and curves."""

    name: Text
    chosen: Text | None = None
    letters: Text
    label: Text | None = None
    models: dict[Text, _Predicted] | None = None
    motif: list[Annotated[list[int], Field(min_length=2, max_length=2)]] | None = None
    evidence: list[Annotated[list[int | Text], Field(min_length=3, max_length=3)]] | None = None
    scores: dict[Text, dict[Text, list[float | None]]] | None = None
    curves: dict[Text, _Curves | None] | None = None
    signed: dict[Text, bool] | None = None


_SCHEMAS: dict[str, TypeAdapter[Any]] = {
    "environment.json": TypeAdapter(Environment),
    "examples.json": TypeAdapter(list[Example]),
}


def check_types(name: str, content: Any) -> None:
    """UsageError with the first key of a file that holds what no run writes there, in one line."""
    try:
        _SCHEMAS[name].validate_python(content, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        key, wrong = ".".join(map(str, first["loc"])), message_of(ValueError(first["msg"]))
        got = shortened(repr(first["input"]))
        raise UsageError(f"{key}: {wrong[:1].lower()}{wrong[1:]}, got {got}") from None
