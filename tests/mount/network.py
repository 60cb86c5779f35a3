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
import socket
import subprocess
import threading

from background import background
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
def named(names, path, env, *options, before=()):
    """A mount whose daemon knows these names; its paths begin with the daemon: `daemon / "binders"`.
    `before`: words that start it, say in another network."""
    script = 'mount --bind "$1" /etc/hosts && mount --bind "$2" /etc/resolv.conf && shift 2 && exec "$@"'
    command = [*before, "unshare", "-m", "sh", "-c", script, "sh", str(names.hosts_file), str(names.resolver_file),
               BINARY]
    words = [word for option in options for word in ("-o", option)]
    with background(path, *words, env=env, path=path, command=command, says=None) as daemon:  # it may warn
        yield daemon


class NameServer:
    """Answers questions for IPv4 addresses on port 53, from `hosts`; what is not there does not exist.
    Silent while `silent`; `asked` counts."""

    def __init__(self, address="127.0.0.1", **hosts):
        self.hosts = {name.replace("_", "."): to for name, to in hosts.items()}
        self.silent, self.asked = False, 0
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, 53))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                question, sender = self.socket.recvfrom(512)
                if not question:
                    return
                self.asked += 1
                if not self.silent:
                    self.socket.sendto(self._answer(question), sender)

    def _answer(self, question):
        """RFC 1035, 4.1: the question once more, and the address if there is one and it is asked for."""
        at, labels = 12, []
        while length := question[at]:
            labels.append(question[at + 1:at + 1 + length].decode())
            at += 1 + length
        kind, end = int.from_bytes(question[at + 1:at + 3], "big"), at + 5
        address = self.hosts.get(".".join(labels).lower())
        answer = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x00\x00\x04" + socket.inet_aton(address or "0.0.0.0")
        count = 1 if address and kind == 1 else 0
        flags = 0x8180 if address else 0x8183
        head = question[:2] + flags.to_bytes(2, "big") + b"\x00\x01" + count.to_bytes(2, "big") + b"\x00" * 4
        return head + question[12:end] + answer * count

    def end(self):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


class Elsewhere:
    """Another network, joined to this one by a link with these addresses: ours, and theirs."""

    def __init__(self, ours, theirs):
        self.process = subprocess.Popen(["unshare", "-n", "sleep", "600"])
        self.before = ["nsenter", "-t", str(self.process.pid), "-n", "--"]
        while os.readlink(f"/proc/{self.process.pid}/ns/net") == os.readlink("/proc/thread-self/ns/net"):
            pass  # until it is there
        ip("link", "add", "near", "type", "veth", "peer", "name", "far", "netns", str(self.process.pid))
        ip("address", "add", f"{ours}/24", "dev", "near")
        ip("link", "set", "near", "up")
        self.ip("address", "add", f"{theirs}/24", "dev", "far")
        self.ip("link", "set", "far", "up")
        self.ip("link", "set", "lo", "up")

    def ip(self, *words):
        run(*self.before, "ip", *words)

    def end(self):
        self.process.kill()
        self.process.wait()
