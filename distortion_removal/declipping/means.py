"""The mean of a declipper's results at several frame lengths.

What the true samples may be is a convex set: a mean of results within it is
within it, and no worse than its members are on average. Long frames suit held
notes and short ones attacks, so that their errors differ and partly cancel.
"""

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

Declipper = Callable[..., tuple[np.ndarray, Any]]


def with_means(declip: Declipper) -> Declipper:
  """Returns the declipper with one option more, `frames`.

  If there are any, it declips once with each as `frame`, with a hop that is the
  same part of it, and returns the mean, and a list of its records.
  """

  @functools.wraps(declip)
  def mean(
    audio: np.ndarray,
    clip_level: Any = None,
    *,
    frames: Sequence[int] = (),
    **options: Any,
  ) -> tuple[np.ndarray, Any]:
    if not frames:
      return declip(audio, clip_level, **options)
    total, infos = None, []
    for frame, hop in frames_and_hops(defaults | options | {"frames": frames}):
      sizes = {"frame": frame, "hop": hop}
      restored, info = declip(audio, clip_level, **options | sizes)
      infos.append(info)
      if total is None:
        total = np.array(restored)
      else:
        # Where all are the same, so is their mean, to the bit.
        total += (restored - total) / len(infos)
    return total, infos

  signature = inspect.signature(declip)
  defaults = {
    name: signature.parameters[name].default for name in ("frame", "hop")
  }
  own = inspect.signature(mean, follow_wrapped=False).parameters
  parameters = [*signature.parameters.values(), own["frames"]]
  mean.__signature__ = signature.replace(parameters=parameters)
  return mean


def frames_and_hops(options: Mapping[str, Any]) -> list[tuple[int, int]]:
  """Returns the frame and hop of each of `frames`, or those of `frame`."""
  frame, hop = options["frame"], options["hop"]
  found = options.get("frames") or (frame,)
  return [(length, round(length * hop / frame)) for length in found]
