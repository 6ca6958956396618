"""Where methods, metrics and statistics come from: *Author Year* of works in ``citations.bib``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Publication:
    """An entry of ``citations.bib``, and its text there."""

    key: str
    fields: dict[str, str]
    entry: str

    @property
    def cited_as(self) -> str:
        """*Author Year*, with both of two authors and the first of more."""
        names = [author.partition(",")[0] for author in self.fields["author"].split(" and ")]
        if names[-1] == "others" or len(names) > 2:
            return f"{names[0]} et al. {self.fields['year']}"
        return f"{' and '.join(names)} {self.fields['year']}"

    @property
    def reference(self) -> str:
        """Title, where it appeared, and the year."""
        known = [self.fields.get(name) for name in ("journal", "booktitle", "publisher")]
        if "eprint" in self.fields:
            known.append(f"{self.fields['archiveprefix']} {self.fields['eprint']}")
        venue = ", ".join(filter(None, known))
        title = self.fields["title"]
        stop = "" if title.endswith("?") else "."
        return f"{title}{stop} {venue} ({self.fields['year']})."


@cache
def works() -> dict[str, Publication]:
    """*Author Year* -> the work, in the order of the file."""
    text = files("xaibench.reports").joinpath("content/citations.bib").read_text("utf-8")
    known = [_work(entry.strip() + "\n") for entry in text.split("\n\n")]
    return {work.cited_as: work for work in known}


def _work(entry: str) -> Publication:
    """An entry of our own file: a field per line, its value in braces, which protect capitals."""
    head, *lines = entry.splitlines()
    fields = (_FIELD.fullmatch(line) for line in lines[:-1])
    values = {field[1]: re.sub("[{}]", "", field[2]) for field in fields if field}
    return Publication(head.partition("{")[2].rstrip(","), values, entry)


_FIELD = re.compile(r"  (\w+) = \{(.*)\},")

METHODS: dict[str, tuple[str, ...]] = {
    "saliency": ("Simonyan et al. 2014",),
    "input_x_gradient": ("Shrikumar et al. 2016",),
    "smooth_grad": ("Smilkov et al. 2017",),
    "integrated_gradients": ("Sundararajan et al. 2017",),
    "expected_integrated_gradients": ("Sturmfels et al. 2020",),
    "gradient_shap": ("Lundberg and Lee 2017", "Erion et al. 2021"),
    "deeplift": ("Shrikumar et al. 2017", "Lundberg and Lee 2017"),
    "lrp": ("Bach et al. 2015", "Montavon et al. 2019"),
    "grad_cam": ("Selvaraju et al. 2017",),
    "in_silico_mutagenesis": ("Zhou and Troyanskaya 2015",),
    "occlusion": ("Zeiler and Fergus 2014",),
    "attention": ("Bahdanau et al. 2015",),
    "attention_x_gradient": ("Serrano and Smith 2019",),
    "attention_rollout": ("Abnar and Zuidema 2020",),
}
"""Plug-in of attribution -> where it comes from."""

BY_LRP_RULE = {"attnlrp": ("Achtibat et al. 2024",), "cp_lrp": ("Ali et al. 2022",)}
"""Rule of ``lrp`` -> where it comes from, where that is elsewhere."""

METRICS = {
    "deletion": ("Petsiuk et al. 2018",),
    "insertion": ("Petsiuk et al. 2018",),
    "area_between": ("Schulz et al. 2020",),
    "aopc": ("Samek et al. 2017",),
    "comprehensiveness": ("DeYoung et al. 2020",),
    "sufficiency": ("DeYoung et al. 2020",),
    "flip_rate": ("Serrano and Smith 2019",),
    "flip_fraction": ("Serrano and Smith 2019",),
    "road": ("Rong et al. 2022",),
    "roar": ("Hooker et al. 2019",),
    "infidelity": ("Yeh et al. 2019",),
    "sensitivity_n": ("Ancona et al. 2018",),
    "auprc": ("Davis and Goadrich 2006",),
    "auroc": ("Hanley and McNeil 1982",),
    "relevance_mass": ("Arras et al. 2022",),
    "relevance_rank": ("Arras et al. 2022",),
    "pointing_game": ("Zhang et al. 2018",),
    "substitution_sensitivity": ("Yeh et al. 2019",),
    "lipschitz": ("Alvarez-Melis and Jaakkola 2018",),
    "cascading_randomisation": ("Adebayo et al. 2018",),
    "independent_randomisation": ("Adebayo et al. 2018",),
    "random_label_similarity": ("Adebayo et al. 2018",),
    "gini": ("Hurley and Rickard 2009",),
    "entropy": ("Bhatt et al. 2020",),
}
"""Plug-in of a metric -> where it comes from."""

CORRECTED = {
    *("saliency", "input_x_gradient", "smooth_grad", "integrated_gradients"),
    *("expected_integrated_gradients", "gradient_shap", "attention_x_gradient"),
}
"""The methods that take the mean over the bases from a gradient."""

SHUFFLED = {"deeplift", "expected_integrated_gradients", "gradient_shap"}
"""The methods that compare a sequence with dinucleotide shuffles of itself."""


def cited(name: str, sources: Iterable[str]) -> str:
    """A name with its sources in brackets.

    >>> cited("LRP", ["Bach et al. 2015", "Montavon et al. 2019"])
    'LRP (Bach et al. 2015; Montavon et al. 2019)'
    """
    text = "; ".join(sources)
    return f"{name} ({text})" if text else name
