"""Requests to the page: what is answered, what is refused, what is left."""

import io
import json
import threading

import numpy as np
import pytest
import soundfile
from conftest import RATE, files_of, pluck
from serving import Client, Slow, doubling, serving, wait_for

from distortion_removal.audio.loudness import integrated_loudness
from distortion_removal.common.errors import UserError
from distortion_removal.local_page import options, server
from distortion_removal.restore import check_options


@pytest.fixture(scope="module")
def take(tmp_path_factory):
  """A stereo recording of a second, clipped at ±0.4, in 24 bits."""
  path = tmp_path_factory.mktemp("takes") / "take.wav"
  tones = np.concatenate([pluck(1.0, 110.0), pluck(1.0, 165.0)], axis=1)
  soundfile.write(path, np.clip(tones, -0.4, 0.4), RATE, "PCM_24")
  return path


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
  with serving(tmp_path_factory.mktemp("page") / "x", doubling) as client:
    yield client


@pytest.fixture(scope="module")
def restored(shared, take):
  """The state of a recording that is restored by half."""
  state = shared.opened(take)
  status, _ = shared.restore(state["id"], method="declip", strength=50)
  assert status == 202
  return shared.done(state["id"])


@pytest.fixture
def client(tmp_path):
  with serving(tmp_path / "recordings", doubling) as found:
    yield found


def samples(content):
  return soundfile.read(io.BytesIO(content), always_2d=True)


def sound(client, state, version):
  _, content = client.file(state["id"], state["views"][version]["sound"])
  return samples(content)[0]


def test_the_page_and_its_headers(shared):
  answer, content = shared.ask("GET", "/", Origin=None)
  assert answer.status == 200
  assert "$data" not in content.decode()
  policy = answer.headers["Content-Security-Policy"]
  assert policy.startswith("default-src 'none'; script-src 'self';")
  assert "unsafe" not in policy and "http" not in policy
  assert "frame-ancestors 'none'" in policy
  for name in ("look.css", "page.css", "player.js", "controls.js", "page.js"):
    answer, content = shared.ask("GET", f"/{name}")
    assert answer.status == 200 and content
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert b"https:" not in content


@pytest.mark.parametrize(
  ("headers", "is_taken"),
  [
    ({}, True),
    ({"Sec-Fetch-Site": "same-origin"}, True),
    ({"Host": "localhost:1", "Origin": "http://localhost:1"}, True),
    ({"Host": "[::1]:80", "Origin": "http://[::1]:80"}, True),
    ({"Host": "studio.local", "Origin": "http://studio.local"}, True),
    # A name that someone makes point here.
    ({"Host": "evil.example", "Origin": "http://evil.example"}, False),
    ({"Host": "127.0.0.1.evil.example", "Origin": None}, False),
    ({"Host": "localhost@evil.example", "Origin": None}, False),
    ({"Host": None}, False),
    # Another site's form, frame or script.
    ({"Origin": "http://evil.example"}, False),
    ({"Origin": "null"}, False),
    ({"Origin": None}, False),
    ({"Origin": "http://127.0.0.1:1"}, False),
    ({"Sec-Fetch-Site": "cross-site"}, False),
    ({"Sec-Fetch-Site": "same-site"}, False),
  ],
)
def test_requests_of_other_sites_are_refused(shared, headers, is_taken):
  answer, _ = shared.ask("POST", "/recordings?name=a.txt", b"", **headers)
  # Of ours, the name is refused.
  status = 415 if is_taken else 403
  if headers.get("Host", "") is None:
    status = 400  # uvicorn's own
  assert answer.status == status


def test_other_sites_may_link_but_not_read(shared, restored):
  links = {"Sec-Fetch-Site": "cross-site", "Origin": None}
  assert shared.ask("GET", "/", **links)[0].status == 200
  place = f"/recordings/{restored['id']}"
  assert shared.ask("GET", place, **links)[0].status == 403
  rebound = {"Host": "evil.example", "Origin": None}
  assert shared.ask("GET", "/", **rebound)[0].status == 403
  answer, _ = shared.ask("OPTIONS", place, Origin="http://evil.example")
  assert answer.status == 403
  assert "Access-Control-Allow-Origin" not in answer.headers


