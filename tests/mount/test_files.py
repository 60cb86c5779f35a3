"""files/ as tools see it: the names of binders/, exact sizes once a file is open, and the right bytes.

What is compared with is the simulator's truth, by hash; what it costs is what the simulator counted.
"""

import base64
import concurrent.futures
import hashlib
import mmap
import os
import random
import signal
import stat
import subprocess
import sys

import pytest

import reference
from documents import documents_of, sha256, traffic
from mounting import api_requests, mounted, need, run, simulated, wait_until

KIB = 1024
MIB = 1024 * KIB
# The first request for a document brings so much of it.
FIRST_BYTES = 512 * KIB


def walk(path):
    """Relative paths of directories and of other entries."""
    dirs, files = set(), set()
    for top, names, others in os.walk(path):
        at = os.path.relpath(top, path)
        dirs.update(os.path.normpath(os.path.join(at, name)) for name in names)
        files.update(os.path.normpath(os.path.join(at, name)) for name in others)
    return dirs, files


# --- Names and attributes ---


@pytest.mark.parametrize("odd", [(), ("--odd-names",)], ids=["usual", "odd"])
def test_files_has_the_names_of_binders_without_their_suffix(odd):
    """And nothing else: not the JSON of binders and folders."""
    with simulated("--binders=3", "--documents=80", *odd) as sim, mounted(sim) as mount:
        expected = reference.tree(sim.truth())
        dirs = {path for path, entry in expected.items() if entry.is_dir}
        files = {
            path.removesuffix(".json")
            for path, entry in expected.items()
            if not entry.is_dir and b'"fileName"' in entry.content
        }
        assert len(files) == sum(len(binder["documents"]) for binder in sim.truth())
        assert walk(mount / "files") == (dirs, files)
        # Each by itself, too, and none of those that are only in binders/.
        for path in files:
            assert stat.S_ISREG(os.lstat(mount / "files" / path).st_mode)
        for path in expected:
            if path not in files | dirs:
                assert not os.path.lexists(mount / "files" / path), path


@pytest.mark.parametrize("command", [("ls", "-lR"), ("find",), ("find", "-type", "f")], ids=" ".join)
def test_walking_files_costs_what_walking_binders_costs(sim, command):
    """And no download link, whichever of them is walked first."""
    program, *options = command

    def walk_with(mount, directory):
        targets = [str(mount / directory)]
        run(program, *(options + targets if program == "ls" else targets + options))

    spent = {}
    for first, second in ("binders", "files"), ("files", "binders"):
        sim.control("POST", "/stats/reset")
        with mounted(sim) as mount:
            walk_with(mount, first)
            spent[first] = api_requests(sim)
            walk_with(mount, second)
            assert api_requests(sim) == spent[first]
    assert spent["files"] == spent["binders"]
    assert spent["files"]["search"] >= 3 and not {"downloadlink", "storage", "document"} & spent["files"].keys()


def test_attributes_before_a_file_was_opened(sim, mount):
    documents = documents_of(sim, mount)
    assert len(documents) == 360
    for document in documents:
        attributes, json_attributes = document.path.lstat(), document.json.lstat()
        assert (attributes.st_size, attributes.st_mode) == (0, stat.S_IFREG | 0o444)
        assert attributes.st_mtime_ns == json_attributes.st_mtime_ns
        assert attributes.st_uid == os.getuid()
    assert "downloadlink" not in api_requests(sim)


def test_inode_numbers_are_those_of_no_other_file_and_survive_a_remount(sim):
    def numbers_of(mount):
        return {
            os.path.join(top, name).removeprefix(str(mount.path)): os.lstat(os.path.join(top, name)).st_ino
            for top, dirs, files in os.walk(mount.path)
            for name in dirs + files
        }

    with mounted(sim) as mount:
        before = numbers_of(mount)
    assert len(set(before.values())) == len(before) > 2 * 360
    # Nor for an indexer that keeps the lowest 32 bits, as Baloo does.
    assert len({number & 0xFFFFFFFF for number in before.values()}) == len(before)
    with mounted(sim) as mount:
        for document in documents_of(sim, mount)[:3]:
            document.path.read_bytes()
        assert numbers_of(mount) == before


def test_a_directory_read_entry_by_entry_shows_the_same_inode_numbers(mount):
    (binder, *_) = os.scandir(mount / "files")
    for entry in os.scandir(binder.path):
        assert entry.inode() == os.lstat(entry.path).st_ino


