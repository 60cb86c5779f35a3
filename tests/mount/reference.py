"""What a mount of an organisation must look like: DESIGN's rules once more, in the simplest form.

From the simulator's truth to the expected tree. Nothing here is taken from the daemon: where the
two differ, one of them is wrong. An extension is what begins with a name's last dot, unless that is
its first character or the extension is longer than 16 bytes or holds a blank.
"""

import calendar
import json
import re
import time

NAME_MAX = 255
EXTENSION_MAX = 16
SECOND = 10**9


class Entry:
    """One file or directory. `mtime_ns` is None where the time first seen is shown."""

    def __init__(self, content=None, mtime_ns=None):
        self.content, self.mtime_ns = content, mtime_ns

    @property
    def is_dir(self):
        return self.content is None


# --- JSON: what was sent, with other white space ---


def indent(raw):
    """Two spaces a level; what holds only scalars stays on one line; a newline ends the file."""
    tokens = re.findall(r'"(?:[^"\\]|\\.)*"|[\[\]{},:]|[^\s\[\]{},:"]+', raw)
    text, rest = _value(tokens, 0, 0)
    assert rest == len(tokens)
    return (text + "\n").encode()


def _value(tokens, at, depth):
    """The text of the value that begins at a token, and the index of the token after it."""
    opening = tokens[at]
    if opening not in "[{":
        return opening, at + 1
    at, parts, nested = at + 1, [], False
    while tokens[at] not in "]}":
        key = ""
        if opening == "{":
            assert tokens[at + 1] == ":"
            key, at = tokens[at] + ": ", at + 2
        nested = nested or tokens[at] in "[{"
        part, at = _value(tokens, at, depth + 1)
        parts.append(key + part)
        if tokens[at] == ",":
            at += 1
    closing = tokens[at]
    if not nested:
        return opening + ", ".join(parts) + closing, at + 1
    inner, outer = "\n" + "  " * (depth + 1), "\n" + "  " * depth
    return opening + inner + ("," + inner).join(parts) + outer + closing, at + 1


# --- Names ---


def legal(name):
    """The name with everything replaced that a file name cannot hold."""
    if name in (".", ".."):
        return name.replace(".", "．")
    return "".join(map(_legal_character, name))


def _legal_character(character):
    code = ord(character)
    if character == "/":
        return "／"
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    hazards = (range(0xD800, 0xE000), range(0x80, 0xA0), range(0x202A, 0x202F), range(0x2066, 0x206A))
    return "\ufffd" if any(code in hazard for hazard in hazards) else character


def _cut(text, size):
    return text.encode()[:size].decode(errors="ignore")


def _marked(name, mark, room):
    """The name with " [mark]" before its extension, cut to the room there is."""
    dot = name.rfind(".")
    stem, extension = (name[:dot], name[dot:]) if dot > 0 else (name, "")
    if len(extension.encode()) > EXTENSION_MAX or " " in extension:
        stem, extension = name, ""
    tail = f" [{mark}]{extension}"
    return _cut(stem, room - len(tail.encode())) + tail


class _Named:
    """An object that needs a name, and how much the name has to tell."""

    def __init__(self, raw, identity, suffix, content_suffix=""):
        self.name = legal(raw) or identity
        self.marks = [identity[:8], identity]
        self.suffix, self.content_suffix = suffix, content_suffix
        self.level = 0 if len((self.name + suffix).encode()) <= NAME_MAX else 1

    def text(self):
        if self.level == 0:
            return self.name
        return _marked(self.name, self.marks[self.level - 1], NAME_MAX - len(self.suffix))


def assign(objects, reserved):
    """File names for (raw name, id, suffix, suffix in files/) in one directory, in that order. They are
    distinct with the one and with the other, since binders/ and files/ have the same names."""
    named = [_Named(*each) for each in objects]
    while True:
        holders = {("with", name): [None] for name in reserved}
        for each in named:
            holders.setdefault(("with", each.text() + each.suffix), []).append(each)
            holders.setdefault(("files", each.text() + each.content_suffix), []).append(each)
        clashing = {each for group in holders.values() if len(group) > 1 for each in group if each}
        if not clashing:
            return [each.text() + each.suffix for each in named]
        for each in clashing:
            each.level += 1


# --- Times ---


def date_ns(text):
    """RFC 3339, also with fractions and offsets; None for what is not a date."""
    match = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)", text or "")
    if not match:
        return None
    seconds = calendar.timegm(time.strptime(match[1], "%Y-%m-%dT%H:%M:%S"))
    if match[3] != "Z":
        hours, minutes = int(match[3][1:3]), int(match[3][4:])
        seconds -= (-1 if match[3][0] == "-" else 1) * (hours * 3600 + minutes * 60)
    return seconds * SECOND + int((match[2] or "").ljust(9, "0")[:9])


def document_mtime_ns(document):
    values = {entry["metadataElementId"]: entry["valueId"] for entry in document["metadata"]}
    dates = (date_ns(values.get(key)) for key in ("GLOBAL_RevisionDate", "GLOBAL_Date"))
    return next((date for date in dates if date is not None), None)


# --- The tree ---


def binder_tree(binder, subfolders, wrapped):
    """What stands below one binder's directory: {relative path: Entry}."""
    raw = json.loads(binder["raw"])
    created = date_ns(raw["createdAt"])
    listed = [folder for folder in binder["folders"] if subfolders or not folder["parentId"]]
    known = {folder["id"] for folder in listed}
    orphanages = {d["folderId"] for d in binder["documents"] if d["folderId"]} - known
    children = {}
    for folder in listed:
        children.setdefault(folder["parentId"], []).append((json.loads(folder["raw"])["name"], folder["id"], folder))
    for identity in orphanages:
        children.setdefault(None, []).append((identity, identity, None))

    def fill(path, identity, own):
        tree = {path + name: entry for name, entry in own.items()}
        folders = children.get(identity, [])
        documents = [d for d in binder["documents"] if d["folderId"] == identity]
        objects = [(name, folder_id, "") for name, folder_id, _ in folders]
        objects += [(json.loads(d["raw"])["fileName"], d["id"], ".json") for d in documents]
        names = assign(objects, own)
        for name, (_, folder_id, folder) in zip(names, folders):
            tree[path + name] = Entry()
            inside = {"folder.json": Entry(indent(folder["raw"]))} if folder else {}
            tree.update(fill(path + name + "/", folder_id, inside))
        for name, document in zip(names[len(folders) :], documents):
            mtime_ns = document_mtime_ns(json.loads(document["raw"]))
            tree[path + name] = Entry(indent(document["raw"]), mtime_ns)
        return tree

    elements = f'{{"items": {binder["metadataelements"]}}}' if wrapped else binder["metadataelements"]
    own = {
        "binder.json": Entry(indent(binder["raw"]), created),
        "metadata-elements.json": Entry(indent(elements)),
    }
    return fill("", None, own)


def tree(truth, subfolders=True, wrapped=False):
    """What stands below binders/: {relative path: Entry}. Without `subfolders` the server does not
    have the call that lists them; `wrapped`, it sends lists as {"items": …}."""
    raws = [json.loads(binder["raw"]) for binder in truth]
    names = assign([(raw["name"], raw["id"], "") for raw in raws], ())
    expected = {}
    for name, raw, binder in zip(names, raws, truth):
        expected[name] = Entry(mtime_ns=date_ns(raw["createdAt"]))
        for path, entry in binder_tree(binder, subfolders, wrapped).items():
            expected[f"{name}/{path}"] = entry
    return expected
