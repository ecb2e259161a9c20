"""The house: which folder may import from which, and no circles."""

import ast
import graphlib
from pathlib import Path

from conftest import ROOT

PACKAGE = ROOT / "distortion_removal"
# From the ground up; a folder imports from floors below its own, and from
# folders before it on its own floor.
FLOORS = (
  ("common", "config"),
  ("audio",),
  ("effects", "models", "declipping", "metrics", "inversion"),
  ("report", "datasets", "training", "inference", "evaluation", "local_page"),
)
COMMANDS = {
  *(
    "main",
    "cli",
    "prepare",
    "restore",
    "score",
    "model_file",
    "analyze",
    "serve",
    "api",
  )
}


def _module(path: Path) -> str:
  parts = path.relative_to(ROOT).with_suffix("").parts
  return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {_module(path): path for path in PACKAGE.rglob("*.py")}


def _imports(path: Path) -> set[str]:
  """Returns all modules of the package that a file imports.

  Imports inside functions count, and those for type checkers alone.
  """
  found = set()
  for node in ast.walk(ast.parse(path.read_text())):
    if isinstance(node, ast.Import):
      found |= {alias.name for alias in node.names}
    elif isinstance(node, ast.ImportFrom) and node.module:
      names = {f"{node.module}.{alias.name}" for alias in node.names}
      # `from a import b`: module b, or a name in module a.
      found |= {name if name in MODULES else node.module for name in names}
  return (found & MODULES.keys()) - {_module(path)}


IMPORTS = {module: _imports(path) for module, path in MODULES.items()}


def _room(module: str) -> str:
  return module.split(".")[1] if "." in module else ""


def test_arrows_run_one_way():
  order = [room for floor in FLOORS for room in floor]
  wrong = [
    f"{module} imports {imported}"
    for module, found in IMPORTS.items()
    for imported in found
    if _room(module) in order
    and _room(imported) not in ("", _room(module))
    and _room(imported) not in order[: order.index(_room(module))]
  ]
  assert not wrong


def test_no_circle():
  # The package's own __init__ is imported with everything and imports nothing.
  assert not IMPORTS["distortion_removal"]
  list(graphlib.TopologicalSorter(IMPORTS).static_order())


def test_every_module_has_a_room():
  order = {room for floor in FLOORS for room in floor}
  rooms = {_room(module) for module in MODULES} - {""}
  assert rooms == order | COMMANDS


def test_tests_mirror_the_rooms():
  rooms = {room for floor in FLOORS for room in floor} - {"config"}
  assert rooms <= {path.name for path in (ROOT / "tests").iterdir()}