def test_nothing_in_files_can_be_written(sim, mount):
    document = documents_of(sim, mount)[0]
    for call in (
        lambda: os.open(document.path, os.O_WRONLY),
        lambda: os.truncate(document.path, 0),
        lambda: os.unlink(document.path),
        lambda: os.mkdir(mount / "files" / "new"),
        lambda: os.open(document.path.parent / "new", os.O_CREAT | os.O_WRONLY),
    ):
        with pytest.raises(OSError, match="Read-only file system"):
            call()


# --- Every document, by hash ---

SIZES = {
    "nothing or one byte": ("--documents=20", 0, 1),
    "one block": ("--documents=20", 64 * KIB - 1, 64 * KIB + 1),
    "two blocks": ("--documents=20", 128 * KIB - 1, 128 * KIB + 1),
    "the first part": ("--documents=20", FIRST_BYTES - 1, FIRST_BYTES + 1),
    "several parts": ("--documents=8", 4 * MIB, 4 * MIB + 1),
}


@pytest.mark.parametrize("size", SIZES)
def test_every_document_comes_whole_and_by_the_fewest_requests(size):
    number, least, most = SIZES[size]
    with (
        simulated("--binders=1", "--folders=2", number, f"--size-min={least}", f"--size-max={most}") as sim,
        mounted(sim) as mount,
    ):
        documents = documents_of(sim, mount)
        assert {document.size for document in documents} == set(range(least, most + 1))
        with traffic(sim) as seen:
            contents = [document.path.read_bytes() for document in documents]
        for document, content in zip(documents, contents, strict=True):
            assert (len(content), sha256(content)) == (document.size, sha256(document.truth()))
        assert seen.bytes == sum(document.size for document in documents)
        if most <= FIRST_BYTES:
            assert seen.routes == {"downloadlink": len(documents), "storage": len(documents)}
        else:
            assert seen.links == len(documents)
            assert seen.requests <= sum(1 + -(-document.size // FIRST_BYTES) for document in documents)
        with traffic(sim) as seen:
            for document in documents:
                assert document.path.read_bytes() == document.truth()
                assert document.path.lstat().st_size == document.size
        assert not seen.routes


def test_a_whole_organisation_read_at_once_is_right():
    """Text, in the demo organisation; elsewhere every fourth line of 64 bytes is binary."""
    with simulated("--demo") as sim, mounted(sim) as mount:
        documents = documents_of(sim, mount)
        assert len(documents) > 50
        with traffic(sim) as seen, concurrent.futures.ThreadPoolExecutor(8) as pool:
            hashes = list(pool.map(lambda document: sha256(document.path.read_bytes()), documents))
        assert hashes == [sha256(document.truth()) for document in documents]
        assert (seen.links, seen.bytes) == (len(documents), sum(document.size for document in documents))
        assert run("grep", "-rl", "%PDF-1.7", str(mount / "files")).count("\n") == len(documents)


@pytest.mark.parametrize(
    "settings",
    [{}, {"storage_416": "bare"}, {"storage_range": False}, {"storage_range": False, "storage_length": False}],
    ids=lambda settings: "+".join(f"{key}={value}" for key, value in settings.items()) or "usual",
)
def test_an_empty_document_is_an_empty_file(settings, tmp_path):
    with simulated("--binders=1", "--documents=4", "--size-min=0", "--size-max=0") as sim, mounted(sim) as mount:
        sim.control("POST", "/settings", **settings)
        first, second, *_ = documents_of(sim, mount)
        with traffic(sim) as seen, open(first.path, "rb") as file:
            assert os.fstat(file.fileno()).st_size == 0
            assert file.read() == b"" and os.pread(file.fileno(), 10, 1000) == b""
            assert file.seek(0, os.SEEK_END) == 0
            with pytest.raises(ValueError, match="empty file"):
                mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        assert seen.links == 1 and seen.requests <= 2
        run("cp", str(second.path), str(tmp_path))
        assert (tmp_path / second.path.name).read_bytes() == b""
        with traffic(sim) as seen:
            assert run("wc", "-c", str(first.path)).split()[0] == "0"
        assert not seen.routes


# --- Tools ---

SIZE = 700 * KIB + 321


@pytest.fixture(scope="module")
def library():
    """A mount with documents that no test has opened yet, each in a directory of its own, so that none is
    fetched ahead: each test takes its own."""
    with (
        simulated("--binders=1", "--folders=60", "--documents=60", f"--size-min={SIZE}", f"--size-max={SIZE}") as sim,
        mounted(sim, "ttl=600") as mount,
    ):
        yield iter(documents_of(sim, mount))


@pytest.fixture
def fresh(library):
    document = next(library)
    assert document.path.lstat().st_size == 0
    return document


# What a tool writes for the file it is given as "$1".
COMMANDS = {
    'cat "$1"': lambda content: content,
    'cat <"$1"': lambda content: content,
    'tail -n 3 "$1"': lambda content: b"\n".join(content.split(b"\n")[-3:]),
    'tail -c 100001 "$1"': lambda content: content[-100001:],
    'tail -c +600001 "$1"': lambda content: content[600000:],
    'head -n 1 "$1"': lambda content: content[: content.index(b"\n") + 1],
    'head -c 70001 "$1"': lambda content: content[:70001],
    'head -c -70001 "$1"': lambda content: content[:-70001],
    'wc -l <"$1"': lambda content: b"%d\n" % content.count(b"\n"),
    'wc -c <"$1"': lambda content: b"%d\n" % len(content),
    'exec <"$1"; stat -Lc %s /dev/stdin': lambda content: b"%d\n" % len(content),
    'md5sum <"$1"': lambda content: hashlib.md5(content).hexdigest().encode() + b"  -\n",
    'od -An -tx1 -j 650001 -N 4 "$1"': lambda content: b" " + content[650001:650005].hex(" ").encode() + b"\n",
    'base64 -w 0 "$1"': base64.b64encode,
    'dd if="$1" bs=777 status=none': lambda content: content,
    'dd if="$1" bs=1M iflag=direct status=none': lambda content: content,
    'dd if="$1" bs=4099 skip=100 count=3 status=none': lambda content: content[409900 : 409900 + 3 * 4099],
    'dd if="$1" bs=1 skip=65535 count=2 status=none': lambda content: content[65535:65537],
    'gzip -c "$1" | gunzip': lambda content: content,
    'grep -ac % "$1"': lambda content: b"%d\n" % sum(b"%" in line for line in content.split(b"\n")),
    'cd "$(mktemp -d)" && cp -p "$1" copy && [ ! "$1" -nt copy ] && cat copy': lambda content: content,
}
# The same of Python, for the open file `f`.
PYTHON = {
    "f.read()": lambda content: content,
    "f.readall()": lambda content: content,
    "mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)[:]": lambda content: content,
    "mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)[-1000:]": lambda content: content[-1000:],
    "b'%d' % f.seek(0, 2)": lambda content: b"%d" % len(content),
    "(f.seek(-1000, 2), f.read())[1]": lambda content: content[-1000:],
    "os.pread(f.fileno(), 5000, 699000)": lambda content: content[699000:704000],
    "os.pread(f.fileno(), 5000, 717000)": lambda content: content[717000:],
    "os.pread(f.fileno(), 5000, 10**12)": lambda content: b"",
    "b'%d' % os.sendfile(1, f.fileno(), 0, 5000)": lambda content: content[:5000] + b"5000",
    "(shutil.copyfile(f.name, n := tempfile.mktemp()), open(n, 'rb').read(), os.unlink(n))[1]": lambda content: content,
    "b'%d' % os.fstat(f.fileno()).st_size": lambda content: b"%d" % len(content),
}
HEAD = "import mmap, os, shutil, sys, tempfile\nwith open(sys.argv[1], 'rb', 0) as f: sys.stdout.buffer.write("


@pytest.mark.parametrize("command", COMMANDS)
def test_a_tool_sees_the_bytes_of_a_file_that_was_never_opened(fresh, command, tmp_path):
    done = subprocess.run(
        ["bash", "-c", command, "bash", str(fresh.path)],
        capture_output=True, timeout=30, check=False, env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == COMMANDS[command](fresh.truth())


@pytest.mark.parametrize("code", PYTHON)
def test_a_program_sees_the_bytes_of_a_file_that_was_never_opened(fresh, code):
    done = subprocess.run([sys.executable, "-c", HEAD + code + ")", str(fresh.path)], capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == PYTHON[code](fresh.truth())


def test_comparing_two_files_tells_them_apart(library, tmp_path):
    one, other = next(library), next(library)
    (tmp_path / "copy").write_bytes(one.truth())
    assert subprocess.run(["cmp", str(one.path), str(tmp_path / "copy")], check=False).returncode == 0
    changed = bytearray(other.truth())
    changed[-1] ^= 1
    (tmp_path / "copy").write_bytes(changed)
    done = subprocess.run(["cmp", str(tmp_path / "copy"), str(other.path)], capture_output=True, check=False)
    assert done.returncode == 1 and f"byte {SIZE}".encode() in done.stdout, done


def test_random_places_of_an_open_file(fresh):
    rng, content = random.Random(7), fresh.truth()
    with open(fresh.path, "rb", 0) as file:
        assert os.fstat(file.fileno()).st_size == SIZE
        for _ in range(200):
            offset, length = rng.randrange(SIZE + 1000), rng.choice((1, 100, 4096, 65536, 200_000))
            assert os.pread(file.fileno(), length, offset) == content[offset : offset + length], (offset, length)


def test_the_times_are_those_of_the_json_also_once_it_was_read(fresh):
    before = fresh.json.lstat()
    fresh.path.read_bytes()
    after = fresh.path.lstat()
    assert (after.st_mtime_ns, after.st_size) == (before.st_mtime_ns, SIZE)
    assert after.st_blocks == (SIZE + 511) // 512


# --- Tools that go over many files ---


SHELF = ("--binders=1", "--folders=4", "--documents=40", "--size-max=200000")


@pytest.fixture
def shelf():
    with simulated(*SHELF) as sim, mounted(sim, "ttl=600") as mount:
        yield sim, mount, documents_of(sim, mount)


def contents_below(path):
    """By relative path."""
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def truth_of(mount, documents):
    return {str(document.path.relative_to(mount / "files")): document.truth() for document in documents}


def test_rsync_copies_all_then_nothing_then_what_has_a_new_version(tmp_path):
    need("rsync")
    with simulated(*SHELF) as sim, mounted(sim, "ttl=1", "stale=0") as mount:
        documents = documents_of(sim, mount)

        def copy():
            lines = run("rsync", "-a", "--8-bit-output", "--itemize-changes", f"{mount / 'files'}/", f"{tmp_path}/").splitlines()
            return [line.split(" ", 1)[1] for line in lines if line.startswith(">f")]

        with traffic(sim) as seen:
            assert len(copy()) == len(documents)
        assert (seen.links, seen.requests) == (len(documents), len(documents))
        assert contents_below(tmp_path) == truth_of(mount, documents)
        for document in documents:
            copied = tmp_path / document.path.relative_to(mount / "files")
            assert copied.stat().st_mtime_ns == document.json.stat().st_mtime_ns
        with traffic(sim) as seen:
            assert copy() == []
        assert (seen.links, seen.requests) == (0, 0)
        shown_ns = documents[5].path.stat().st_mtime_ns
        documents[5] = documents[5].new_version()
        wait_until(lambda: documents[5].path.stat().st_mtime_ns > shown_ns)
        with traffic(sim) as seen:
            assert copy() == [str(documents[5].path.relative_to(mount / "files"))]
        assert (seen.links, seen.requests) == (1, 1)
        assert contents_below(tmp_path) == truth_of(mount, documents)


def test_tar_and_du_are_right_about_files_that_were_read(shelf, tmp_path):
    sim, mount, documents = shelf
    total = sum(document.size for document in documents)
    run("sh", "-c", 'find "$1" -type f -exec cat {} + >/dev/null', "sh", str(mount / "files"))
    with traffic(sim) as seen:
        run("tar", "-C", str(mount / "files"), "-cf", str(tmp_path / "all.tar"), ".")
        sizes = run("find", str(mount / "files"), "-type", "f", "-printf", "%s\n").split()
    assert not seen.routes
    assert sum(map(int, sizes)) == total
    (tmp_path / "out").mkdir()
    run("tar", "-C", str(tmp_path / "out"), "-xf", str(tmp_path / "all.tar"))
    assert contents_below(tmp_path / "out") == truth_of(mount, documents)


def test_cp_copies_a_whole_tree_that_was_never_opened(shelf, tmp_path):
    sim, mount, documents = shelf
    with traffic(sim) as seen:
        run("cp", "-r", "--preserve=timestamps", str(mount / "files"), str(tmp_path / "copy"))
    assert contents_below(tmp_path / "copy") == truth_of(mount, documents)
    assert (seen.links, seen.requests) == (len(documents), len(documents))
    assert seen.bytes == sum(document.size for document in documents)
