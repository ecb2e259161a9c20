"""requirements.lock: whole, hashed, and within the bounds of setup.cfg."""

import configparser
import re
import sys
from importlib import metadata

import pytest
from conftest import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PYTHONS = ("3.11.0", "3.12.0", "3.13.0")
PLATFORMS = ("linux", "darwin", "win32")


def _locked():
  """Each requirement of the lock with the hashes of its files."""
  text = (ROOT / "requirements.lock").read_text()
  found = []
  for block in re.split(r"\n(?=\S)", re.sub(r"^ *#.*\n", "", text, flags=re.M)):
    line, *hashes = block.split("--hash=")
    found.append((Requirement(line.replace("\\", "").strip()), hashes))
  return found


def _wanted():
  """The requirements of the package and of its tests."""
  setup = configparser.ConfigParser()
  setup.read(ROOT / "setup.cfg")
  lines = setup["options"]["install_requires"].splitlines()
  lines += setup["options.extras_require"]["test"].splitlines()
  return [Requirement(x) for x in lines if x and not x.startswith("#")]


LOCKED = _locked()


def _versions(python, platform):
  """The locked versions by name on one platform; each only once."""
  where = {
    "python_full_version": python,
    "python_version": python.rpartition(".")[0],
    "sys_platform": platform,
    "platform_python_implementation": "CPython",
    "implementation_name": "cpython",
  }
  found = {}
  for requirement, _ in LOCKED:
    if requirement.marker is None or requirement.marker.evaluate(where):
      (pin,) = requirement.specifier
      assert pin.operator == "=="
      assert requirement.name not in found
      found[requirement.name] = pin.version
  return found


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("python", PYTHONS)
def test_the_lock_keeps_the_bounds_of_the_package(python, platform):
  versions = _versions(python, platform)
  wanted = _wanted()
  assert len(wanted) > 20
  for requirement in wanted:
    version = versions[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(version), requirement


def test_every_file_of_the_lock_is_known_by_its_hash():
  assert len(LOCKED) > 50
  for requirement, hashes in LOCKED:
    assert hashes, requirement
    for each in hashes:
      assert re.fullmatch(r"sha256:[0-9a-f]{64}[ \\\n]*", each), requirement


def test_what_locked_packages_need_is_locked_too():
  """By the metadata of those that are installed here in the locked version."""
  python = ".".join(map(str, sys.version_info[:3]))
  versions = _versions(python, sys.platform)
  compared = 0
  for name, version in versions.items():
    try:
      here = metadata.distribution(name)
    except metadata.PackageNotFoundError:
      continue
    if here.version != version:
      continue
    compared += 1
    for line in here.requires or ():
      needed = Requirement(line)
      if needed.marker and not needed.marker.evaluate({"extra": ""}):
        continue
      locked = versions[canonicalize_name(needed.name)]
      assert needed.specifier.contains(locked, prereleases=True), (name, line)
  if not compared:
    pytest.skip("nothing here has a locked version")
