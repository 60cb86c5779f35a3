"""The mounted tree is the organisation, byte for byte, in a form that every program understands.

The organisation's truth comes from the simulator, the rules from reference.py.
"""

import ctypes
import errno
import json
import mmap
import os
import shutil
import signal
import stat
import tarfile
import time

import pytest

import reference
from mounting import api_requests, by_another, mounted, need, read_tree, run, simulated, wait_until

PLAIN = ("--binders=3", "--folders=8", "--depth=3", "--documents=120")
# As many documents as it takes for every kind of odd name to come up.
ODD = ("--binders=4", "--folders=12", "--depth=4", "--documents=160", "--odd-names", "--odd-numbers")
TTL_S = 0.5
# Past ttl every access waits for a new listing: what it shows was observed then.
WATCHFUL = (f"ttl={TTL_S}", "stale=0")


def let_ttl_pass():
    time.sleep(TTL_S + 0.05)


def contents(expected):
    return {path: entry.content for path, entry in expected.items()}


def differences(found, expected):
    """Empty when the trees are equal; else the first paths that differ, for people."""
    paths = sorted(found.keys() | expected.keys())
    return [path for path in paths if found.get(path, "") != expected.get(path, "")][:10]


def documents_of(expected):
    own = ("binder.json", "folder.json", "metadata-elements.json")
    return {path: entry for path, entry in expected.items() if entry.content and os.path.basename(path) not in own}


def path_of(tree, text):
    """The one file of a tree that holds the text."""
    (path,) = [path for path, content in tree.items() if content and text.encode() in content]
    return path


@pytest.fixture(scope="module")
def shared():
    """One mount for all tests that change nothing: (mount, expected tree)."""
    with simulated(*PLAIN) as sim, mounted(sim, "ttl=600") as mount:
        yield mount, reference.tree(sim.truth())


# --- The tree equals the truth ---


@pytest.mark.parametrize(
    "options",
    [
        PLAIN,
        (*PLAIN, "--seed=7", "--items-wrapper"),
        (*PLAIN, "--max-page=7"),
        (*PLAIN, "--tab-filter=nested", "--max-page=50"),
        (*ODD, "--seed=1"),
        (*ODD, "--seed=2", "--items-wrapper", "--max-page=11"),
        (*ODD, "--seed=3", "--tab-filter=nested"),
        ("--demo",),
        ("--binders=0",),
        ("--binders=2", "--folders=0", "--documents=0"),
        ("--binders=2", "--folders=0", "--documents=9"),
        ("--binders=2", "--folders=9", "--documents=0", "--depth=9"),
    ],
    ids=lambda options: " ".join(options[-3:]),
)
def test_the_tree_equals_the_truth_byte_for_byte(options):
    with simulated(*options) as sim, mounted(sim) as mount:
        expected = contents(reference.tree(sim.truth(), wrapped="--items-wrapper" in options))
        found = read_tree(mount / "binders")
        assert not differences(found, expected)
        for path in found:
            name = os.path.basename(path).encode()
            assert 0 < len(name) <= 255 and not any(byte < 0x20 or byte == 0x7F for byte in name)


def test_the_root_holds_the_views_and_the_control_directory(shared):
    mount, _ = shared
    assert sorted(os.listdir(mount.path)) == [".ibinderfs", "binders", "by-id", "files", "search"]


def test_smaller_pages_asked_for_give_the_same_tree():
    with simulated(*PLAIN) as sim, mounted(sim, "page_size=9") as mount:
        assert not differences(read_tree(mount / "binders"), contents(reference.tree(sim.truth())))
        assert api_requests(sim)["search"] == 3 * 14  # 120 documents, 9 a page


@pytest.mark.parametrize("status", ["404", "405"])
def test_without_the_subfolder_call_documents_stand_in_directories_named_by_folder_id(status):
    with simulated(*ODD, f"--subfolders={status}") as sim, mounted(sim) as mount:
        truth = sim.truth()
        first = by_another(os.listdir, mount / "binders")[0]
        os.listdir(mount / "binders" / first)
        # Those of one listing go out together, before the first answer is there.
        assert 1 <= api_requests(sim)["subfolders"] <= len(truth[0]["folders"])

        # Not asked again: neither for the other binders nor later.
        sim.control("POST", "/stats/reset")
        found = read_tree(mount / "binders")
        assert not differences(found, contents(reference.tree(truth, subfolders=False)))
        assert "subfolders" not in api_requests(sim)
        orphaned = {d["folderId"] for b in truth for d in b["documents"] if d["folderId"]}
        listed = {f["id"] for b in truth for f in b["folders"] if not f["parentId"]}
        assert {path.split("/")[1] for path in found if "/" in path} >= orphaned - listed
        assert "subfolders_path" in mount.control("status")

        # Until SIGHUP, when the server may have learnt it.
        sim.control("POST", "/settings", subfolders="present")
        mount.signal(signal.SIGHUP)
        wait_until(lambda: "subfolders_path" not in mount.control("status"))
        assert not differences(read_tree(mount / "binders"), contents(reference.tree(truth)))


