"""The networks at the papers' sizes, with their papers' recipes, and tiny.

`set_network(config, "umx")` sets the network and the fields of its recipe.
Imort et al. do not publish their hyper-parameters. With the network "", a
configuration is for evaluation only.
"""

import ml_collections


def set_network(config: ml_collections.ConfigDict, name: str) -> None:
  """Sets the network `name` at its published size, and its recipe."""
  config.model = ml_collections.ConfigDict(
    {"name": name, "fields": _FIELDS[name]}
  )
  # A clipper's output is projected on what agrees with the clipped audio.
  config.model.consistent = False
  _RECIPES[name](config)


def shrink(config: ml_collections.ConfigDict) -> None:
  """Makes the network so small that a step takes a fraction of a second."""
  config.model.fields.update(TINY[config.model.name])
  if config.model.name == "hybrid":
    config.model.declippers.nmf.update(frames=(512, 1024), iterations=10)
    config.model.declippers.aspade.update(frames=(512, 1024), s=16)


_FIELDS = {
  "": {},
  # Défossez et al. 2019, version 2: 265,675,393 parameters.
  "demucs": {
    "channels": 64,  # of the first layer
    "depth": 6,  # encoder and decoder levels
    "growth": 2.0,  # factor of the channels per level
    "kernel_size": 8,  # samples
    "stride": 4,  # samples
    "decoder_taps": 3,  # frames in the decoder's first convolution
    "lstm_layers": 2,
    "resample": True,  # run at twice the sample rate
    "normalize": True,  # to zero mean, unit deviation, and back
    "decoder_padding": "same",  # or "valid", as in Demucs v2
    "rescale": 0.1,  # reference deviation of the initial weights; 0: off
  },
  # Stoller et al. 2018: 10,263,002 parameters.
  "wave_unet": {
    "levels": 12,
    "filters": 24,  # additional filters per level
    "down_taps": 15,  # samples
    "up_taps": 5,  # samples
    "padding": "same",  # or "valid": no layer sees padding
    "upsampling": "linear",  # or "learned"
    "output": "direct",  # or "difference": subtracted from the input
  },
  # Martínez Ramírez et al. 2019: 275,073 parameters.
  "crafx": {
    "filters": 32,
    "taps": 64,  # samples
    "smoothing_taps": 128,  # samples
    "frame": 4096,  # samples
    "frame_hop": 2048,  # samples
    "context_frames": 4,  # on either side
    "pool": 64,  # samples
    "lstm_features": (64, 32, 16),  # of one direction
    "dense_features": (32, 16, 16),
    "excitation_features": 512,
    "saaf_segments": 24,  # between 25 break points
    "saaf_range": 0.2,  # the break points lie within ± this
    "dropout": 0.1,  # at the inputs of the BiLSTMs
  },
  # Stöter et al. 2019: 5,785,606 parameters.
  "umx": {
    "stft_size": 1024,  # samples
    "stft_hop": 256,  # samples
    "features": 512,
    "lstm_layers": 3,
    "dropout": 0.4,
  },
  # Ours: 743,796 parameters.
  "hybrid": {
    "estimates": 4,  # declippers' results, one for each of their frames
    "channels": (32, 80, 160),  # features of each level
    "stride": 4,  # samples or steps of a level that are one of the next
    "taps": 5,  # steps, of the outer levels
    "dilations": (1, 2, 4, 8, 16),  # steps, of the deepest level's blocks
    "level_samples": 1024,  # length of the local mean of levels
  },
  # Ours: 748,804 parameters.
  "inverses": {
    "gains_db": (18.0, 23.0, 28.0, 33.0, 38.0, 43.0, 48.0, 53.0),
    "channels": (32, 80, 160),  # features of each level
    "stride": 4,  # samples or steps of a level that are one of the next
    "taps": 5,  # steps, of the outer levels
    "dilations": (1, 2, 4, 8, 16),  # steps, of the deepest level's blocks
    "level_samples": 1024,  # length of the local mean of levels
  },
  # Ours: 737,256 parameters.
  "correction": {
    "channels": (32, 80, 160),  # features of each level
    "stride": 4,  # samples or steps of a level that are one of the next
    "taps": 5,  # steps, of the outer levels
    "dilations": (1, 2, 4, 8, 16),  # steps, of the deepest level's blocks
    "level_samples": 2048,  # length of the local mean of levels
  },
}


