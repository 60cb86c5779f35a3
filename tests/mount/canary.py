"""What no test may see: the secret, a token or a link's signature in anything that others can read.

Every mount of every test is looked at: its command line, its log, and before its end all of
`.ibinderfs/`; and the simulator of every test, for credentials that came where they do not belong.
"""

import base64
import json
import os
import pathlib
import urllib.parse

import inbenta_client
from sim_client import SECRET

# A token of the simulator begins with the first, a link holds the second.
CANARIES = {
    "a token": {b"canarytoken-", base64.b64encode(b"canarytoken-")},
    "a link's signature": {b"sig="},
    "the client secret": {spelling.encode() for secret in (SECRET, inbenta_client.SECRET) for spelling in (
        secret, urllib.parse.quote(secret), urllib.parse.quote_plus(secret), json.dumps(secret)[1:-1], secret[:6])},
}


def look(place, text):
    """Fails if it holds a canary; does not repeat it."""
    data = text if isinstance(text, bytes) else text.encode(errors="surrogateescape")
    for what, spellings in CANARIES.items():
        if any(spelling in data for spelling in spellings):
            raise AssertionError(f"{place} holds {what}")


def look_at_process(pid):
    look("a command line", pathlib.Path(f"/proc/{pid}/cmdline").read_bytes())


def look_at_control(directory):
    for name in os.listdir(directory):
        look(f".ibinderfs/{name}", (pathlib.Path(directory) / name).read_bytes())


def look_at_core_files(*directories):
    for directory in directories:
        cores = [path for path in pathlib.Path(directory).rglob("core*") if path.is_file() and is_core(path)]
        assert not cores, cores


def is_core(path):
    """ELF, of type core (elf(5): e_type 4)."""
    with open(path, "rb") as file:
        head = file.read(18)
    return head[:4] == b"\x7fELF" and int.from_bytes(head[16:18], "little") == 4