def test_an_empty_subfolders_path_switches_the_call_off():
    with simulated(*PLAIN) as sim, mounted(sim, "subfolders_path=") as mount:
        found = read_tree(mount / "binders")
        assert not differences(found, contents(reference.tree(sim.truth(), subfolders=False)))
        assert "subfolders" not in api_requests(sim)


def test_whoever_clashes_tells_more_until_nobody_does():
    with simulated("--binders=1", "--folders=1", "--documents=6") as sim, mounted(sim) as mount:
        first, second, third, fourth, *others = (document["id"] for document in sim.truth()[0]["documents"])
        sim.change("rename_document", id=first, name="x.pdf")
        sim.change("rename_document", id=second, name="x.pdf")
        sim.change("rename_document", id=third, name=f"x [{first[:8]}].pdf")
        sim.change("rename_document", id=fourth, name="folder")
        found = read_tree(mount / "binders")
        assert found == contents(reference.tree(sim.truth()))
        names = {os.path.basename(path) for path in found}
        assert names >= {
            f"x [{first}].pdf.json",
            f"x [{second[:8]}].pdf.json",
            f"x [{first[:8]}] [{third[:8]}].pdf.json",
            f"folder [{fourth[:8]}].json",
        }


def test_the_numbers_digits_and_the_strings_escapes_survive():
    with simulated("--binders=1", "--documents=3", "--odd-numbers") as sim, mounted(sim) as mount:
        tree = read_tree(mount / "binders")
        document = sim.truth()[0]["documents"][0]
        text = tree[path_of(tree, document["id"])].decode()
        for kept in ("12345678901234567890", "1E400", "-0,", "1.50", r'"\u00e5\/\u0000"'):
            assert kept in text and kept.rstrip(",") in document["raw"]


def test_every_entry_has_one_listing_name_and_its_own_inode(shared):
    mount, expected = shared
    inodes = set()
    for top, dirs, files in os.walk(mount / "binders"):
        with os.scandir(top) as entries:
            entries = list(entries)
        assert len({entry.name for entry in entries}) == len(dirs) + len(files) == len(entries)
        for entry in entries:
            assert entry.inode() == entry.stat(follow_symlinks=False).st_ino
            inodes.add(entry.inode())
    assert len(inodes) == len(expected)


def test_inode_numbers_are_the_same_after_a_remount():
    def inodes(sim, backwards):
        with mounted(sim) as mount:
            paths = sorted(read_tree(mount / "binders"), reverse=backwards)
            return {path: os.lstat(mount / "binders" / path).st_ino for path in paths}

    with simulated(*ODD) as sim:
        assert inodes(sim, False) == inodes(sim, True)


# --- Attributes ---


def test_sizes_are_exact_before_anything_is_opened():
    with simulated(*ODD) as sim, mounted(sim) as mount:
        for path, entry in reference.tree(sim.truth()).items():
            if not entry.is_dir:
                assert os.stat(mount / "binders" / path).st_size == len(entry.content), path
        assert mount.metrics()["upcalls_open_total"] == 0


def test_modes_owner_and_links(shared):
    mount, expected = shared
    for path in ["", *expected]:
        found = os.lstat(mount / "binders" / path)
        is_dir = not path or expected[path].is_dir
        assert found.st_mode == (stat.S_IFDIR | 0o555 if is_dir else stat.S_IFREG | 0o444), path
        assert (found.st_uid, found.st_gid, found.st_nlink) == (os.getuid(), os.getgid(), 1), path


def test_owner_and_modes_can_be_set():
    with simulated("--binders=1") as sim, mounted(sim, "uid=1234,gid=4321,umask=027") as mount:
        tree = read_tree(mount.path)
        assert len(tree) > 60
        for path, content in tree.items():
            found = os.lstat(mount / path)
            assert (found.st_uid, found.st_gid) == (1234, 4321), path
            if not stat.S_ISLNK(found.st_mode):
                assert stat.S_IMODE(found.st_mode) == (0o550 if content is None else 0o440), path


