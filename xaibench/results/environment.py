"""What ``environment.json`` and ``examples.json`` of a run folder hold, and whether they do."""

from typing import Annotated, Any

from pydantic import BaseModel, Field, InstanceOf, TypeAdapter, ValidationError

from xaibench.errors import UsageError, message_of, shortened

_Text = InstanceOf[str]
"""Also one that is no UTF-8, as a name on a disk."""


class _Dataset(BaseModel):
    name: _Text | None = None
    note: _Text | None = None
    facts: dict[_Text, Any] | None = None
    sizes: dict[_Text, int] | None = None
    length: int | None = None
    class_names: list[_Text] | None = None
    test_counts: list[int] | None = None
    groups: bool | None = None
    inside_motif: float | None = None


class _Baseline(BaseModel):
    name: _Text | None = None
    accuracy: float | None = None
    auroc: float | None = None
    auprc: float | None = None
    mcc: float | None = None


class _Facts(BaseModel):
    family: _Text
    better: _Text
    range: Annotated[list[float | None], Field(min_length=2, max_length=2)] | None = None
    signs_apart: bool | None = None
    definition: _Text | None = None


class _Unfinished(BaseModel):
    done: int
    tasks: int


class _Environment(BaseModel):
    """How a run was made, and on what; versions before this one have fewer keys. What a reader may
    do without is null where it is not known."""

    command: _Text | None = None
    plugins: list[_Text] | None = None
    date: _Text | None = None
    engine: _Text | None = None
    jobs: int | None = None
    threads: int | None = None
    device: _Text | None = None
    seconds: float | None = None
    tables: list[_Text] | None = None
    versions: dict[_Text, _Text] | None = None
    processor: _Text | None = None
    cores: int | None = None
    trained_with: dict[_Text, int] | None = None
    data: _Text | None = None
    dataset: _Dataset | None = None
    floor: list[_Baseline] | None = None
    parameters: dict[_Text, int] | None = None
    replicates: dict[_Text, list[_Text]] | None = None
    signed: dict[_Text, bool | None] | None = None
    metrics: dict[_Text, _Facts] | None = None
    operators: dict[_Text, _Text] | None = None
    chance: dict[_Text, float | None] | None = None
    explained: _Text | None = None
    single_output: list[_Text] | None = None
    cautions: list[_Text] | None = None
    clusters: dict[_Text, int] | None = None
    unfinished: _Unfinished | None = None


class _Predicted(BaseModel):
    predicted: _Text | None = None
    probability: float | None = None
    output: float | None = None


class _Bands(BaseModel):
    mean: list[float | None] | None = None
    low: list[float | None] | None = None
    high: list[float | None] | None = None


class _Curves(BaseModel):
    operator: _Text | None = None
    fractions: list[float] | None = None
    methods: dict[_Text, list[float | None]] | None = None
    random: _Bands | None = None


class _Example(BaseModel):
    """One sequence with its maps and curves."""

    name: _Text
    chosen: _Text | None = None
    letters: _Text
    label: _Text | None = None
    models: dict[_Text, _Predicted] | None = None
    motif: list[Annotated[list[int], Field(min_length=2, max_length=2)]] | None = None
    evidence: list[Annotated[list[int | _Text], Field(min_length=3, max_length=3)]] | None = None
    scores: dict[_Text, dict[_Text, list[float | None]]] | None = None
    curves: dict[_Text, _Curves | None] | None = None
    signed: dict[_Text, bool] | None = None


_SCHEMAS: dict[str, TypeAdapter[Any]] = {
    "environment.json": TypeAdapter(_Environment),
    "examples.json": TypeAdapter(list[_Example]),
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
