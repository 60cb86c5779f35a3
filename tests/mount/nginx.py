"""nginx with TLS in front of the simulator, and certificates for it.

Standard library and the programs nginx and openssl only. A server is one process with its own
prefix on loopback, ended by its process id.
"""

import contextlib
import pathlib
import socket
import subprocess

from mounting import need, wait_until

CONFIG = """
daemon off;
master_process off;
pid {directory}/pid;
error_log {directory}/errors;
events {{ }}
http {{
    log_format connections "$connection";
    access_log {directory}/requests connections;
    client_body_temp_path {directory}/client;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    server {{
        listen {address}:{port} ssl{http2};
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        {more}
        location / {{
            proxy_pass http://127.0.0.1:{upstream};
            proxy_set_header X-Forwarded-Http $server_protocol;
        }}
    }}
}}
"""


def openssl(*arguments):
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, check=False)
    assert done.returncode == 0, (arguments, done.stderr.decode())


class Authority:
    """A certificate authority; `file` is what its friends trust."""

    def __init__(self, directory):
        need("openssl")
        self.directory = pathlib.Path(directory)
        self.file, self.key = self.directory / "ca.crt", self.directory / "ca.key"
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", self.key)
        openssl("req", "-x509", "-new", "-key", self.key, "-days", "2", "-subj", "/CN=tests", "-out", self.file)

    def certificate(self, name, hosts="DNS:localhost,IP:127.0.0.1", days=2, self_signed=False):
        """Paths of a certificate and its key."""
        at = self.directory / name
        key, request, certificate, extensions = (at.with_suffix(s) for s in (".key", ".csr", ".crt", ".ext"))
        extensions.write_text(f"subjectAltName={hosts}\n")
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key)
        openssl("req", "-new", "-key", key, "-subj", f"/CN={name}", "-out", request)
        signer = ("-signkey", key) if self_signed else ("-CA", self.file, "-CAkey", self.key, "-set_serial", "1")
        openssl("x509", "-req", "-in", request, *signer, "-days", days, "-extfile", extensions, "-out", certificate)
        return certificate, key


class Nginx:
    """One running server on `port` of `address`, passing everything on to `upstream`."""

    def __init__(self, directory, upstream, certificate, key, http2=True, more="", address="127.0.0.1"):
        need("nginx")
        self.directory = pathlib.Path(directory)
        self.errors, self.requests = self.directory / "errors", self.directory / "requests"
        self.address = address
        for _ in range(5):  # nginx cannot choose a port: another process may be faster with this one
            with socket.create_server((address, 0)) as free:
                self.port = free.getsockname()[1]
            config = self.directory / "nginx.conf"
            config.write_text(CONFIG.format(directory=directory, address=address, port=self.port, certificate=certificate, key=key,
                                            upstream=upstream, http2=" http2" if http2 else "", more=more))
            self.process = subprocess.Popen(
                ["nginx", "-p", str(directory), "-c", str(config), "-e", str(self.errors)],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            if wait_until(self._listens_or_ended) == "listens":
                return
        raise AssertionError(self.errors.read_text())

    def _listens_or_ended(self):
        if self.process.poll() is not None:
            return "ended"
        with contextlib.suppress(OSError), socket.create_connection((self.address, self.port), timeout=1):
            return "listens"
        return None

    def connections(self):
        """For each request the number of its connection."""
        return self.requests.read_text().split()

    def url(self, path, host=None):
        return f"https://{host or self.address}:{self.port}{path}"

    def end(self):
        assert self.process.poll() is None, self.errors.read_text()
        self.process.terminate()
        self.process.wait(timeout=5)


@contextlib.contextmanager
def nginx(directory, upstream, certificate, **more):
    server = Nginx(directory, upstream, *certificate, **more)
    try:
        yield server
        server.end()
    finally:
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait()
