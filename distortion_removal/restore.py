"""Restores recordings: `python -m distortion_removal.restore IN [-o OUT]`.

What a recording calls for is chosen, see `inference.automatic`: a declipper,
see `inference.declip`, or the inverse of an effect, see `inference.inversion`.
`--method` names one; with `--model` a trained network does it, see
`inference.restoration`. Several recordings are restored one after the other,
see `inference.batch`.
"""

import functools
import inspect
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from distortion_removal import declipping, make_callable
from distortion_removal.audio import files
from distortion_removal.common import devices, log
from distortion_removal.common.errors import (
  UserError,
  look_up,
  mendable,
  one_line_errors,
)
from distortion_removal.common.files import as_text, one_line
from distortion_removal.inference import (
  automatic,
  batch,
  blind,
  full_band,
  inversion,
  receipt,
)
from distortion_removal.inference.automatic import (
  DECLIPPER,
  INVERSION,
  PRESETS,
)
from distortion_removal.inference.batch import Job
from distortion_removal.inference.declip import declip_file
from distortion_removal.inference.finish import Finish
from distortion_removal.inference.method_options import AUTO, flag
from distortion_removal.inference.options import Run, parse

# The other commands have it in their module, too.
from distortion_removal.inference.options import parser as parser
from distortion_removal.inference.restoration import restore_file
from distortion_removal.training import shipped

