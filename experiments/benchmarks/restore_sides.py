"""One side of the benchmark `restore`, in a process of its own.

  python -m experiments.benchmarks.restore_sides SIDE CORES SOURCE TARGET WARM \
    FOLDER

Restores WARM once on so many cores, which loads and compiles. Every line on
stdin then restores SOURCE again, and a line with the seconds goes to stdout;
after the last one the peak of memory in bytes, above what was held before WARM.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from distortion_removal.evaluation.timing_process import peak_bytes

RATE = 44_100
MODEL_RATE = 16_000
_CHUNK_SECONDS, _OVERLAP_SECONDS = 10.0, 1.0
_POLL_SECONDS = 0.02

# Restores the first file to the second one. If another program does it, its
# peak of memory in bytes.
Restore = Callable[[Path, Path], int | None]


class Group(NamedTuple):
  """Sides that restore the same recording, and take turns.

  Attributes:
    distortion: "clipped" or "overdriven".
    rate: sample rate of the recording in Hz.
    ours: our sides.
    peer: the side they are compared with; "": none.
  """

  distortion: str
  rate: int
  ours: tuple[str, ...]
  peer: str = ""


GROUPS = (
  Group("clipped", RATE, ("fast", "normal", "best"), "ffmpeg-adeclip"),
  Group("overdriven", RATE, ("inversion",)),
  Group("clipped", MODEL_RATE, ("hybrid",)),
  Group("overdriven", MODEL_RATE, ("demucs",), "PyTorch-demucs"),
  Group("overdriven", MODEL_RATE, ("umx",), "PyTorch-umx"),
)
NETWORKS = ("demucs", "umx")


def write_networks(folder: Path) -> None:
  """Stores the networks of both sides, with PyTorch's initial weights."""
  from distortion_removal import config as run_config
  from distortion_removal.training import weights
  from experiments.benchmarks import sides

  for name in NETWORKS:
    fields, port = _network(name)
    module = run_config.sibling(str(run_config.FOLDER / "any"), "default")
    config = module.get_config()
    module.networks.set_network(config, name)
    config.model.fields.update(fields)
    config.data.sample_rate = MODEL_RATE
    # It expects no level of its own, which is looked for in a recording.
    config.data.task = "recorded"
    config.apply.chunk_seconds = _CHUNK_SECONDS
    config.apply.overlap_seconds = _OVERLAP_SECONDS
    pair = sides.make_pair(_model(name), port, "float32")
    file = folder / f"{name}{weights.SUFFIX}"
    weights.save_model(file, pair.variables, config, 0, origin={})


def _network(name: str) -> tuple[dict[str, Any], Any]:
  """Returns a network's fields, and what makes its peer."""
  if name == "umx":
    from third_party import open_unmix_weights

    return {"dropout": 0.0}, open_unmix_weights
  from third_party import demucs_weights

  # As large as the other networks; twice the rate on neither side.
  return {"channels": 16, "depth": 4, "resample": False}, demucs_weights


def _model(name: str) -> Any:
  from distortion_removal import models

  return models.create(name, sample_rate=MODEL_RATE, **_network(name)[0])


def make_side(name: str, folder: Path) -> Restore:
  """Makes the function of a side; `folder` is that of `write_networks`."""
  if name == "ffmpeg-adeclip":
    return _adeclip
  if name.startswith("PyTorch-"):
    return _make_peer(name.removeprefix("PyTorch-"))
  from distortion_removal import restore
  from distortion_removal.common import devices
  from distortion_removal.inference.finish import Finish

  devices.check_platform()
  given: dict[str, Any] = {"method": name}
  if name in NETWORKS:
    given = {"model": str(folder / f"{name}.safetensors")}
  elif name == "hybrid":
    given = {"model": "hybrid-hard-clip-16k"}

  def run(source: Path, target: Path) -> None:
    restore.restore_recording(
      source, target, given, Finish(), say=lambda _: None
    )

  return run


def _make_peer(name: str) -> Restore:
  """Makes PyTorch's network within the package demucs' own `apply_model`."""
  import soundfile
  import torch
  from demucs.apply import apply_model

  torch.set_num_threads(len(os.sched_getaffinity(0)))
  torch.manual_seed(0)
  network = _network(name)[1].reference(_model(name)).eval()

  class Peer(torch.nn.Module):
    """What `apply_model` asks of a network."""

    samplerate, segment, sources = MODEL_RATE, _CHUNK_SECONDS, ("restored",)

    def __init__(self):
      super().__init__()
      self.network = network

    def valid_length(self, length: int) -> int:
      return getattr(network, "valid_length", int)(length)

    def forward(self, audio: torch.Tensor) -> torch.Tensor:
      return network(audio).reshape(len(audio), 1, 1, -1)

  peer = Peer()
  overlap = _OVERLAP_SECONDS / _CHUNK_SECONDS

  def run(source: Path, target: Path) -> None:
    audio, rate = soundfile.read(source, dtype="float32")
    with torch.inference_mode():
      mix = torch.from_numpy(audio)[None, None]
      restored = apply_model(peer, mix, shifts=0, overlap=overlap)
    soundfile.write(target, restored[0, 0, 0].numpy(), rate, subtype="FLOAT")

  return run


def _adeclip(source: Path, target: Path) -> int:
  threads = str(len(os.sched_getaffinity(0)))
  command = ["ffmpeg", "-y", "-loglevel", "error", "-filter_threads", threads]
  command += ["-i", source, "-af", "adeclip", "-c:a", "pcm_f32le", target]
  peak = 0
  with subprocess.Popen(command, stdin=subprocess.DEVNULL) as process:
    status = Path(f"/proc/{process.pid}/status")
    while process.poll() is None:
      for line in status.read_text().splitlines():
        if line.startswith("VmHWM:"):
          peak = max(peak, 1024 * int(line.split()[1]))
      time.sleep(_POLL_SECONDS)
  if process.returncode:
    raise SystemExit(f"{source}: ffmpeg fails")
  return peak


def main() -> None:
  """Restores as stdin asks."""
  side, cores, *paths = sys.argv[1:]
  # Threads that compute start later than this.
  chosen = sorted(os.sched_getaffinity(0))[: int(cores)]
  os.sched_setaffinity(0, chosen)
  source, target, warm, folder = map(Path, paths)
  restore = make_side(side, folder)
  before = peak_bytes()
  if restore is not _adeclip:
    restore(warm, target)
  print(json.dumps({"ready": True}), flush=True)
  others = None
  for _ in sys.stdin:
    start = time.perf_counter()
    others = restore(source, target)
    print(json.dumps({"s": time.perf_counter() - start}), flush=True)
  peak = peak_bytes() - before if others is None else others
  print(json.dumps({"peak_bytes": peak}), flush=True)


if __name__ == "__main__":
  main()
