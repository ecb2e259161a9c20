"""The notebook runs top to bottom; where there is no checkout, it makes one."""

import re
import subprocess

import nbformat
import pytest
from conftest import ROOT
from nbclient import NotebookClient

NOTEBOOK = ROOT / "experiments/colab/reproduce.ipynb"


def _notebook(**parameters):
  """The notebook, with these values in place of its own."""
  notebook = nbformat.read(NOTEBOOK, as_version=4)
  (cell,) = (c for c in notebook.cells if c.id == "parameters")
  for name, value in parameters.items():
    line = f"{name} = {value!r}"
    cell.source, count = re.subn(
      rf"^{name} = .*", lambda _, line=line: line, cell.source, flags=re.M
    )
    assert count == 1, name
  return notebook


def _execute(notebook, folder):
  client = NotebookClient(
    notebook,
    timeout=600,
    kernel_name="python3",
    resources={"metadata": {"path": str(folder)}},
  )
  return client.execute()


def _text(cell):
  """What a cell has printed."""
  return "".join(x.text for x in cell.outputs if x.output_type == "stream")


def _shown(cell, kind):
  """What it shows of a MIME type."""
  found = (x.data.get(kind) for x in cell.outputs if "data" in x)
  return [data for data in found if data]


def test_it_is_committed_without_outputs():
  notebook = nbformat.read(NOTEBOOK, as_version=4)
  nbformat.validate(notebook)
  for cell in notebook.cells:
    if cell.cell_type == "code":
      assert not cell.outputs
      assert cell.execution_count is None


@pytest.mark.e2e
def test_it_runs_top_to_bottom_in_a_checkout(tmp_path):
  notebook = _notebook(RESULTS=str(tmp_path), SMOKE=True)
  cells = {c.id: c for c in _execute(notebook, NOTEBOOK.parent).cells}
  assert "| A-SPADE |" in _text(cells["evaluate"])
  assert "| ideal ratio mask |" in _text(cells["evaluate"])
  sounds = _shown(cells["hear"], "text/html")
  assert len(sounds) == 4
  assert all("data:audio/" in sound for sound in sounds)
  assert len(_shown(cells["hear"], "image/png")) == 1
  before, after = (
    float(re.search(rf"{name}\.wav +(-?[\d.]+)", _text(cells["restore"]))[1])
    for name in ("distorted", "restored")
  )
  # The released model, by SI-SDR in dB: 1.3 to 6.8.
  assert after > before + 4.0
  assert len(_shown(cells["figure"], "image/png")) == 1
  assert (tmp_path / "report" / "page" / "index.html").is_file()


@pytest.mark.e2e
def test_elsewhere_it_clones_the_commit(tmp_path):
  """What follows, an installation from the network, is left out."""
  if not (ROOT / ".git").exists():
    pytest.skip("not a Git repository")
  command = ["git", "rev-parse", "HEAD"]
  head = subprocess.check_output(command, cwd=ROOT, text=True).strip()
  notebook = _notebook(REPOSITORY=str(ROOT), COMMIT=head)
  ids = [cell.id for cell in notebook.cells]
  del notebook.cells[ids.index("code") + 1 :]
  _execute(notebook, tmp_path)
  (clone,) = tmp_path.iterdir()
  assert subprocess.check_output(command, cwd=clone, text=True).strip() == head
  assert (clone / "requirements.lock").is_file()