def test_what_is_told_of_a_recording(client, take):
  state = client.opened(take)
  assert state["name"] == "take.wav" and state["error"] == ""
  assert state["seconds"] == 1.0
  assert (state["format"], state["subtype"]) == ("WAV", "PCM_24")
  audio = soundfile.read(take)[0]
  count = np.count_nonzero(np.abs(audio) > 0.39999)
  assert state["found"]["clipping"]["clipped_samples"] == count
  view = state["views"]["before"]
  assert np.shape(view["low"]) == (2, 1200)
  assert np.max(view["high"], axis=1) == pytest.approx([0.4, 0.4], abs=1e-4)
  # A part of the time is marked where it holds a clipped sample, and no other.
  part = np.arange(RATE) * 1200 // RATE
  for channel, marks in enumerate(state["clipped"]["high"]):
    expected = np.unique(part[audio[:, channel] > 0.39999])
    assert np.array_equal(np.flatnonzero(marks), expected)
  picture = client.file(state["id"], view["picture"])[1]
  assert picture.startswith(b"\x89PNG")


def test_half_of_the_change(shared, restored, take):
  """What is heard is equally loud; what is downloaded has its own level."""
  audio, rate = soundfile.read(take)
  change = (np.abs(audio) > 0.25) * (audio - np.sign(audio) * 0.25)
  after = audio + 0.5 * change
  answer, content = shared.file(restored["id"], "result")
  assert 'filename="take_restored.wav"' in answer.headers["Content-Disposition"]
  assert np.abs(samples(content)[0] - after).max() <= 0.51 / 2**23
  assert soundfile.info(io.BytesIO(content)).subtype == "PCM_24"
  heard = {
    name: sound(shared, restored, name)
    for name in ("before", "after", "difference")
  }
  expected = {"before": audio, "after": after, "difference": 0.5 * change}
  for name, one in expected.items():
    gain = 10 ** (restored["views"][name]["gain_db"] / 20)
    assert np.abs(heard[name] - gain * one).max() < 2e-3
  lufs = [integrated_loudness(x, sample_rate=rate) for x in heard.values()]
  assert lufs[1] == pytest.approx(lufs[0], abs=0.05)
  # Its peaks are as high as they may be.
  at_peak = np.abs(heard["difference"]).max() == pytest.approx(0.99, abs=1e-3)
  assert at_peak or lufs[2] == pytest.approx(lufs[0], abs=0.05)
  assert restored["restoration"]["strength"] == 50.0
  assert restored["restoration"]["overflow"] == ""
  assert "preset" not in restored["restoration"]["lines"][0]


def test_another_strength_needs_no_new_restoration(tmp_path, take):
  calls = []

  def counted(*args, **options):
    calls.append(args)
    doubling(*args, **options)

  with serving(tmp_path / "recordings", counted) as client:
    id_ = client.opened(take)["id"]
    results = []
    for preset, strength in (("fast", 100), ("fast", 0), ("best", 0)):
      client.restore(id_, method="declip", preset=preset, strength=strength)
      state = client.done(id_)
      results.append(samples(client.file(id_, "result")[1])[0])
    assert [args[2]["method"] for args in calls] == ["fast", "best"]
    assert state["restoration"]["changes"] is False
    assert np.array_equal(results[1], soundfile.read(take)[0])
    assert np.abs(results[0] - results[1]).max() > 0.1


def test_peaks_beyond_full_scale(client, tmp_path):
  """The result is lowered, as the command does it; floats keep the level."""
  path = tmp_path / "loud.wav"
  audio = np.clip(2.0 * pluck(1.0, 110.0), -1, 1)
  soundfile.write(path, audio, RATE, "PCM_16")
  audio = soundfile.read(path, always_2d=True)[0]
  id_ = client.opened(path)["id"]
  client.restore(id_, method="inversion")
  state = client.done(id_)
  after = audio + (np.abs(audio) > 0.25) * (audio - np.sign(audio) * 0.25)
  assert state["restoration"]["overflow"].startswith("4.9 dB quieter")
  lowered = samples(client.file(id_, "result")[1])[0]
  peak = np.abs(after).max()
  assert np.abs(lowered - after / peak).max() <= 1.0 / 2**15
  content = client.file(id_, "result-float")[1]
  assert soundfile.info(io.BytesIO(content)).subtype == "FLOAT"
  assert np.array_equal(samples(content)[0], after.astype(np.float32))


def test_sounds_can_be_had_in_parts(shared, restored):
  name = restored["views"]["after"]["sound"]
  answer, whole = shared.file(restored["id"], name)
  assert answer.headers["Content-Type"] in ("audio/x-wav", "audio/wav")
  part = {"Range": "bytes=100-199"}
  answer, content = shared.file(restored["id"], name, **part)
  assert answer.status == 206
  assert content == whole[100:200]


