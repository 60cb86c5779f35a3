"""Serves a directory over HTTP as index pages and files, each answer after a latency.

What `rclone mount` reads. HTTP/1.1 with kept connections and single ranges; a thread for each
connection. Usage: index_server.py DIRECTORY LATENCY-MS; prints its port.
"""

import html
import http.server
import os
import re
import sys
import time
import urllib.parse


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    directory, latency_s = sys.argv[1], int(sys.argv[2]) / 1000

    def log_message(self, *_):
        pass

    def head(self, status, kind, length, *headers):
        self.send_response(status)
        for name, value in (("Content-Type", kind), ("Content-Length", str(length)), *headers):
            self.send_header(name, value)
        self.end_headers()

    def index(self, path):
        with os.scandir(path) as entries:
            names = sorted(entry.name + "/" * entry.is_dir() for entry in entries)
        # "./": a name may begin like an address, with a scheme.
        links = (f'<a href="./{urllib.parse.quote(name)}">{html.escape(name)}</a><br>' for name in names)
        page = f"<!DOCTYPE html><title>Index</title>{''.join(links)}".encode()
        self.head(200, "text/html; charset=utf-8", len(page))
        if self.command == "GET":
            self.wfile.write(page)

    def do_GET(self):
        time.sleep(self.latency_s)
        path = self.directory + os.path.normpath(urllib.parse.unquote(self.path.partition("?")[0]))
        if os.path.isdir(path):
            self.index(path)
            return
        if not os.path.isfile(path):
            self.head(404, "text/plain", 0)
            return
        with open(path, "rb") as file:
            end = size = os.fstat(file.fileno()).st_size
            first, more = 0, [("Last-Modified", self.date_time_string(0)), ("Accept-Ranges", "bytes")]
            wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            if wanted and int(wanted[1]) < size:
                first, end = int(wanted[1]), min(int(wanted[2] or size - 1) + 1, size)
                more.append(("Content-Range", f"bytes {first}-{end - 1}/{size}"))
            self.head(206 if len(more) > 2 else 200, "application/octet-stream", end - first, *more)
            if self.command == "GET" and end > first:
                self.connection.sendfile(file, first, end - first)

    do_HEAD = do_GET


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *about):  # a client that goes is no news
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(*about)


server = Server(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
