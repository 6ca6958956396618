"""A small plan with two models, through everything."""

from xaibench.artefacts.job import Job
from xaibench.plan.schema import read_plan
from xaibench.runs.pipeline import begin, run

PLAN = """
dataset: {name: planted, train: 160, test: 50, length: 60}
seeds: [0, 3]
training: {epochs: 2, batch_size: 32}
models:
  cnn: {filters: [6], kernels: [19]}
  attngen: {filters: [6], kernels: [19], masking: {warm_up: 0, ramp: 1}}
attribution: [attention, saliency, deeplift, random]
sequences: 11
metrics:
  deletion: {}
  insertion: {}
  auprc: {}
  relevance_mass: {}
  seed_agreement: {}
  substitution_sensitivity: {sequences: 5, draws: 3, of: 3}
  reverse_complement_consistency: {}
operators: [n, uniform]
random_draws: 4
controlled: 7
controls: [rotated]
"""

LEAN = """
dataset: {name: planted, train: 160, test: 50, length: 60}
seeds: [0, 3]
training: {epochs: 2, batch_size: 32}
models:
  cnn: {filters: [6], kernels: [19]}
  attngen: {filters: [6], kernels: [19], masking: {warm_up: 0, ramp: 1}}
attribution: [saliency, random]
sequences: 5
metrics:
  deletion: {}
  auprc: {}
operators: [n]
fractions: [0, 0.5, 1]
random_draws: 2
controlled: 3
controls: []
reports: [markdown]
"""
"""The same models with few questions, for tests that end a run again and again: most of their time
is that of its tables and reports."""

BRIEF = LEAN.replace("[markdown]", "[brief]")
"""With the report of ``BRIEF_REPORT``: the page of Markdown takes half of the time of a run that
goes on, and says the same in most tests."""

BRIEF_REPORT = """
def brief(results):
    return {"report.txt": f"{len(results.records)} records"}
"""


def work_of(folder, *, text=PLAN, changes=(), plugins=()):
    path = folder.parent / f"{folder.name}.yaml"
    path.write_text(text)
    plan = read_plan(str(path), changes=changes, plugins=plugins)
    return begin(Job(plan, str(path), plugins, folder))


def finished(folder, *, jobs=0, **options):
    work = work_of(folder, **options)
    return work, run(work, jobs=jobs, threads=1, command="xaibench run tiny.yaml")
