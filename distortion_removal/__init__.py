"""Removes distortion effects (overdrive, clipping) from recorded music.

`restore`, `analyze` and `Restorer` are the Python interface, see `api`.
"""

import importlib
import sys
import types
from typing import Any

__version__ = "0.1.0"


class _Command(types.ModuleType):
  """A command's module that is called like the function of its name in `api`.

  The module hides that function in the package as soon as it is imported.
  """

  def __call__(self, *args: Any, **options: Any) -> Any:
    name = self.__name__.rpartition(".")[2]
    return getattr(_api(), name)(*args, **options)


def make_callable(name: str) -> None:
  """Makes a command's module callable, see `_Command`."""
  sys.modules[name].__class__ = _Command


def _api() -> types.ModuleType:
  return importlib.import_module("distortion_removal.api")


def __getattr__(name: str) -> Any:
  # Importing JAX takes seconds, which `import distortion_removal` does not.
  if name in ("restore", "analyze"):
    return importlib.import_module(f"distortion_removal.{name}")
  if name in ("Restorer", "UserError"):
    return getattr(_api(), name)
  raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
