"""P-values of means and differences, from their standard errors."""

import math

__all__ = ["chance", "chance_of_difference", "chance_of_paired", "reach"]


def chance(value: float, error: float, freedom: float) -> float:
    """The p-value of a number whose mean is zero under the null hypothesis; two-sided, by Student's t.

    Args:
        value: the number.
        error: its standard error, above zero.
        freedom: degrees of freedom of the error, one less than the numbers it is from; without any, or with NaN, the
            p-value is 1.

    Example:
        >>> round(chance(2.0, 1.0, 9), 3), round(chance(2.0, 1.0, 1e9), 3)
        (0.077, 0.046)
    """
    from scipy.special import stdtr

    if math.isnan(value) or math.isnan(error) or not freedom > 0:
        return 1.0
    return min(1.0, 2 * float(stdtr(freedom, -abs(value) / error)))


def chance_of_paired(value: float, error: float, n: int) -> float:
    """The p-value of the mean of ``n`` differences.

    If all are equal, it is that of the sign test: the probability of ``n`` equal tosses of a coin.

    Example:
        >>> chance_of_paired(0.5, 0.0, 4), chance_of_paired(0.0, 0.0, 4)
        (0.125, 1.0)
    """
    if error == 0 and not math.isnan(value):
        return 1.0 if value == 0 else 2.0 ** (1 - n)
    return chance(value, error, n - 1)


def chance_of_difference(value: float, first: tuple[float, int], second: tuple[float, int]) -> float:
    """The p-value of the difference of two independent means, each with its standard error and its sample size.

    Degrees of freedom by Welch and Satterthwaite, ``(a² + b²)² / (a⁴/(n-1) + b⁴/(m-1))``. If neither sample varies, it
    is that of a permutation test: the probability that the ``n`` smallest of ``n + m`` numbers are one of the samples.

    Reference:
        The generalization of "Student's" problem when several different population variances are involved
        (Welch, 1947), doi:10.1093/biomet/34.1-2.28

    Example:
        >>> round(chance_of_difference(2.0, (1.0, 10), (1.0, 10)), 3)
        0.174
        >>> round(chance_of_difference(2.0, (0.0, 3), (0.0, 3)), 3)
        0.1
    """
    (a, n), (b, m) = first, second
    error = math.hypot(a, b)
    if error == 0 and not math.isnan(value):
        ways = math.lgamma(n + m + 1) - math.lgamma(n + 1) - math.lgamma(m + 1)
        return 1.0 if value == 0 else min(1.0, 2 * math.exp(-ways))
    # The error of a single number has no degrees of freedom, so that nothing is known unless it is zero.
    shares = [((s / error) ** 4, count - 1) for s, count in (first, second) if s > 0 or math.isnan(s)]
    known = all(freedom > 0 for _, freedom in shares)
    return chance(value, error, 1 / sum(share / freedom for share, freedom in shares) if known else 0)


def reach(sigmas: float, freedom: float) -> float:
    """The number of standard errors, with some degrees of freedom, as improbable as ``sigmas`` standard deviations.

    Example:
        >>> round(reach(2.0, 9), 2), round(reach(2.0, 1e9), 2)
        (2.32, 2.0)
    """
    from scipy.special import ndtr, stdtrit

    return -float(stdtrit(freedom, ndtr(-sigmas)))
