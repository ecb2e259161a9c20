"""The recording on the page, and the one thread that works on it."""

import concurrent.futures
import traceback
from collections.abc import Callable
from typing import Any

from distortion_removal.common import log
from distortion_removal.common.errors import mendable
from distortion_removal.common.files import one_line
from distortion_removal.local_page.options import Options
from distortion_removal.local_page.recording import Recording, Restore, Tell


class _CancelledError(Exception):
  """Ends work that no one waits for any more."""


class _Task:
  """Some work on a recording, seen from other threads.

  Attributes:
    text: what is done now.
    share: of that, what is done; 0 where it is not known.
    is_cancelled: nobody waits for it; it ends where it tells next.
  """

  def __init__(self):
    self.text, self.share, self.is_cancelled = "waiting", 0.0, False

  def tell(self, text: str) -> None:
    self.advance(0.0, text)

  def advance(self, share: float, text: str) -> None:
    if self.is_cancelled:
      raise _CancelledError
    self.share, self.text = share, text


class Workspace:
  """Holds one recording at a time; another takes its place."""

  def __init__(self, restore: Restore):
    self._restore = restore
    self._pool = concurrent.futures.ThreadPoolExecutor(1, "restoration")
    self._recording: Recording | None = None
    self._task: _Task | None = None
    self._error = ""

  def take(self, recording: Recording) -> None:
    """Puts a recording on the page, and starts to look at it."""
    self.discard()
    self._recording = recording
    self._start(recording.examine)

  def find(self, id_: str) -> Recording | None:
    """Returns the recording if it is still that one."""
    recording = self._recording
    return recording if recording and recording.id == id_ else None

  def restore(self, options: Options) -> None:
    """Starts to restore the recording; work on another way of it ends."""
    recording = self._recording
    self.cancel()
    self._start(lambda tell: recording.restore(options, self._restore, tell))

  def cancel(self) -> None:
    """Ends the work; it is gone at once for whoever asks for its state."""
    if self._task:
      self._task.is_cancelled = True
    self._task = None

  def discard(self) -> None:
    """Takes the recording off the page and deletes all there is of it."""
    self.cancel()
    recording, self._recording, self._error = self._recording, None, ""
    if recording:
      recording.discard()

  def close(self) -> None:
    """Ends all; waits for the work that is going on to notice."""
    if self._task:
      log.note("ending the work on a recording; this may take some seconds")
    self.discard()
    self._pool.shutdown(cancel_futures=True)

  def state(self, recording: Recording) -> dict[str, Any]:
    """Returns what there is to show of a recording, for JSON."""
    task, work = self._task, None
    if task:
      work = {"text": task.text, "share": task.share}
    return {
      "id": recording.id,
      "name": recording.name,
      "work": work,
      "error": self._error,
      **recording.shown,
    }

  def _start(self, work: Callable[[Tell], None]) -> None:
    task, self._error = _Task(), ""
    self._task = task
    self._pool.submit(self._do, task, self._recording, work)

  def _do(
    self, task: _Task, recording: Recording, work: Callable[[Tell], None]
  ) -> None:
    error = ""
    try:
      with log.watching(task.advance):
        work(task.tell)
    except _CancelledError:
      pass
    except Exception as failure:
      # Files of a recording that was discarded are gone.
      if not task.is_cancelled:
        error = _message(failure, recording)
    if error and not recording.shown:
      recording.discard()  # It cannot be used.
    if self._task is task:
      self._error, self._task = error, None
    if self._recording is not recording:
      recording.discard()  # What was written after it was.


def _message(failure: Exception, recording: Recording) -> str:
  """Returns what went wrong, without the names of our own files."""
  message = mendable(failure)
  if message is None:
    traceback.print_exception(failure)
    return "a defect of ours; the terminal has the details"
  for path in (recording.source, recording.folder):
    message = message.replace(str(path), recording.name)
  return one_line(message)
