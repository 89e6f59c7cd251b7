"""Loss curves on fixed data are golden: what moves them without meaning to is a mistake."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.core.losscurves import CASES, FILE, ITERATIONS, curves

TOLERANCE = (
    2e-3  # relative: processors and versions of torch sum in other orders, and Adam takes signs for steps
)


@pytest.mark.parametrize("case", CASES)
def test_losses_are_those_on_record(case):
    golden, found = json.loads(FILE.read_text("utf-8"))[case], curves(case)
    assert found.keys() == golden.keys()
    for name, values in found.items():
        assert len(values) == ITERATIONS
        np.testing.assert_allclose(values, golden[name], rtol=TOLERANCE, atol=1e-6, err_msg=name)


def test_the_record_is_of_the_cases_that_there_are():
    assert json.loads(FILE.read_text("utf-8")).keys() == CASES.keys()
