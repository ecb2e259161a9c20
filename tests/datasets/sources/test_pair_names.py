"""Names of pairs, and tables of them."""

import pytest

from distortion_removal.common.errors import UserError
from distortion_removal.datasets.sources import pair_names


def test_names_differ_in_one_word():
  for clean, output in (
    ("clip1_input.wav", "clip1_my_own pedal.flac"),
    ("a/Input 3.wav", "a/Output 3.wav"),
    ("input/a/1.wav", "tape/a/1.wav"),
    ("train/x-input.wav", "train/x-loud.wav"),
  ):
    found = pair_names.find_pairs([clean, output])
    assert found.inputs == found.groups == {output: clean}
    assert found.alone == []
  for one, two in (
    ("clip1_input.wav", "clip2_amp.wav"),
    ("clip1_inputs.wav", "clip1_amp.wav"),
    ("deep/down/a.wav", "input/a.wav"),
    ("a/input.wav", "b/output.wav"),
    ("a_input.flac", "a_input.wav"),
    ("x_input_y.wav", "x_y.wav"),
  ):
    found = pair_names.find_pairs([two, one])
    assert (found.inputs, found.alone) == ({}, sorted([one, two]))


def test_one_input_has_many_outputs_and_the_closest_name_wins():
  names = ["a_input.wav", "a_1_input.wav", "a_amp.wav", "a_1_amp.wav"]
  found = pair_names.find_pairs([*names, "a_1_box.wav", "readme.txt"])
  assert found.inputs == {
    "a_amp.wav": "a_input.wav",
    "a_1_amp.wav": "a_1_input.wav",
    "a_1_box.wav": "a_1_input.wav",
  }
  assert found.alone == ["readme.txt"]


def _table(folder, *lines):
  for name in ("a.wav", "b.wav", "c.wav"):
    (folder / name).touch()
  path = folder / pair_names.PAIRS_CSV
  path.write_text("".join(f"{line}\n" for line in lines))
  return path


def test_a_table_names_pairs_and_groups(tmp_path):
  """Groups go through a chain of devices, and however a path is written."""
  named = ["input,output,group", "a.wav,b.wav,anna", "a.wav,c.wav,"]
  found = pair_names.read_pairs(_table(tmp_path, *named))
  assert found.inputs == {"b.wav": "a.wav", "c.wav": "a.wav"}
  assert found.groups == {"b.wav": "anna", "c.wav": "a.wav"}
  (tmp_path / "d").mkdir()
  (tmp_path / "e.wav").touch()
  chain = [
    " b.wav, a.wav ",
    "c.wav,b.wav",
    "d/../e.wav,./a.wav",
  ]
  found = pair_names.read_pairs(_table(tmp_path, "output, input", *chain))
  assert found.inputs == {"b.wav": "a.wav", "c.wav": "b.wav", "e.wav": "a.wav"}
  assert set(found.groups.values()) == {"a.wav"}


@pytest.mark.parametrize(
  ("text", "message"),
  [
    ("clean,wet;a.wav,b.wav", "the first line must be input,output"),
    ("", "the first line must be input,output"),
    ("input,output", "names no pair"),
    ("input,output;a.wav,d.wav", "line 2 names 'd.wav', which is not"),
    ("input,output;a.wav", "line 2 names '', which is not there"),
    ("input,output;a.wav,a.wav", "line 2 names 'a.wav' as its own output"),
    ("input,output;a.wav,b.wav;c.wav,./b.wav", "line 3 .* 'b.wav' again"),
    ("input,output;a.wav,b.wav;b.wav,a.wav", "is an input of itself"),
    (
      "input,output,group;a.wav,b.wav,anna;b.wav,c.wav,ben",
      "c.wav is made of b.wav, but in another group",
    ),
    ('input,output;a.wav,"b.wav' + 200_000 * "x", "line .* a quotation"),
  ],
)
def test_mistakes_in_a_table_are_told(tmp_path, text, message):
  path = _table(tmp_path, *text.split(";"))
  with pytest.raises(UserError, match=message) as caught:
    pair_names.read_pairs(path)
  assert str(caught.value).startswith(str(path))
