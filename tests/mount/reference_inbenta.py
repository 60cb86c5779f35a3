"""What a mount of a knowledge base must look like: DESIGN's rules once more, in the simplest form.

From the simulator's truth to the expected trees. Nothing here is taken from the daemon, but which
category of a cycle stands at the top: any may, and `cut` says which ones do.
"""

import calendar
import json
import os
import re
import time

from reference import SECOND, Entry, assign, indent

ROOT = "0"


def mtime_ns(date):
    """14 digits, UTC; None for what is no date."""
    if not re.fullmatch(r"\d{14}", date or ""):
        return None
    try:
        parsed = time.strptime(date, "%Y%m%d%H%M%S")
    except ValueError:
        return None
    return calendar.timegm(parsed) * SECOND


def parents(truth, cut=()):
    """{category: the category it stands in, ROOT for the top}, without the root itself."""
    known = {category["id"] for category in truth["categories"]} - {ROOT}
    return {
        category["id"]: category["parent"] if category["parent"] in known - {category["id"]} else ROOT
        for category in truth["categories"]
        if category["id"] != ROOT
    } | dict.fromkeys(cut, ROOT)


def cycles(truth):
    """The categories of each cycle of several."""
    above, found = parents(truth), set()
    for start in above:
        path = []
        at = start
        while at != ROOT and at not in path:
            path.append(at)
            at = above[at]
        if at != ROOT:
            found.add(frozenset(path[path.index(at) :]))
    return found


def cut_in(truth, mount):
    """Which category of each cycle stands at the top of a mount."""
    top = mount / "by-id/categories"
    at_top = {identity for identity in os.listdir(top) if os.readlink(top / identity).count("/") == 3}
    cut = set()
    for cycle in cycles(truth):
        assert len(cycle & at_top) == 1, (cycle, at_top)
        cut |= cycle & at_top
    return cut


class Tree:
    """`knowledge` and `files`: {relative path: Entry}; `links`: {category: path in knowledge/}; `places`:
    {content: its paths in knowledge/}."""

    def __init__(self, truth, cut=()):
        self.knowledge, self.files, self.links, self.places = {}, {}, {}, {}
        self.categories = {category["id"]: category for category in truth["categories"]}
        self.parents = parents(truth, cut)
        self.contents = {}
        for content in truth["contents"]:
            known = {category for category in content["categories"] if category in {ROOT, *self.parents}}
            for category in known or {ROOT}:
                self.contents.setdefault(category, []).append(content)
        self._fill("", ROOT)

    def _fill(self, path, identity):
        category = self.categories.get(identity)
        if category:
            self.knowledge[path + "category.json"] = Entry(indent(category["raw"]))
        below = [other for other, parent in self.parents.items() if parent == identity]
        contents = self.contents.get(identity, [])
        objects = [(json.loads(self.categories[other]["raw"])["name"], other, "") for other in below]
        objects += [(json.loads(c["raw"])["title"], c["id"], ".json", ".html") for c in contents]
        names = assign(objects, ["category.json"] if category else ())
        for other, name in zip(below, names):
            self.knowledge[path + name] = self.files[path + name] = Entry()
            self.links[other] = path + name
            self._fill(f"{path}{name}/", other)
        for content, name in zip(contents, names[len(below) :]):
            date = mtime_ns(content["modificationDate"])
            self.knowledge[path + name] = Entry(indent(content["raw"]), date)
            self.places.setdefault(content["id"], []).append(path + name)
            if content["answer"] is not None:
                html = path + name.removesuffix(".json") + ".html"
                self.files[html] = Entry(content["answer"].encode(errors="surrogatepass"), date)
