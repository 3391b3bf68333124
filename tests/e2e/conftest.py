"""Fixtures of the end-to-end tests."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import pytest

sys.path.insert(0, os.path.dirname(__file__))
import relais  # noqa: E402


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    """A folder of its own for each run: pytest's common one is closed, at each start of pytest, to the users that other servers run as."""
    if config.option.basetemp is None:
        config.option.basetemp = tempfile.mkdtemp(prefix="relais-e2e-")
        config.relais_folder = config.option.basetemp


def pytest_sessionfinish(session, exitstatus):
    if exitstatus == 0 and hasattr(session.config, "relais_folder"):
        shutil.rmtree(session.config.relais_folder, ignore_errors=True)


@pytest.fixture(scope="module")
def platform(tmp_path_factory):
    """A running platform with two accounts, shared by the tests of one file."""
    with relais.running(tmp_path_factory.mktemp("platform") / "p") as platform:
        platform.add_account("ada")
        platform.add_account("bob")
        yield platform


@pytest.fixture
def own_platform(tmp_path):
    """A running platform for one test alone: it may be killed."""
    with relais.running(tmp_path / "p") as platform:
        platform.add_account("ada")
        yield platform


@pytest.fixture
def small_disk(tmp_path):
    """A 96 MB file system of our own. Mounting needs root, which CI has; others get tmpfs through a user namespace or fail loudly."""
    image, mount = tmp_path / "disk.img", tmp_path / "mnt"
    mount.mkdir()
    with open(image, "wb") as file:
        file.truncate(96 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", "-F", str(image)], check=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(mount)], check=True)
    yield mount
    subprocess.run(["umount", str(mount)], check=True)


@pytest.fixture
def shared_corpus():
    """The large corpus that lies beside the project on some machines; None elsewhere."""
    root = os.environ.get("RELAIS_SHARED") or pathlib.Path(__file__).resolve().parents[3] / "shared"
    corpus = pathlib.Path(root) / "corpus"
    return corpus if corpus.is_dir() else None
