"""Makes a model file that `restore` takes from PyTorch weights.

    python -m third_party.import_weights \
        --config=configs/demucs_signaltrain.py \
        --weights=demucs.safetensors --output=imported.safetensors

The config's network, its size and its sample rate must be those of the weights:
`--config.model.fields.channels=48 --config.data.sample_rate=44100`.
"""

from pathlib import Path

import ml_collections
from absl import app, flags
from ml_collections import config_flags

from distortion_removal import models
from distortion_removal.common import log
from distortion_removal.common.errors import (
  UserError,
  flags_parser,
  look_up,
  one_line_errors,
)
from distortion_removal.training import check_config
from distortion_removal.training.weights import save_model
from third_party import demucs_weights, open_unmix_weights, state_dict


def _demucs(state, model):
  return {"params": demucs_weights.from_state_dict(state, model)}


_IMPORTERS = {"demucs": _demucs, "umx": open_unmix_weights.from_state_dict}


def import_weights(
  config: ml_collections.ConfigDict, source: Path, target: Path
) -> None:
  """Writes the model file `target` with the weights of `source`."""
  check_config.check(config)
  convert = look_up(_IMPORTERS, "network with an import", config.model.name)
  variables = convert(state_dict.load(source), models.from_config(config))
  origin = {"origin": f"imported from {source.name}"}
  save_model(target, variables, config, 0, origin=origin)


def main() -> None:
  """Runs the command line, see `--help`."""
  config = config_flags.DEFINE_config_file("config", None, "The network.")
  source = flags.DEFINE_string("weights", None, "File with a state dictionary.")
  target = flags.DEFINE_string("output", None, "File to write, .safetensors.")

  def run(argv: list[str]) -> None:
    if len(argv) > 1:
      raise UserError(f"unexpected argument {argv[1]!r}; options start with --")
    for flag in (config, source, target):
      if flag.value is None:
        raise UserError(f"--{flag.name} is missing; see --help")
    import_weights(config.value, Path(source.value), Path(target.value))
    print(f"written: {target.value}")

  log.setup()
  with one_line_errors():
    app.run(run, flags_parser=flags_parser(config))


if __name__ == "__main__":
  main()