@pytest.mark.parametrize(
  ("name", "shown"),
  [
    ("../../../etc/passwd.wav", "passwd.wav"),
    ("C:\\Windows\\evil.WAV", "evil.WAV"),
    ("/etc/cron.d/x.flac", "x.flac"),
    ("a\r\nSet-Cookie: b.wav", "a\\r\\nSet-Cookie: b.wav"),
    ("<img src=x onerror=alert(1)>.wav", "<img src=x onerror=alert(1)>.wav"),
    (f"{'ä' * 500}.wav", f"{'ä' * 120}.wav"),
  ],
)
def test_names_are_only_shown(client, take, tmp_path, name, shown):
  before = set(files_of(tmp_path))
  status, state = client.upload(take, name)
  assert status == 201
  assert state["name"] == shown
  new = set(files_of(tmp_path)) - before
  assert {path.name for path in new if "recording" in path.name} == {
    f"recording.{shown.rpartition('.')[2].lower()}"
  }
  assert all(path.is_relative_to(tmp_path / "recordings") for path in new)
  client.done(state["id"])


@pytest.mark.parametrize(
  "place",
  [
    "{id}/files/recording.wav",
    "{id}/files/..%2f..%2f..%2fetc%2fpasswd",
    "{id}/files/%2fetc%2fpasswd",
    "{id}/files/../recording.wav",
    "..%2f{id}",
    "another",
  ],
)
def test_only_files_that_are_offered_are_given(shared, restored, place):
  place = place.format(id=restored["id"])
  assert shared.ask("GET", f"/recordings/{place}")[0].status == 404


@pytest.mark.parametrize(
  "name", ["a.txt", "a.exe", "wav", "", "a.wav/..", "a."]
)
def test_other_kinds_of_files_are_refused(shared, take, name):
  status, told = shared.upload(take, name or " ")
  assert status == 415
  assert "WAV" in told["error"]


def test_sizes_are_limited(tmp_path, take):
  folder = tmp_path / "recordings"
  with serving(folder, doubling, bytes_=take.stat().st_size - 1) as client:
    status, told = client.upload(take)
    assert status == 413 and "take.wav" in told["error"]
    assert "--max-megabytes" in told["error"]
    # Whatever the header says.
    content = take.read_bytes()
    parts = (content[i : i + 5000] for i in range(0, len(content), 5000))
    answer, _ = client.ask("POST", "/recordings?name=take.wav", parts)
    assert answer.status == 413
    assert files_of(folder) == {}
    assert list(folder.iterdir()) == []
  with serving(tmp_path / "b", doubling, bytes_=take.stat().st_size) as client:
    assert client.upload(take)[0] == 201


def test_what_is_no_recording_is_told_and_deleted(client, tmp_path):
  path = tmp_path / "song.flac"
  path.write_bytes(b"#EXTM3U\nfile:///etc/passwd\n")
  state = client.opened(path)
  assert "song.flac" in state["error"]
  assert str(tmp_path) not in json.dumps(state)
  assert "views" not in state
  assert files_of(tmp_path / "recordings") == {}


@pytest.mark.parametrize(
  "asked",
  [
    {},
    {"method": "/etc/passwd"},
    {"method": "../weights/hybrid-hard-clip-16k"},
    {"method": "hybrid-hard-clip-16k.safetensors"},
    {"method": "declip", "preset": "aspade"},
    {"method": "declip", "preset": ["fast"]},
    {"method": {"a": 1}},
    {"method": "auto", "model": "/etc"},
    {"method": "auto", "strength": 101},
    {"method": "auto", "strength": float("nan")},
    {"method": "auto", "strength": None},
    {"method": "declip", "clip_level": "high"},
    {"method": "declip", "clip_level": [0.1]},
  ],
)
def test_only_known_options_are_taken(shared, restored, asked):
  status, told = shared.restore(restored["id"], **asked)
  assert status == 400
  assert told["error"]


@pytest.mark.parametrize(
  ("asked", "arguments"),
  [
    ({"method": "auto"}, {"preset": "best"}),
    ({"method": "auto", "clip_level": 0.5}, None),
    ({"method": "declip", "preset": "fast"}, {"method": "fast"}),
    (
      {"method": "declip", "preset": "fast", "clip_level": 0.5},
      {"method": "fast", "clip_level": 0.5},
    ),
    ({"method": "inversion", "clip_level": None}, {"method": "inversion"}),
    ({"method": "hybrid-hard-clip-16k"}, {"model": "hybrid-hard-clip-16k"}),
  ],
)
def test_options_are_the_command_s(asked, arguments):
  found = options.parse(json.dumps(asked).encode())
  assert found.is_automatic == (arguments == {"preset": "best"})
  expected = arguments or {"preset": "best", "clip_level": 0.5}
  assert found.arguments == expected
  check_options(dict(found.arguments))


