"""Every field of a run, with its unit. Other configs state their changes.

    python -m distortion_removal.main --config=configs/default.py

trains Demucs at the paper's size on the embedded guitar data. Any field can be
set on the command line (`--config.batch_size=8`); `configs/default.py:smoke`
is the same run at a size that takes seconds. Fields marked * may have another
value when a run is resumed (`config.CHANGEABLE_FIELDS`).

Time and score: not yet run at this size.
"""

import ml_collections
from ml_collections.config_dict import placeholder

from distortion_removal.common.errors import UserError
from distortion_removal.config import sibling

declippers = sibling(__file__, "parts/declippers")
networks = sibling(__file__, "parts/networks")
tasks = sibling(__file__, "parts/tasks")


def get_config(arg: str = "") -> ml_collections.ConfigDict:
  """Returns the default run; `arg` is '' or 'smoke'."""
  config = ml_collections.ConfigDict()
  # Folder of a run, or a model file, whose weights to start from; "": random.
  config.initialize_from = ""
  config.seed = 0  # of the weights, the shuffling, the crops and the levels

  config.data = ml_collections.ConfigDict(
    {
      "dataset": "plucked_strings",  # or another of datasets.DATASETS
      "task": "overdrive",  # or another of effects/tasks.py
      # Lowest and highest level to train on; (): those that are evaluated.
      "levels": (),
      "data_dir": "",  # folder of data sets; "": TFDS's default
      "sample_rate": 16_000,  # Hz
      "channels": 1,
      "excerpt_seconds": 10.0,  # length of stored excerpts
      "segment_seconds": 5.0,  # length of the crops to train on
      "workers": 0,  # * data-loading processes; 0: threads in this process
      "hint": "",  # * advice in the error if the data set is missing
      # Training data instead of the data set's own, which then only validates
      # and tests: (("audio_folder", "data_dir", weight), ...), prepared alike.
      "sources": (),
      # Changes of clean takes in training, see datasets/augmentation.py.
      "augment": {
        "gain_db": 0.0,  # uniform within ±; 0: none
        "polarity": False,  # invert half of the examples
        "swap_channels": False,  # of half of the examples
        "speeds": (),  # such as (0.9, 1.0, 1.1); the pitch changes too
        "sums": 0.0,  # share of examples that are sums of two takes
        "tilt_db": 0.0,  # spectral slope per octave, uniform within ±
      },
      # Pairs stored with declippers' estimates, for networks that take these,
      # see datasets/clipped_pairs.py.
      "clipped": {
        "tasks": (),  # ((task, lowest level, highest level), ...)
        "seconds": 8.0,  # length of a pair
        "minutes": 0.0,  # * of training pairs; more are added to those stored
      },
      # Options of the task's effect; None: its default. See
      # effects/options.py.
      "effect": {
        "colour": placeholder(float),  # overdrive: 0 to 100; in SoX 20
        "rail": placeholder(float),  # hard_clip: clipping level
        "rails": placeholder(tuple),  # diode: levels above and below 0
        "knees": placeholder(tuple),  # diode: above and below 0
        "hold": placeholder(int),  # bit_crush: samples
        "oversample": placeholder(int),  # 2, 4 or 8 against aliasing
        # Tone filters: ((kind, corner in Hz, gain in dB, Q), ...), such as
        # (("low_shelf", 200.0, -6.0, 0.7071),); kinds: effects/tone.py.
        "before": (),
        "after": (),
      },
    }
  )

  networks.set_network(config, "demucs")
  config.compute_dtype = "float32"  # or "bfloat16"; parameters stay float32

  # Signals that the loss compares: "waveform"; for UMX also "magnitudes".
  config.objective = "waveform"
  # "l1", "l2", "neg_si_sdr", "bounded_si_sdr", "neg_sdr", "magnitude_l2",
  # "multi_resolution_stft", or a sum: "l1 + 0.1 * multi_resolution_stft".
  config.loss = "l1"
  config.batch_size = 64  # examples of one optimiser step, over all devices
  # * Parts of each device's share of a batch, worked on one after the other to
  # save memory. Batch normalisation is by part.
  config.accumulate = 1
  config.remat = (
    False  # * compute twice what else takes memory, see docs/tpu.md
  )
  config.steps = 200_000  # * optimiser steps, including pre-training
  config.pretrain_steps = 0  # steps of CRAFx's outer layers as an autoencoder
  config.optimizer = ml_collections.ConfigDict(
    {
      "learning_rate": 3e-4,  # Adam, at the end of the warm-up
      "final_learning_rate": 3e-6,  # at the end of the cosine
      "warmup_steps": 1_000,
      "b1": 0.9,
      "b2": 0.999,
      "weight_decay": 0.0,  # decoupled, per step relative to the rate
      "gradient_clip_norm": 5.0,  # global L2 norm; 0: no clipping
    }
  )
  config.ema_decay = 0.999  # per step, of the weights that are evaluated
  # * What a loss or gradient that is not a number does: "stop", or "skip": its
  # step is not taken; after 10 in a row the run stops all the same.
  config.on_nan = "stop"

  config.log_every = 100  # * steps
  config.validate_every = 2_000  # * steps
  config.checkpoint_every = 2_000  # * steps
  config.validation_pairs = 64  # fixed pairs that a validation scores
  config.validation_examples = 2  # * pairs that TensorBoard shows

  # * From here on.
  config.apply = ml_collections.ConfigDict(
    {
      "chunk_seconds": 10.0,  # s that the network sees at a time
      "overlap_seconds": 1.0,  # s that neighbouring chunks share
    }
  )
  # Chunks in a batch of the evaluation, over all devices of a process; on a
  # CPU, more are no faster.
  config.evaluation_batch = 8
  # See `distortion_removal.metrics`; "fad" needs weights, see docs/metrics.md.
  config.metrics = ("si_sdr", "sdr", "peaq", "r_nonlin")
  # Scored next to the network: "ideal_ratio_mask"; for hard clipping also
  # "aspade", "sspade", "social_sparsity", "parabola", "nmf" and "janssen", and
  # their means "fast", "normal" and "best", with these options.
  config.baselines = ("ideal_ratio_mask",)
  declippers.set_declippers(config, "paper")
  config.listen_excerpts = 3  # test excerpts written out for listening
  return sized(config, arg)


