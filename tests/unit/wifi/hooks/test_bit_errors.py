"""The estimate of bit errors: right where the truth is known, and silent where there is none."""

import random

import pytest

from meshlens.wifi.hooks.bit_errors import bit_error_ratio


def test_bits_that_go_wrong_independently_are_found_again() -> None:
    chance, generator = random.Random(1), 2e-4
    frames, size = 4000, 100
    lost = sum(any(chance.random() < generator for _ in range(8 * size)) for _ in range(frames))
    estimate = bit_error_ratio(lost, frames, size)
    assert estimate == pytest.approx(generator, rel=0.1)


def test_it_is_the_inverse_of_the_formula_it_states() -> None:
    estimate = bit_error_ratio(1, 10, 125)
    assert estimate is not None
    assert (1 - estimate) ** 1000 == pytest.approx(0.9)


def test_no_loss_is_no_error_and_longer_frames_mean_rarer_ones() -> None:
    assert bit_error_ratio(0, 10, 100) == 0
    short, long = bit_error_ratio(1, 10, 100), bit_error_ratio(1, 10, 1000)
    assert short is not None
    assert long is not None
    assert short > long


@pytest.mark.parametrize(("lost", "frames", "size"), [(0, 0, 100), (10, 10, 100), (1, 10, 0), (-1, 10, 100)])
def test_what_bounds_nothing_is_none(lost: int, frames: int, size: float) -> None:
    assert bit_error_ratio(lost, frames, size) is None
