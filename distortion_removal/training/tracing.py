"""Profiles of chosen steps: what devices and host do when.

`workdir/trace` can be read by TensorBoard's profile plug-in (`xprof`), and its
`*.trace.json.gz` by ui.perfetto.dev.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import jax

from distortion_removal.common.errors import UserError
from distortion_removal.common.log import logger


def parse(text: str) -> range:
  """Reads steps as a user names them: "100:104", "100" or "".

  Raises:
    UserError: they are not that, or none.
  """
  if not text:
    return range(0)
  found = re.fullmatch(r"(\d+)(?::(\d+))?", text)
  first, last = (
    (int(x or found[1]) for x in found.groups()) if found else (0, 0)
  )
  if not 0 < first <= last:
    raise UserError(
      f"--trace_steps={text}: not steps; give the first and the last, 100:104"
    )
  return range(first, last + 1)


def traced(
  numbers: Iterable[int], chosen: range, folder: Path
) -> Iterator[int]:
  """Yields step numbers; profiles the `chosen` ones into `folder`."""
  is_tracing, found = False, False
  try:
    for number in numbers:
      if is_tracing and number not in chosen:
        is_tracing = False
        _stop(folder)
      elif not is_tracing and number in chosen:
        jax.profiler.start_trace(folder)
        is_tracing = found = True
      with jax.profiler.StepTraceAnnotation("step", step_num=number):
        yield number
  finally:
    if is_tracing:
      _stop(folder)
    elif chosen and not found:
      logger.warning("none of the steps of --trace_steps was taken")


def _stop(folder: Path) -> None:
  # Devices work after the host: the last step is still on its way.
  jax.block_until_ready(jax.live_arrays())
  jax.profiler.stop_trace()
  logger.info("%s: the profile of these steps", folder)