def test_mtimes_are_the_apis_dates_or_the_time_first_seen():
    with simulated(*ODD) as sim:
        before = time.time_ns()
        with mounted(sim) as mount:
            # A binder's directory too has its date before anybody looked inside.
            for name in os.listdir(mount / "binders"):
                assert os.stat(mount / "binders" / name).st_mtime_ns == reference.tree(sim.truth())[name].mtime_ns
            read_tree(mount / "binders")
            after = time.time_ns()
            for path, entry in reference.tree(sim.truth()).items():
                found = os.lstat(mount / "binders" / path)
                if entry.mtime_ns is None:
                    assert before <= found.st_mtime_ns <= after, path
                else:
                    assert found.st_mtime_ns == entry.mtime_ns, path


@pytest.mark.parametrize("op", ["new_version", "set_metadata", "rename_document"])
def test_an_observed_change_sets_mtime_and_ctime_to_the_time_of_observation(op):
    with simulated("--binders=1", "--folders=3", "--documents=30") as sim, mounted(sim, *WATCHFUL) as mount:
        document = sim.truth()[0]["documents"][5]
        tree = read_tree(mount / "binders")
        before = {path: os.stat(mount / "binders" / path) for path in tree}
        old_path = path_of(tree, document["id"])
        # The date that people picked does not win over what was seen to happen.
        sim.change(op, id=document["id"], name="Annan.pdf", key="GLOBAL_RevisionDate", valueId="2020-01-01T00:00:00Z")
        changed = time.time_ns()
        let_ttl_pass()
        tree = read_tree(mount / "binders")
        path = path_of(tree, document["id"])
        after = os.stat(mount / "binders" / path)
        assert changed <= after.st_mtime_ns <= time.time_ns()
        assert after.st_ctime_ns == after.st_mtime_ns
        assert after.st_ino == before[old_path].st_ino
        renamed = {os.path.dirname(path)} if op == "rename_document" else set()
        for other in set(tree) - {path} - renamed:
            assert os.stat(mount / "binders" / other).st_mtime_ns == before[other].st_mtime_ns, other


@pytest.mark.parametrize("op", ["add_document", "delete_document", "rename_document", "add_folder"])
def test_a_directorys_mtime_changes_when_its_entries_do(op):
    with simulated("--binders=1", "--folders=3", "--depth=1", "--documents=30") as sim, mounted(
        sim, *WATCHFUL
    ) as mount:
        (binder,) = sim.truth()
        folder = binder["folders"][0]["id"]
        document = next(d for d in binder["documents"] if d["folderId"] == folder)["id"]
        tree = read_tree(mount / "binders")
        changing = os.path.dirname(path_of(tree, document))
        directories = [path for path, content in tree.items() if content is None]
        before = {path: os.stat(mount / "binders" / path).st_mtime_ns for path in directories}
        sim.change(op, binder=binder["id"], folder=folder, parent=folder, id=document, name="Ny.pdf")
        changed = time.time_ns()
        let_ttl_pass()
        after = {path: os.stat(mount / "binders" / path).st_mtime_ns for path in directories}
        assert changed <= after.pop(changing) <= time.time_ns()
        del before[changing]
        assert after == before


def test_a_directory_that_was_merely_listed_has_not_changed():
    with simulated(*PLAIN) as sim, mounted(sim, *WATCHFUL) as mount:
        top = mount / "binders"
        before = {top: top.stat()}
        before.update({binder: binder.stat() for binder in top.iterdir()})
        for _ in range(2):
            read_tree(mount / "binders")
            let_ttl_pass()
            for path, found in before.items():
                assert (path.stat().st_mtime_ns, path.stat().st_ctime_ns) == (found.st_mtime_ns, found.st_ctime_ns)


# --- What is not there ---


def test_extended_attributes_are_not_supported(shared):
    mount, expected = shared
    for path in (mount.path, mount / "binders", mount / "binders" / next(iter(documents_of(expected)))):
        for ask in (lambda: os.listxattr(path), lambda: os.getxattr(path, "user.x")):
            with pytest.raises(OSError) as refused:
                ask()
            assert refused.value.errno == errno.ENOTSUP


