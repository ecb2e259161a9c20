"""PyTorch weights to a model file that `restore` takes.

    python -m third_party.import_weights \
        --config=configs/demucs_signaltrain.py \
        --weights=demucs.safetensors --output=imported.safetensors

Of the config, the network, its size and its sample rate must be those of the
weights: `--config.model.fields.channels=48 --config.data.sample_rate=44100`.
"""

from pathlib import Path

from absl import app, flags
from ml_collections import config_flags

from distortion_removal import models
from distortion_removal.common import flag_errors, log
from distortion_removal.common.errors import (
  UserError,
  look_up,
  one_line_errors,
)
from distortion_removal.inference.weights import save_model
from distortion_removal.training import check_config
from third_party import demucs_weights, open_unmix_weights, state_dict

_CONFIG = config_flags.DEFINE_config_file("config", None, "The network.")
_WEIGHTS = flags.DEFINE_string("weights", None, "File with a state dictionary.")
_OUTPUT = flags.DEFINE_string("output", None, "File to write, .safetensors.")


def _demucs(state, model):
  return {"params": demucs_weights.from_state_dict(state, model)}


_IMPORTERS = {"demucs": _demucs, "umx": open_unmix_weights.from_state_dict}


def _main(argv: list[str]) -> None:
  if len(argv) > 1:
    raise UserError(f"unexpected argument {argv[1]!r}; options start with --")
  for flag in (_CONFIG, _WEIGHTS, _OUTPUT):
    if flag.value is None:
      raise UserError(f"--{flag.name} is missing; see --help")
  config, source = _CONFIG.value, Path(_WEIGHTS.value)
  check_config.check(config)
  convert = look_up(_IMPORTERS, "network with an import", config.model.name)
  variables = convert(state_dict.load(source), models.from_config(config))
  origin = f"imported from {source.name}"
  save_model(Path(_OUTPUT.value), variables, config, 0, origin=origin)
  print(f"written: {_OUTPUT.value}")


if __name__ == "__main__":
  log.setup()
  with one_line_errors():
    app.run(_main, flags_parser=flag_errors.parser(_CONFIG))
