"""What a run took is the sum over its calls; what a method took is its own."""

import json
import time

import numpy as np
import pytest
import toy

from xaibench.explanation.method_call import explain
from xaibench.progress import Lines
from xaibench.runs.elapsed import SPENT, Counting, counted, seconds_of


@pytest.fixture
def folder(tmp_path):
    (tmp_path / SPENT).parent.mkdir()
    return tmp_path


def kept(folder, seconds):
    (folder / SPENT).write_text(json.dumps({"seconds": seconds}))


def test_the_time_of_a_call_is_added_to_that_of_earlier_ones(folder):
    kept(folder, 20.0)
    with counted(folder) as keep:
        time.sleep(0.2)
        told = keep()
    assert 20.2 <= told <= seconds_of(folder) < 30


def test_the_time_of_a_call_that_is_interrupted_counts(folder):
    def interrupted():
        with counted(folder):
            time.sleep(0.2)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert seconds_of(folder) >= 0.2


def test_after_every_task_the_time_so_far_is_kept(folder, capsys):
    kept(folder, 20.0)
    with counted(folder) as keep:
        progress = Counting(Lines(2), keep)
        time.sleep(0.2)
        progress.done("cnn, seed 3, saliency", 0.2)
        assert seconds_of(folder) >= 20.2
    assert capsys.readouterr().err == "[1/2] cnn, seed 3, saliency: 0.2 s\n"


def test_what_an_older_version_kept_is_where_the_sum_begins(folder):
    (folder / "environment.json").write_text(json.dumps({"seconds": 30.0}))
    assert seconds_of(folder) == 30
    kept(folder, 40.0)
    assert seconds_of(folder) == 40


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"seconds": "many"}', '{"seconds": null}'])
def test_what_cannot_be_read_is_not_known(folder, content):
    (folder / SPENT).write_text(content)
    assert seconds_of(folder) is None


def test_a_method_that_waits_costs_no_time_of_the_processor():
    def waiting(model, inputs, target):
        time.sleep(0.5)
        return inputs[:, 0]

    codes, options = toy.sequences(3), {"options": {}, "seed": 0, "component": "waiting"}
    explained = explain(waiting, toy.both(), codes, np.zeros(3, dtype=int), **options)
    assert 0 < explained.seconds < 0.5