WRITES = {
    "open for writing": lambda file, top: os.open(file, os.O_WRONLY),
    "open for both": lambda file, top: os.open(file, os.O_RDWR),
    "open and truncate": lambda file, top: os.open(file, os.O_RDONLY | os.O_TRUNC),
    "append": lambda file, top: os.open(file, os.O_WRONLY | os.O_APPEND),
    "create": lambda file, top: os.open(top / "ny.txt", os.O_WRONLY | os.O_CREAT, 0o644),
    "temporary": lambda file, top: os.open(top, os.O_RDWR | os.O_TMPFILE),
    "truncate": lambda file, top: os.truncate(file, 0),
    "mkdir": lambda file, top: os.mkdir(top / "ny"),
    "mkfifo": lambda file, top: os.mkfifo(top / "ny"),
    "unlink": lambda file, top: os.unlink(file),
    "rmdir": lambda file, top: os.rmdir(file.parent),
    "rename": lambda file, top: os.rename(file, file.with_name("ny")),
    "rename a directory": lambda file, top: os.rename(file.parent, top / "ny"),
    "link": lambda file, top: os.link(file, file.with_name("ny")),
    "symlink": lambda file, top: os.symlink("x", top / "ny"),
    "chmod": lambda file, top: os.chmod(file, 0o600),
    "chown": lambda file, top: os.chown(file, 1, 1),
    "utime": lambda file, top: os.utime(file),
    "setxattr": lambda file, top: os.setxattr(file, "user.x", b"1"),
    "removexattr": lambda file, top: os.removexattr(file, "user.x"),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
def test_writing_anything_is_refused_with_erofs(shared, write):
    mount, expected = shared
    path = next(path for path in expected if path.count("/") == 2)
    for file, top in (
        (mount / "binders" / path, mount / "binders" / path.split("/")[0]),
        (mount / "binders" / path, mount.path),
        (mount / ".ibinderfs" / "status", mount / ".ibinderfs"),
    ):
        with pytest.raises(OSError) as refused:
            write(file, top)
        assert refused.value.errno == errno.EROFS
        assert not os.access(file, os.W_OK)


def test_names_that_nobody_listed_do_not_exist(shared):
    mount, expected = shared
    folder = mount / "binders" / os.path.dirname(next(path for path in expected if path.count("/") == 2))
    listed = os.listdir(folder)[0]
    for name in ("x", ".git", listed.upper(), listed + " ", "n" * 255, "å" * 127, b"\xff\xfe", b"bad \xc3.pdf"):
        for top in (mount.path, mount / "binders", folder, mount / ".ibinderfs"):
            with pytest.raises(FileNotFoundError):
                os.stat(os.path.join(os.fsencode(top), os.fsencode(name)))
    for name in ("n" * 256, "n" * 4096):
        with pytest.raises(OSError) as refused:
            os.stat(folder / name)
        assert refused.value.errno in (errno.ENOENT, errno.ENAMETOOLONG)


def test_a_file_is_no_directory_and_a_directory_no_file(shared):
    mount, expected = shared
    file = mount / "binders" / next(iter(documents_of(expected)))
    with pytest.raises(NotADirectoryError):
        os.listdir(file)
    with pytest.raises(NotADirectoryError):
        os.stat(file / "x")
    with pytest.raises(IsADirectoryError):
        open(file.parent, "rb").close()
    with pytest.raises(OSError) as refused:
        os.readlink(file)
    assert refused.value.errno == errno.EINVAL


def test_the_file_system_says_what_it_is(shared):
    mount, _ = shared
    found = os.statvfs(mount / "binders")
    assert found.f_namemax == 255
    assert found.f_flag & os.ST_RDONLY and found.f_flag & os.ST_NOSUID
    assert found.f_flag & os.ST_NODEV and found.f_flag & os.ST_NOEXEC
    assert "fuse.ibinderfs" in run("findmnt", "-no", "FSTYPE", str(mount.path))
    run("df", str(mount.path))


# --- The programs that people use ---


def test_find_sees_everything(shared):
    mount, expected = shared
    found = run("find", ".", "-mindepth", "1", "-printf", r"%y %s %P\0", cwd=mount / "binders")
    wanted = {f"{'d 0' if entry.is_dir else f'f {len(entry.content)}'} {path}" for path, entry in expected.items()}
    assert set(found.rstrip("\0").split("\0")) == wanted


def test_ls_shows_sizes_and_reports_nothing_odd(shared):
    mount, expected = shared
    lines = run("ls", "-lR", "--time-style=+%s", str(mount / "binders")).splitlines()
    sizes = sorted(int(line.split()[4]) for line in lines if line.startswith("-r--r--r-- 1 "))
    assert sizes == sorted(len(entry.content) for entry in expected.values() if not entry.is_dir)
    assert sum(line.startswith("dr-xr-xr-x 1 ") for line in lines) == sum(e.is_dir for e in expected.values())


def test_grep_finds_documents_by_their_metadata(shared):
    mount, expected = shared
    wanted = set()
    for path, entry in documents_of(expected).items():
        metadata = json.loads(entry.content).get("metadata", ())
        if {"metadataElementId": "GLOBAL_Status", "valueId": "Archived"} in metadata:
            wanted.add(path)
    found = run("grep", "-rlZ", '"GLOBAL_Status".*"Archived"', ".", cwd=mount / "binders")
    assert {path[2:] for path in found.rstrip("\0").split("\0")} == wanted
    assert 10 < len(wanted) < 200


def test_jq_reads_every_document(shared):
    mount, expected = shared
    need("jq")
    objects = {path: json.loads(entry.content) for path, entry in expected.items() if entry.content}
    objects = {path: value for path, value in objects.items() if isinstance(value, dict)}
    found = run("jq", "-c", ".", *objects, cwd=mount / "binders").splitlines()
    assert [json.loads(line) for line in found] == list(objects.values())


def test_cp_tar_and_shutil_make_exact_copies(shared, tmp_path):
    mount, expected = shared
    source = mount / "binders"
    run("cp", "-r", str(source), str(tmp_path / "cp"))
    shutil.copytree(source, tmp_path / "shutil")
    run("tar", "-C", str(source), "-cf", str(tmp_path / "all.tar"), ".")
    for copy in ("cp", "shutil"):
        assert read_tree(tmp_path / copy) == contents(expected)
    with tarfile.open(tmp_path / "all.tar") as archive:
        members = {member.name[2:]: member for member in archive if member.name != "."}
        assert members.keys() == expected.keys()
        for path, entry in expected.items():
            found = None if members[path].isdir() else archive.extractfile(members[path]).read()
            assert found == entry.content


def test_a_file_of_several_pages_can_be_mapped_sought_and_read_in_pieces():
    with simulated("--binders=1", "--documents=1", "--metadata=200") as sim, mounted(sim) as mount:
        ((path, entry),) = documents_of(reference.tree(sim.truth())).items()
        size = len(entry.content)
        assert size > 2 * mmap.PAGESIZE
        with open(mount / "binders" / path, "rb", buffering=0) as file:
            assert os.pread(file.fileno(), 100, 4050) == entry.content[4050:4150]
            assert os.pread(file.fileno(), 100, size) == b""
            assert b"".join(os.pread(file.fileno(), 7, at) for at in range(0, size, 7)) == entry.content
            with mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
                assert mapped[:] == entry.content
            assert file.seek(0, os.SEEK_END) == size


def test_rsync_copies_nothing_twice_and_after_a_change_exactly_that_file(tmp_path):
    need("rsync")
    with simulated(*ODD) as sim, mounted(sim, *WATCHFUL) as mount:
        command = ("rsync", "-a", "--itemize-changes", str(mount / "binders") + "/", str(tmp_path / "copy"))
        truth = sim.truth()
        run(*command)
        assert read_tree(tmp_path / "copy") == contents(reference.tree(truth))
        assert run(*command) == ""
        let_ttl_pass()
        assert run(*command) == ""  # looking again is no change

        # A new version has an id of the same length: only the time tells.
        document = truth[2]["documents"][1]
        version = sim.change("new_version", id=document["id"])["latestVersionId"]
        let_ttl_pass()
        (line,) = run(*command).splitlines()
        assert line.startswith(">f..t")
        copy = read_tree(tmp_path / "copy")
        assert version.encode() in copy[path_of(copy, document["id"])]
        assert copy == contents(reference.tree(sim.truth()))


def test_reading_a_directory_can_stop_and_go_on():
    """telldir and seekdir, with the C library's own functions, where one reply does not hold all."""
    with simulated("--binders=1", "--folders=1", "--documents=500") as sim, mounted(sim) as mount:
        (folder,) = [path for path, entry in reference.tree(sim.truth()).items() if entry.is_dir and "/" in path]
        places = read_with_places(mount / "binders" / folder)
        assert len(places) == 500 + 3
        assert sorted(places) == sorted(map(os.fsencode, [".", "..", *os.listdir(mount / "binders" / folder)]))


def read_with_places(path):
    """The names in a directory; each is read a second time from the place where it was found."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.opendir.restype = libc.readdir.restype = ctypes.c_void_p
    libc.telldir.restype = ctypes.c_long
    libc.telldir.argtypes = libc.readdir.argtypes = libc.closedir.argtypes = [ctypes.c_void_p]
    libc.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]

    def name_of(entry):
        return ctypes.string_at(entry + 19)  # struct dirent's d_name

    stream = libc.opendir(os.fsencode(path))
    places, names = [], []
    while True:
        place = libc.telldir(stream)
        entry = libc.readdir(stream)
        if not entry:
            break
        places.append(place)
        names.append(name_of(entry))
    for place, name in reversed(list(zip(places, names))):
        libc.seekdir(stream, place)
        assert name_of(libc.readdir(stream)) == name
    libc.closedir(stream)
    return names
