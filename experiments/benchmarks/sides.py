"""The same work on both sides, ours and PyTorch's, as functions to time.

Every function returns a number that shows equal work, and returns only when the
device has finished, so that the clock may stop.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch

from distortion_removal.training import objectives

_LEARNING_RATE = 1e-4

Run = Callable[[], float]


def device() -> str:
  """Returns where both run, "cuda" if both can and else "cpu"."""
  both = torch.cuda.is_available() and jax.default_backend() == "gpu"
  return "cuda" if both else "cpu"


def settle(threads: int) -> None:
  """Makes both sides use `device`, `threads` threads and full float32."""
  torch.set_num_threads(threads)
  if device() == "cpu":
    jax.config.update("jax_default_device", jax.devices("cpu")[0])
  # On a GPU either would otherwise round the factors of products as it likes.
  jax.config.update("jax_default_matmul_precision", "highest")
  torch.backends.cuda.matmul.allow_tf32 = False
  torch.backends.cudnn.allow_tf32 = False


@dataclasses.dataclass
class Pair:
  """A network on both sides, with the same weights.

  Attributes:
    model: our network.
    variables: our variables.
    peer: PyTorch's network.
    dtype: type of both computations, "float32" or "bfloat16".
  """

  model: nn.Module
  variables: dict[str, Any]
  peer: torch.nn.Module
  dtype: str

  def tensor(self, audio: np.ndarray) -> torch.Tensor:
    """Converts audio `[batch, time, channels]` for PyTorch's networks."""
    return torch.from_numpy(audio).swapaxes(1, 2).contiguous().to(device())

  def autocast(self) -> torch.autocast:
    """Returns PyTorch's context for computing in `dtype`."""
    lower = self.dtype == "bfloat16"
    return torch.autocast(device(), torch.bfloat16, enabled=lower)


def make_pair(model: nn.Module, port: Any, dtype: str) -> Pair:
  """Puts a network on both sides.

  Args:
    model: our network.
    port: a module with `reference` and `from_state_dict` for it.
    dtype: see `Pair`.
  """
  torch.manual_seed(0)
  peer = port.reference(model)
  # UMX's network is wrapped in Fourier transforms.
  state = getattr(peer, "network", peer).state_dict()
  state = {key: value.numpy() for key, value in state.items()}
  variables = port.from_state_dict(state, model)
  if "params" not in variables:
    variables = {"params": variables}
  variables = jax.tree.map(jnp.array, variables)
  return Pair(model.clone(dtype=dtype), variables, peer.to(device()), dtype)


def our_step(pair: Pair, audio: np.ndarray, clean: np.ndarray) -> Run:
  """Makes our training step, a function that trains on and returns the loss."""
  optimizer = optax.adam(_LEARNING_RATE)
  spectral = hasattr(pair.model, "magnitudes")
  names = ("magnitudes", "l2") if spectral else ("waveform", "l1")
  objective = objectives.create(names[0], pair.model, names[1])

  def update(params, model_state, opt_state, audio, clean):
    def loss(params):
      variables = {"params": params, **model_state}
      return objective(variables, audio, clean, jax.random.key(0))

    (value, model_state), gradient = jax.value_and_grad(loss, has_aux=True)(
      params
    )
    updates, opt_state = optimizer.update(gradient, opt_state)
    return optax.apply_updates(params, updates), model_state, opt_state, value

  update = jax.jit(update, donate_argnums=(0, 1, 2))
  model_state = jax.tree.map(jnp.copy, pair.variables)
  params = model_state.pop("params")
  state = [params, model_state, optimizer.init(params)]
  audio, clean = jax.device_put((audio, clean))

  def run() -> float:
    *state[:], value = update(*state, audio, clean)
    jax.block_until_ready(state)
    return float(value)

  return run


def peer_step(pair: Pair, audio: np.ndarray, clean: np.ndarray) -> Run:
  """Makes PyTorch's training step."""
  network = pair.peer.train()
  optimizer = torch.optim.Adam(
    network.parameters(), lr=_LEARNING_RATE, fused=True
  )
  audio, clean = pair.tensor(audio), pair.tensor(clean)

  def run() -> float:
    optimizer.zero_grad(set_to_none=True)
    with pair.autocast():
      if hasattr(network, "magnitudes"):
        wanted = network.transform(clean).abs()
        loss = ((network.magnitudes(audio) - wanted) ** 2).mean()
      else:
        estimate = network(audio).reshape(clean.shape)
        loss = (estimate - clean).abs().mean()
    loss.backward()
    optimizer.step()
    return float(loss.detach())

  return run


def our_inference(pair: Pair, audio: np.ndarray) -> Run:
  """Makes our inference, a function that returns the output's mean square."""
  function = jax.jit(lambda v, x: pair.model.apply(v, x))
  audio = jax.device_put(audio)

  def run() -> float:
    return float(jnp.mean(function(pair.variables, audio) ** 2))

  return run


def peer_inference(pair: Pair, audio: np.ndarray) -> Run:
  """Makes PyTorch's inference."""
  audio = pair.tensor(audio)

  def run() -> float:
    pair.peer.eval()
    with torch.inference_mode(), pair.autocast():
      return float(pair.peer(audio).float().square().mean())

  return run


def matrix_products(size: int, dtype: str) -> dict[str, Run]:
  """Makes both sides' product of two large square matrices."""
  ours = jnp.ones((size, size), dtype)
  theirs = torch.ones(size, size, dtype=getattr(torch, dtype), device=device())
  product = jax.jit(jnp.matmul)
  return {
    "ours": lambda: float(product(ours, ours)[0, 0]),
    "PyTorch": lambda: float((theirs @ theirs)[0, 0]),
  }
