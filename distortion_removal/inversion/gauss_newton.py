"""A step of Gauss and Newton on the criterion, whose errors are absolute."""

import numpy as np

_ROUNDS = 20


def step(
  residuals: np.ndarray,
  log_slopes: np.ndarray,
  weights: np.ndarray,
  part: int,
  change: np.ndarray,
) -> np.ndarray:
  """Finds the change of settings that minimises J linearised in them.

  The residuals and logarithms of slopes are taken to be linear in the settings,
  the predictor to stay. What remains,

      sum of weight (mean of log(mean |e + E z|) + l z),

  falls with each solution of a weighted least-squares problem that touches it
  from above: |t| <= (t^2 / |t0| + |t0|) / 2, log m <= log m0 + m / m0 - 1.

  Args:
    residuals: `[blocks, 1 + settings, length]`, at the settings and where one
      of them is changed.
    log_slopes: `[blocks, 1 + settings]`, in the same order.
    weights: of the blocks.
    part: length of a sub-block.
    change: `[settings]` of each.

  Returns:
    z, `[settings]`.
  """
  count, _, length = residuals.shape
  error = residuals[:, 0]
  slopes = (residuals[:, 1:] - error[:, None]) / change[:, None]
  slopes = slopes.swapaxes(1, 2).reshape(-1, len(change))
  tilt = weights @ (log_slopes[:, 1:] - log_slopes[:, :1]) / change
  z = np.zeros(len(change))
  for _ in range(_ROUNDS):
    size = np.abs(error.ravel() + slopes @ z).reshape(count, -1, part)
    mean = size.mean(axis=2, keepdims=True) + 1e-12
    size = np.maximum(size, 1e-3 * mean)
    each = weights[:, None, None] / length / (size * mean)
    weighted = slopes * each.reshape(-1, 1)
    curvature = weighted.T @ slopes
    scale = np.sqrt(np.maximum(np.diag(curvature), 1e-30))
    curvature = curvature / scale / scale[:, None]
    curvature += 1e-9 * np.eye(len(z))
    gradient = (weighted.T @ error.ravel() + tilt) / scale
    z = -np.linalg.solve(curvature, gradient) / scale
  return z
