"""scikit-learn's own checks of estimators: which of them apply to a classifier of photos, and why the others do not."""

from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.estimator_checks import check_estimator

from roadclear import RoadClassifier

pytestmark = pytest.mark.slow

NOT_NUMBERS = "A photo is no row of numbers: it has no features to count, no NaN and no sparse form."
OWN_ERRORS = "roadclear raises its own errors, with a sentence for users, where scikit-learn expects a ValueError."

NOT_APPLICABLE = {
    "check_n_features_in": NOT_NUMBERS,
    "check_n_features_in_after_fitting": NOT_NUMBERS,
    "check_classifiers_train": f"{NOT_NUMBERS} The check wants an error where fit and predict have unequal features.",
    "check_estimators_nan_inf": NOT_NUMBERS,
    "check_estimator_sparse_tag": NOT_NUMBERS,
    "check_estimator_sparse_array": NOT_NUMBERS,
    "check_estimator_sparse_matrix": NOT_NUMBERS,
    "check_complex_data": f"{NOT_NUMBERS} The check has complex labels too, of which none is the positive one.",
    "check_estimators_empty_data_messages": NOT_NUMBERS,
    "check_fit1d": NOT_NUMBERS,
    "check_fit2d_1sample": f"{OWN_ERRORS} One photo is not enough to train.",
    "check_fit2d_predict1d": NOT_NUMBERS,
    "check_classifiers_one_label": "A classifier of one class has nothing to find, so one class is refused.",
    "check_classifiers_regression_target": OWN_ERRORS,
    "check_classifier_not_supporting_multiclass": OWN_ERRORS,
    "check_supervised_y_no_nan": f"{OWN_ERRORS} The labels of the check are of one class.",
    "check_supervised_y_2d": "Labels in a column are refused; scikit-learn's own classifiers flatten them and warn.",
}


class OnRows(RoadClassifier):
    """The classifier on the checks' matrices of numbers: every row is drawn as pictures, whose colour tells the row."""

    PHOTOS = 40

    def fit(self, X: Any, y: Any) -> "OnRows":  # type: ignore[override]
        rows = np.asarray(X)
        if y is None:
            return super().fit(drawn(rows), y)  # type: ignore[return-value]
        # The checks have as few as three rows of a class, and a training needs ten photos.
        pictures = -(-self.PHOTOS // max(1, len(rows)))
        photos = [photo for variant in range(pictures) for photo in drawn(rows, variant)]
        groups = np.tile(np.arange(len(rows)), pictures)
        return super().fit(photos, np.concatenate([np.asarray(y)] * pictures), groups.tolist())  # type: ignore[return-value]

    def predict(self, X: Any) -> NDArray[Any]:
        return super().predict(drawn(X))

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        return super().predict_proba(drawn(X))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.input_tags.one_d_array = tags.input_tags.string = False
        return tags


def drawn(rows: ArrayLike, variant: int = 0) -> list[NDArray[np.uint8]]:
    return [_picture(row, variant) for row in np.asarray(rows, dtype=np.float32)]


def _picture(row: NDArray[np.float32], variant: int) -> NDArray[np.uint8]:
    random = np.random.default_rng([variant, *row.tobytes()])
    noise = random.integers(0, 256, (4, 4, 3)).repeat(8, axis=0).repeat(8, axis=1)
    colour = np.clip(128 + 40 * np.resize(row, 3), 0, 255)
    return (0.35 * noise + 0.65 * colour).astype(np.uint8)


PROMISES = {
    "check_dict_unchanged",
    "check_dont_overwrite_parameters",
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_estimators_overwrite_params",
    "check_estimators_pickle",
    "check_estimators_unfitted",
    "check_fit_check_is_fitted",
    "check_fit_idempotent",
    "check_fit_score_takes_y",
    "check_get_params_invariance",
    "check_methods_sample_order_invariance",
    "check_methods_subset_invariance",
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_pipeline_consistency",
    "check_readonly_memmap_input",
    "check_requires_y_none",
    "check_set_params",
}
"""Checks that users rely on, which must be among those that pass."""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_every_check_that_applies_passes_and_every_other_one_fails() -> None:
    """One test, because all outcomes come from one run of the checks, which trains many small models."""
    classifier = OnRows(size=32, views=0, epochs=1, head="linear")
    results = check_estimator(classifier, expected_failed_checks=NOT_APPLICABLE, on_fail=None, on_skip=None)
    names: defaultdict[str, set[str]] = defaultdict(set)
    for result in results:
        names[result["status"]].add(result["check_name"])
    assert names["failed"] == set()
    assert names["xfail"] == NOT_APPLICABLE.keys()
    assert names["passed"] >= PROMISES
    # They need a variable of the environment, and pandas.
    assert names["skipped"] <= {"check_array_api_input", "check_classifier_data_not_an_array"}