@pytest.mark.parametrize(
  ("text", "status"),
  [(b"", 400), (b"[]", 400), (b"[" * 900, 400), (b"{}" * 600, 413)],
)
def test_options_that_are_none(shared, restored, text, status):
  place = f"/recordings/{restored['id']}/restoration"
  assert shared.json("POST", place, text)[0] == status


def test_another_recording_takes_the_place_of_the_first(client, take, tmp_path):
  folder = tmp_path / "recordings"
  first = client.opened(take)["id"]
  second = client.opened(take, "second.wav")["id"]
  assert client.json("GET", f"/recordings/{first}")[0] == 404
  assert len(list(folder.iterdir())) == 1
  assert client.json("DELETE", f"/recordings/{first}")[0] == 404
  assert client.state(second)["name"] == "second.wav"
  assert client.json("DELETE", f"/recordings/{second}") == (204, None)
  assert list(folder.iterdir()) == []


def test_work_is_shown_and_can_be_stopped(tmp_path, take):
  slow = Slow()
  with serving(tmp_path / "recordings", slow) as client:
    id_ = client.opened(take)["id"]
    client.restore(id_, method="declip")
    wait_for(lambda: client.state(id_)["work"]["share"] > 0.005)
    work = client.state(id_)["work"]
    assert work["text"] == f"done {100 * work['share']:.0f} %"
    place = f"/recordings/{id_}/restoration"
    assert client.json("DELETE", place)[1]["work"] is None
    wait_for(lambda: slow.ended == 1)
    state = client.state(id_)
    assert state["error"] == "" and "restoration" not in state
    # Asked for once more while it works, it begins anew.
    client.restore(id_, method="declip", preset="fast")
    wait_for(lambda: slow.running)
    slow.may_finish.set()
    client.restore(id_, method="declip", preset="best")
    assert client.done(id_)["restoration"]["preset"] == "best"
    assert slow.most == 1


def test_a_recording_dropped_amid_work_ends_it(tmp_path, take):
  slow, folder = Slow(), tmp_path / "recordings"
  with serving(folder, slow) as client:
    id_ = client.opened(take)["id"]
    client.restore(id_, method="declip")
    wait_for(lambda: slow.running)
    client.opened(take, "another.wav")
    assert slow.ended == 1
    assert len(list(folder.iterdir())) == 1
    client.restore(client.opened(take)["id"], method="declip")
    wait_for(lambda: slow.running)
  # So does the end of the server.
  assert slow.running == 0 and not folder.exists()


def test_failures_are_told_and_leave_the_recording(tmp_path, take):
  def failing(source, target, *_, **__):
    raise UserError(f"{source}: cannot be restored to {target}")

  with serving(tmp_path / "recordings", failing) as client:
    id_ = client.opened(take)["id"]
    client.restore(id_, method="declip")
    state = client.done(id_)
    assert state["error"].startswith("take.wav: cannot be restored")
    assert str(tmp_path) not in state["error"]
    assert sound(client, state, "before").shape == (RATE, 2)


def test_an_upload_that_is_given_up_leaves_nothing(client, tmp_path, take):
  folder = tmp_path / "recordings"
  parts = iter([take.read_bytes()[:1000]])

  def broken():
    yield next(parts)
    wait_for(lambda: files_of(folder))
    raise ConnectionError

  with pytest.raises(ConnectionError):
    client.ask("POST", "/recordings?name=a.wav", broken())
  wait_for(lambda: not list(folder.iterdir()))
  assert isinstance(client, Client) and client.upload(take)[0] == 201


def test_one_upload_at_a_time(client, take, tmp_path, monkeypatch):
  monkeypatch.setattr(server, "_PATIENCE_SECONDS", 0.05)
  may_end = threading.Event()

  def stalled():
    content = take.read_bytes()
    yield content[:1000]
    assert may_end.wait(10)
    yield content[1000:]

  slow = threading.Thread(
    target=client.ask, args=("POST", "/recordings?name=a.wav", stalled())
  )
  slow.start()
  wait_for(lambda: files_of(tmp_path / "recordings"))
  assert client.upload(take)[0] == 409
  may_end.set()
  slow.join()
  assert client.upload(take)[0] == 201
