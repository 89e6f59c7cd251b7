"""Loss curves on fixed data are golden: what moves them without meaning to is a mistake."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.core.losscurves import CASES, FILE, ITERATIONS, curves

FIRST = 1e-4  # relative: the first iteration's, before any step, which a processor's way to sum hardly moves
LATER = 2e-3
"""Relative: adaptive optimisers take signs for steps, and another processor (tried: without AVX) has others where
there is hardly a gradient.
"""


@pytest.mark.parametrize("case", CASES)
def test_losses_are_those_on_record(case):
    golden, found = json.loads(FILE.read_text("utf-8"))[case], curves(case)
    assert found.keys() == golden.keys()
    for name, values in found.items():
        assert len(values) == ITERATIONS
        np.testing.assert_allclose(values[0], golden[name][0], rtol=FIRST, atol=1e-6, err_msg=name)
        np.testing.assert_allclose(values, golden[name], rtol=LATER, atol=1e-6, err_msg=name)


def test_the_record_is_of_the_cases_that_there_are():
    assert json.loads(FILE.read_text("utf-8")).keys() == CASES.keys()