def _default(config: ml_collections.ConfigDict) -> None:
  del config  # The default run is a Demucs.


def _wave_unet(config: ml_collections.ConfigDict) -> None:
  config.data.segment_seconds = 4.096  # 16 steps of the deepest level
  config.loss = "l2"
  config.batch_size = 16
  config.optimizer.learning_rate = 1e-4
  config.optimizer.final_learning_rate = 1e-6


def _crafx(config: ml_collections.ConfigDict) -> None:
  config.data.segment_seconds = 2.048  # 16 hops
  config.loss = "l1"
  config.batch_size = 16
  config.pretrain_steps = 10_000
  config.optimizer.learning_rate = 1e-4
  config.optimizer.final_learning_rate = 2.5e-5
  # As long as the receptive field: chunks are joined exactly.
  config.apply.overlap_seconds = 2.0


def _umx(config: ml_collections.ConfigDict) -> None:
  config.data.segment_seconds = 6.0
  config.objective = "magnitudes"
  config.loss = "l2"
  config.batch_size = 16
  config.optimizer.learning_rate = 1e-3
  config.optimizer.final_learning_rate = 1e-5
  # Open-Unmix adds it to the gradient, where it has another effect with Adam.
  config.optimizer.weight_decay = 1e-5
  # Gradients of magnitudes are large, and Open-Unmix does not clip them.
  config.optimizer.gradient_clip_norm = 0.0


def _hybrid(config: ml_collections.ConfigDict) -> None:
  config.model.consistent = True
  # For 16 kHz; a third of real time together on one core.
  config.model.declippers = ml_collections.ConfigDict(
    {
      "nmf": {
        "frame": 2048,
        "hop": 512,
        "frames": (2048, 4096),
        "iterations": 200,
      },
      "aspade": {
        "frame": 1024,
        "hop": 256,
        "frames": (1024, 2048),
        "s": 2,
        "epsilon": 0.5,
        "relative": True,
      },
    }
  )
  _correcting(config)


def _correcting(config: ml_collections.ConfigDict) -> None:
  """Sets the recipe of networks that correct estimates."""
  config.data.segment_seconds = 1.024  # 256 steps of the deepest level
  config.loss = "0.5 * neg_sdr + 0.5 * neg_si_sdr"
  config.batch_size = 8
  config.optimizer.learning_rate = 1.5e-3
  config.optimizer.final_learning_rate = 1e-5
  config.optimizer.b2 = 0.99
  config.optimizer.gradient_clip_norm = 1.0
  # Two of the declippers' longest frames, which look further than the network,
  # as does the overdrive's DC blocker: chunks are cross-faded.
  config.apply.overlap_seconds = 0.5


def _inverses(config: ml_collections.ConfigDict) -> None:
  _correcting(config)
  # In decibels, what is nearly exact already has by far the largest gradient.
  config.loss = "l1"


def _correction(config: ml_collections.ConfigDict) -> None:
  _correcting(config)
  # The level of what was distorted is unknown, and so is the effect's.
  config.loss = "bounded_si_sdr + 3.0 * multi_resolution_stft"


_RECIPES = {
  "": _default,
  "demucs": _default,
  "wave_unet": _wave_unet,
  "crafx": _crafx,
  "umx": _umx,
  "hybrid": _hybrid,
  "inverses": _inverses,
  "correction": _correction,
}

TINY = {
  "": {},
  "demucs": {"channels": 4, "depth": 3},
  "wave_unet": {"levels": 3, "filters": 4},
  "crafx": {
    "filters": 4,
    "frame": 512,
    "frame_hop": 256,
    "context_frames": 1,
    "lstm_features": (4, 2),
    "dense_features": (4, 4),
    "excitation_features": 8,
    "saaf_segments": 4,
  },
  "umx": {
    "stft_size": 256,
    "stft_hop": 64,
    "features": 16,
    "lstm_layers": 1,
  },
  "hybrid": {"channels": (4, 8), "dilations": (1, 2), "level_samples": 256},
  "inverses": {"channels": (4, 8), "dilations": (1, 2), "level_samples": 256},
  "correction": {"channels": (4, 8), "dilations": (1, 2), "level_samples": 256},
}
