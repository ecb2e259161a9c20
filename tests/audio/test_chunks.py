"""Chunked application: identity through a partition of unity, static shapes."""

import functools

import numpy as np
import pytest

from distortion_removal.audio import chunks

CHUNK = 100
LENGTHS = [1, 99, 100, 101, 180, 181, 1003]
apply = functools.partial(chunks.apply_chunked, chunk=CHUNK)


def _noise(length, batch=2, channels=3):
  rng = np.random.default_rng(length)
  return rng.standard_normal((batch, length, channels)).astype(np.float32)


def _identity_of_one_length(audio):
  assert audio.shape[1] == CHUNK
  return audio


@pytest.mark.parametrize("overlap", [0, 1, 20, 50])
@pytest.mark.parametrize("length", LENGTHS)
def test_identity_comes_back_unchanged(length, overlap):
  audio = _noise(length)
  output = apply(_identity_of_one_length, audio, overlap=overlap)
  np.testing.assert_allclose(output, audio, atol=1e-6)


@pytest.mark.parametrize("block", [1, 7, 100, 333])
def test_blocks_of_any_length_give_the_same_as_the_whole(block):
  audio = _noise(777)

  def network(chunk):
    # Depends on the place within the chunk, so that other cuts would show.
    return chunk * np.linspace(0.5, 2.0, CHUNK)[:, None]

  whole = apply(network, audio, overlap=30)
  blocks = (audio[:, i : i + block] for i in range(0, 777, block))
  streamed = chunks.apply_to_stream(network, blocks, chunk=CHUNK, overlap=30)
  np.testing.assert_array_equal(np.concatenate(list(streamed), axis=1), whole)


@pytest.mark.parametrize("context", [None, (40, 20)])
def test_what_the_overlap_does_not_cover_is_cross_faded(context):
  """By a raised cosine: chunk k gives the constant k, so it is left to see."""
  count, overlap, hop = iter(range(10)), 40, 60
  output = apply(
    lambda chunk: np.full_like(chunk, next(count)),
    np.zeros((1, 220, 1), np.float32),
    overlap=overlap,
    context=context,
  )
  phase = (np.arange(overlap) + 0.5) / overlap
  fade = np.sin(np.pi / 2 * phase) ** 2
  expected = np.concatenate(
    [np.zeros(hop), fade, np.ones(hop - overlap), 1 + fade, np.full(60, 2.0)]
  )
  np.testing.assert_allclose(output[0, :, 0], expected, atol=1e-6)


def test_short_audio_is_extended_by_reflection_not_by_zeros():
  seen = []
  audio = _noise(30, batch=1, channels=1)
  apply(lambda chunk: seen.append(chunk) or chunk, audio, overlap=10)
  mirrored = np.concatenate(
    [audio, audio[:, ::-1], audio, audio[:, :-21:-1]], 1
  )
  assert len(seen) == 1
  np.testing.assert_array_equal(seen[0][:, :90], mirrored[:, :90])


def test_memory_is_that_of_a_few_chunks():
  fed, emitted, most = 0, 0, 0

  def blocks():
    nonlocal fed
    for _ in range(10_000):
      fed += 10
      yield np.zeros((1, 10, 1), np.float32)

  stream = chunks.apply_to_stream(
    _identity_of_one_length, blocks(), chunk=CHUNK, overlap=25
  )
  for block in stream:
    emitted += block.shape[1]
    most = max(most, fed - emitted)
  assert emitted == fed
  assert most <= 2 * CHUNK


def test_no_audio_gives_no_audio():
  network = _identity_of_one_length
  stream = chunks.apply_to_stream(network, [_noise(0)], chunk=CHUNK, overlap=10)
  assert list(stream) == []


def _filter(before, after):
  """Makes a network that depends on so many samples on either side."""
  kernel = np.arange(1.0, before + after + 2)

  def network(audio):
    padded = np.pad(audio, ((0, 0), (before, after), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(
      padded, len(kernel), axis=1
    )
    return windows @ kernel

  return network


@pytest.mark.parametrize("context", [(0, 0), (7, 20), (30, 0)])
def test_chunks_that_overlap_by_the_context_are_joined_exactly(context):
  """Audio longer than the context takes the program of whole chunks."""
  inner, lengths = _filter(*context), set()

  def network(audio):
    lengths.add(audio.shape[1])
    return inner(audio)

  for length in (*range(1, 3 * CHUNK), 1003):
    audio = _noise(length)
    output = apply(network, audio, overlap=30, hop=8, context=context)
    np.testing.assert_allclose(output, inner(audio), rtol=1e-6)
  assert lengths == {96} | {n for n in (8, 16, 24) if n < sum(context)}


@pytest.mark.parametrize("context", [None, (40, 40), (4, 4)])
def test_chunks_begin_at_multiples_of_the_hop(context):
  """A network that halves the rate and holds: a step of two shifts it."""

  def network(audio):
    return np.repeat(audio[:, ::8], 8, axis=1)[:, : audio.shape[1]]

  audio = _noise(8 * 60 + CHUNK)
  output = apply(network, audio, overlap=30, hop=8, context=context)
  # The last chunk of a cross-fade is moved back to the end.
  np.testing.assert_allclose(
    output[:, :-CHUNK], network(audio)[:, :-CHUNK], rtol=1e-6
  )


@pytest.mark.parametrize("context", [None, (7, 20)])
@pytest.mark.parametrize("together", [2, 4])
def test_chunks_in_batches_are_those_one_by_one(context, together):
  """Each batch size has a program: audio of any length needs one of them."""
  inner = _filter(*(context or (0, 0)))
  ramp = np.linspace(0.5, 2.0, 96 if context else CHUNK)[:, None]
  items = []

  def network(audio):
    items.append(len(audio))
    return inner(audio) * (1.0 if context else ramp[: audio.shape[1]])

  for length in (0, 30, 96, 100, 101, 169, 170, 171, 240, 241, 1003):
    audio = _noise(length)
    blocks = [audio[:, i : i + 37] for i in range(0, length, 37)]
    options = {"chunk": CHUNK, "overlap": 30, "hop": 8, "context": context}
    once = list(chunks.apply_to_stream(network, blocks, **options))
    single, items = items, []
    assert set(single) <= {2}
    more = chunks.apply_to_stream(network, blocks, together=together, **options)
    for a, b in zip(once, more, strict=True):
      np.testing.assert_allclose(b, a, rtol=1e-6)
    count = len(single)
    is_short = count < together
    batches = (
      [2] * count if is_short else [2 * together] * -(-count // together)
    )
    assert items == batches
    items = []