def paper_run(
  task: str, network: str, arg: str = ""
) -> ml_collections.ConfigDict:
  """Returns the run of one of the paper's networks on one of its tasks.

  Args:
    task: "ceg_overdrive", "ceg_hard_clip" or "signaltrain".
    network: "demucs", "wave_unet", "crafx" or "umx"; "" for none, to evaluate
      the baselines alone.
    arg: '' or 'smoke'.
  """
  config = get_config()
  tasks.set_task(config, task)
  networks.set_network(config, network)
  config.metrics = ("si_sdr", "sdr", "peaq", "r_nonlin", "fad")
  return sized(config, arg)


def sized(
  config: ml_collections.ConfigDict, arg: str
) -> ml_collections.ConfigDict:
  """Returns the run as it is, or for 'smoke' shrunk to seconds on a CPU.

  Args:
    config: the run at full size.
    arg: the part behind ':' in `--config=FILE:arg`.

  Raises:
    UserError: `arg` is neither '' nor 'smoke'.
  """
  if arg not in ("", "smoke"):
    raise UserError(f"unknown config argument {arg!r}: only 'smoke' is known")
  return _shrunk(config) if arg == "smoke" else config


def _shrunk(config: ml_collections.ConfigDict) -> ml_collections.ConfigDict:
  """Shrinks sizes and lengths; the task and the loss stay."""
  if config.data.task != "recorded":  # Pairs of a device cannot be rendered.
    config.data.dataset = "plucked_strings_smoke"
    config.data.data_dir = "runs/data"
  config.data.excerpt_seconds = 2.0
  config.data.segment_seconds = 1.0
  config.data.sources = ()
  config.data.clipped.seconds = 1.5
  config.data.clipped.minutes = min(config.data.clipped.minutes, 0.4)
  networks.shrink(config)
  declippers.shrink(config)
  config.batch_size = 4
  config.steps = 4
  config.pretrain_steps = min(config.pretrain_steps, 1)
  config.optimizer.warmup_steps = 1
  config.log_every = 1
  config.validate_every = 2
  config.checkpoint_every = 2
  config.validation_pairs = 4
  config.validation_examples = 1
  config.apply.chunk_seconds = 1.0
  config.apply.overlap_seconds = 0.25
  config.listen_excerpts = 1
  return config
