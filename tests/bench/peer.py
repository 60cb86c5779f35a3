"""The peer: `rclone mount` with its default options, over an HTTP index of a directory."""

import contextlib
import os
import pathlib
import subprocess
import sys
import tempfile

from model import ended_by_id
from mounting import clean_environment, wait_until


@contextlib.contextmanager
def rclone_mounted(directory, latency, scratch):
    """Mounts `directory` as an index server shows it, each answer after `latency` ms; gives the path."""
    path = pathlib.Path(tempfile.mkdtemp(dir=scratch))
    server = [sys.executable, pathlib.Path(__file__).with_name("index_server.py"), directory, str(latency)]
    with ended_by_id(subprocess.Popen(server, stdout=subprocess.PIPE)) as index:
        url = f"http://127.0.0.1:{int(index.stdout.readline())}/"
        rclone = ["rclone", "mount", ":http:", path, "--http-url", url, "--read-only", "--config", os.devnull,
                  "--cache-dir", path.with_name(path.name + "-cache")]
        with ended_by_id(subprocess.Popen(rclone, env=clean_environment())) as process:
            wait_until(lambda: os.path.ismount(path))
            try:
                yield path
            finally:
                subprocess.run(["fusermount3", "-u", path], check=True)
                process.wait(timeout=20)
        path.rmdir()
