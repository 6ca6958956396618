import numpy as np
import pytest

from xaibench.analysis.convergence import Convergence, accuracy_spread, area, convergence, reached


def history(*accuracies, steps=7):
    return [
        {"epoch": epoch, "steps": steps * epoch, "validation_accuracy": accuracy}
        for epoch, accuracy in enumerate(accuracies, 1)
    ]


RISING = history(0.5, 0.94, 0.95, 0.96, 0.955, 0.965)


def test_an_accuracy_is_reached_by_the_first_epoch_that_has_it():
    assert reached(RISING, 0.95) == 3
    assert reached(RISING, 0.95, count="steps") == 21
    assert reached(RISING, 0.5) == 1


def test_what_is_never_reached_is_undefined_and_so_are_steps_nobody_counted():
    assert np.isnan(reached(RISING, 0.97))
    assert np.isnan(reached(RISING, 0.97, count="steps"))
    assert np.isnan(reached([{"epoch": 1, "validation_accuracy": 0.9}], 0.8, count="steps"))


def test_an_accuracy_that_is_lost_again_was_reached():
    assert reached(history(0.6, 0.96, 0.7), 0.95) == 2


def test_the_final_accuracy_is_that_after_the_last_epoch_not_the_best():
    falling = history(0.5, 0.796, 0.99, 0.8)
    assert convergence(falling).epochs_to_99_of_final == 2
    assert convergence(falling).steps_to_99_of_final == 14


def test_the_area_of_a_straight_line_is_its_middle_and_of_a_constant_the_constant():
    assert area(history(0.5, 0.6, 0.7, 0.8)) == pytest.approx(0.65)
    assert area(history(0.9, 0.9)) == pytest.approx(0.9)
    assert area(history(0.5, 0.9, 0.7)) == pytest.approx((0.5 / 2 + 0.9 + 0.7 / 2) / 2)


def test_the_earlier_of_two_trainings_that_end_alike_has_the_larger_area():
    assert area(history(0.5, 0.9, 0.9)) > area(history(0.5, 0.6, 0.9))


def test_the_spread_is_the_deviation_of_the_last_epochs_alone():
    last = [0.94, 0.95, 0.96, 0.955, 0.965]
    mean = sum(last) / 5
    by_hand = (sum((accuracy - mean) ** 2 for accuracy in last) / 4) ** 0.5
    assert accuracy_spread(history(0.1, 0.3, 0.5, 0.7, 0.9, *last)) == pytest.approx(by_hand)
    assert accuracy_spread(history(0.1, *last), last=5) == pytest.approx(by_hand)
    assert accuracy_spread(history(0.2, 0.7, 0.9), last=2) == pytest.approx(
        np.std([0.7, 0.9], ddof=1)
    )


def test_few_epochs_have_no_area_and_no_spread():
    assert np.isnan(area(history(0.9)))
    assert np.isnan(accuracy_spread(history(0.6, 0.7, 0.9)))
    assert np.isnan(accuracy_spread(history(0.9), last=1))


def test_all_of_it_in_one_and_all_undefined_where_nothing_was_trained():
    whole = convergence(RISING)
    assert whole == Convergence(3, 21, 4, 28, area(RISING), accuracy_spread(RISING))
    assert np.isnan(convergence([])).all()


def test_the_end_of_a_short_training_is_its_last_half():
    rising = history(0.1, 0.5, 0.8, 0.9, 0.95, 0.97)
    assert accuracy_spread(rising) == pytest.approx(np.std([0.9, 0.95, 0.97], ddof=1))
