"""The command from a run to a model file and back."""

import pytest

from distortion_removal import model_file


@pytest.mark.e2e
def test_command_line_both_ways(tiny_run, tmp_path, capsys):
  model, run = tmp_path / "a.safetensors", tmp_path / "run"
  for source, target in ((tiny_run, model), (model, run)):
    model_file.main([str(source), "-o", str(target)])
    assert capsys.readouterr().out == f"written: {target}\n"
    assert target.exists()
  for source, target, message in (
    (model, tmp_path / "c.safetensors", "to a run, give a folder"),
    (tmp_path / "none", tmp_path / "b.safetensors", "no trained run here"),
  ):
    with pytest.raises(SystemExit) as caught:
      model_file.main([str(source), "-o", str(target)])
    assert caught.value.code.startswith("error: ")
    assert message in caught.value.code
    assert "\n" not in caught.value.code
    assert not target.exists()
