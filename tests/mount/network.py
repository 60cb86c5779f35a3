"""Networks of a test's own: addresses that look public, names that lead where the test says, links
that are cut.

A network namespace belongs to a thread and to the processes that it starts; `in_network` runs a test
in such a thread. `named` starts a daemon in a mount namespace with its own /etc/hosts and
/etc/resolv.conf, which it reads anew for each look-up.
"""

import concurrent.futures
import contextlib
import ctypes
import functools
import os
import pathlib

from background import Background, background
from mounting import BINARY, run
from pooling import leave_children_to_the_main_thread

CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)
# Of documentation (RFC 5737): public for whoever judges by the number.
PUBLIC, OTHER = "203.0.113.1", "203.0.113.2"
PRIVATE = "10.11.12.13"


def ip(*words):
    run("ip", *words)


def in_network(*addresses):
    """Makes a test run where these addresses, and loopback, are all there is."""

    def decorate(test):
        def inside(*arguments, **more):
            assert LIBC.unshare(CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
            ip("link", "set", "lo", "up")
            for address in addresses:
                ip("address", "add", f"{address}/32", "dev", "lo")
            return test(*arguments, **more)

        @functools.wraps(test)
        def outside(*arguments, **more):
            with concurrent.futures.ThreadPoolExecutor(1, initializer=leave_children_to_the_main_thread) as pool:
                return pool.submit(inside, *arguments, **more).result()

        return outside

    return decorate


class Names:
    """What names lead to, for the daemons of a `named`."""

    def __init__(self, directory, **hosts):
        self.hosts_file = pathlib.Path(directory, "hosts")
        self.resolver_file = pathlib.Path(directory, "resolv.conf")
        self.resolver_file.write_text("nameserver 127.0.0.1\noptions timeout:30 attempts:1\n")
        self.lead(**hosts)

    def lead(self, **hosts):
        """In place: the file is mounted over the machine's."""
        with open(self.hosts_file, "w", encoding="ascii") as file:
            for name, addresses in hosts.items():
                for address in addresses.split():
                    file.write(f"{address} {name.replace('_', '.')}\n")


@contextlib.contextmanager
def named(names, path, env, *options):
    """A mount whose daemon knows these names; its paths begin with the daemon: `daemon / "binders"`."""
    script = 'mount --bind "$1" /etc/hosts && mount --bind "$2" /etc/resolv.conf && shift 2 && exec "$@"'
    command = ["unshare", "-m", "sh", "-c", script, "sh", str(names.hosts_file), str(names.resolver_file), BINARY]
    words = [word for option in options for word in ("-o", option)]
    with background(path, *words, env=env, path=path, command=command) as daemon:
        yield daemon


__all__ = ["OTHER", "PRIVATE", "PUBLIC", "Background", "Names", "in_network", "ip", "named"]
