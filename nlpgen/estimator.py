"""What the classes with `fit` and `predict` share: scikit-learn's way of storing arguments."""

import inspect

from nlpgen.errors import InputError


class Estimator:
    """Base of the estimators. A constructor stores each argument under its own name and does nothing else."""

    def get_params(self, deep=True):
        """The constructor's arguments, `{name: value}`.

        Args:
            deep: accepted for scikit-learn; parts of the arguments are not listed.
        """
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def set_params(self, **params):
        """Set arguments of the constructor, and return the estimator.

        Raises:
            InputError: if there is no such argument.
        """
        known = inspect.signature(type(self)).parameters
        unknown = sorted(params.keys() - known.keys())
        if unknown:
            raise InputError(
                f"{type(self).__name__} has no argument {', '.join(unknown)}. It has: {', '.join(known)}."
            )
        for name, value in params.items():
            setattr(self, name, value)
        return self

    def __repr__(self):
        return f"{type(self).__name__}({', '.join(f'{name}={value!r:.40}' for name, value in self.get_params().items())})"
