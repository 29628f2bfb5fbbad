"""Models of scikit-learn."""

import warnings
from typing import Any

__all__ = ["quietly_fitted"]


def quietly_fitted(model: Any, *data: Any) -> Any:
    """A model of scikit-learn fitted to data, without a warning where it has not converged."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(*data)