# Work is compiled for the length of a short recording, which may be that of no
# other: a megabyte each.
_JOBS_OF_A_CACHE = 50


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command line, see `--help`."""
  log.setup()
  with one_line_errors(), files.spooling():
    run, finish, given = parse(argv)
    check_options(given)
    jobs = batch.plan(
      run.input, run.output, run.suffix, skip_existing=run.skip_existing
    )
    batch.check(jobs, run.receipt)
    skipped = set()
    if not run.overwrite:
      skipped = batch.existing(jobs, run.receipt, may_skip=run.skip_existing)
    if run.dry_run:
      for job in jobs:
        verb = "would skip" if job in skipped else "would restore"
        log.say(one_line(f"{verb}: {job.source} -> {job.target}"))
      return
    devices.use(run.device)
    devices.keep_compiled()
    work = functools.partial(_do, run=run, finish=finish, given=given)
    if not _restore_all(jobs, skipped, work):
      sys.exit(1)


def _restore_all(
  jobs: Sequence[Job], skipped: Collection[Job], work: Callable[[Job], None]
) -> bool:
  """Does the jobs; of several, one that fails does not stop the others.

  Returns:
    Whether none has failed.
  """
  counts = Counter(restored=0, skipped=0, failed=0)
  for number, job in enumerate(jobs, 1):
    if job in skipped:
      counts["skipped"] += 1
      log.say(f"skipped: {one_line(job.target)} exists")
      continue
    if len(jobs) == 1:
      work(job)
      continue
    log.say(f"[{number}/{len(jobs)}] {one_line(job.source)}")
    if number % _JOBS_OF_A_CACHE == 0:
      jax.clear_caches()
    try:
      work(job)
      counts["restored"] += 1
    except Exception as error:
      counts["failed"] += 1
      message = mendable(error)
      if message is None:
        traceback.print_exc()
        message = f"{job.source}: a defect of ours: {error!r}"
      log.note(f"error: {message}")
  if len(jobs) > 1:
    log.say(", ".join(f"{count} {fate}" for fate, count in counts.items()))
  return not counts["failed"]


def _do(job: Job, run: Run, finish: Finish, given: dict[str, Any]) -> None:
  """Restores one recording."""
  start = time.monotonic()
  with job.folder(), files.piped_output(job.target) as place:
    account = restore_recording(job.source, place, given, finish)
    if run.receipt:
      seconds = time.monotonic() - start
      receipt.write(job, given | finish._asdict(), account, seconds)
    elif not batch.is_pipe(job.target):
      receipt.discard(job)
    log.say(f"restored: {one_line(job.target)}")


def check_options(given: dict[str, Any]) -> None:
  """Refuses options that do not go together, or name what is not there."""
  model, method = given.get("model"), given.get("method")
  if model is not None:
    if method:
      raise UserError(
        "give either --model=NAME, to restore with a network, or "
        "--method=NAME, without one"
      )
    others = given.keys() - {"model", "band", "subtype", "dither"}
    if others:
      raise UserError(
        f"{flag(min(others))} is for --method; a network has no such option"
      )
    bands = dict.fromkeys(full_band.BANDS)
    look_up(bands, "band", given.get("band", full_band.FULL))
    shipped.find(model)
    return
  if "band" in given:
    raise UserError(
      f"{flag('band')} is for --model; methods without a network keep the band"
    )
  if "preset" in given and method not in (None, AUTO):
    raise UserError(
      f"--preset is for --method={AUTO}; leave it or --method={method} out"
    )
  look_up(dict.fromkeys(PRESETS), "preset", given.get("preset", DECLIPPER))
  method = _method(given)
  names = given.keys() - {"method", "preset", "subtype", "dither"}
  if method == INVERSION:
    blind.Choice.parse(given.get("effect", blind.AUTO))
    _refuse(names, method, ("effect",))
  else:
    parameters = inspect.signature(declipping.declipper(method)).parameters
    _refuse(names, method, {"knee", *parameters})


def _method(given: Mapping[str, Any]) -> str:
  """Returns the method by the options: what is wrong, they tell, too."""
  method = given.get("method", AUTO)
  if method != AUTO:
    return method
  return INVERSION if "effect" in given else given.get("preset", DECLIPPER)


def restore_recording(
  source: Path,
  target: Path,
  arguments: dict[str, Any],
  finish: Finish,
  say: Callable[[str], None] = log.say,
  found: Sequence[blind.Found | None] | None = None,
) -> dict[str, Any]:
  """Restores a recording as the command line's options say.

  Args:
    source: the recording.
    target: where it goes.
    arguments: options on the method and the sample format.
    finish: what of the restoration is taken.
    say: gets the lines on what is done.
    found: see `automatic.choose`.

  Returns:
    For a receipt: the method, the reason for it, and what came of it.
  """
  given = dict(arguments)
  method = _method(given)
  is_open = given.pop("method", AUTO) == AUTO
  model, subtype = (given.pop(name, None) for name in ("model", "subtype"))
  output = {
    "subtype": subtype,
    "dither": given.pop("dither", False),
    "finish": finish,
  }
  if model is not None:
    model_file = shipped.find(model)
    outcome = restore_file(source, target, model_file, **output, **given)
    if outcome.line:
      say(one_line(outcome.line))
    return {"method": as_text(model)} | outcome._asdict()
  declipper = given.pop("preset", None)
  plan = automatic.Plan(method, "")
  if is_open and not given:
    plan = automatic.choose(source, declipper, found)
    method = plan.method
    say(one_line(f"{plan.reason}: restored by {method}"))
  if method == INVERSION:
    choice = blind.Choice.parse(given.pop("effect", blind.AUTO))
    outcome = inversion.invert_file(
      source, target, choice, found=plan.found, **output
    )
  elif method == automatic.HYBRID:
    model_file = shipped.find(method)
    outcome = restore_file(
      source, target, model_file, clipping=plan.clipping, **output
    )
  else:
    outcome = declip_file(
      source, target, method, clipping=plan.clipping, **output, **given
    )
  say(one_line(outcome.line))
  return {"method": method, "reason": plan.reason} | outcome._asdict()


def _refuse(given: Iterable[str], method: str, known: Collection[str]) -> None:
  """Refuses the first option that a method does not have."""
  for option in given:
    if option not in known:
      raise UserError(f"{method} has no option {flag(option)}; leave it out")


make_callable(__name__)

if __name__ == "__main__":
  main()
