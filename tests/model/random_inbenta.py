"""A random run's knowledge base in Inbenta."""

import inbenta_client
import reference
from inbenta_client import Inbenta
from random_world import CLEAN_FAULTS, TOKEN_FAULTS, WRONG_TYPES, Expected, World
from reference_inbenta import ROOT, Tree, cut_in

LISTS = ("categories", "contents")
AUTHORIZATION = ("auth", "refresh", "apis")
UNKNOWN_CATEGORY = 999_999
# Answers that are no knowledge base's are never shown, so these leave nothing behind either.
REFUSED_FAULTS = [
    {"kind": "null_items"}, {"kind": "deep"}, {"kind": "redirect"}, {"kind": "status", "status": 403},
    {"kind": "status", "status": 404}, {"kind": "status", "status": 403, "body": '{"Message": "with an explicit deny"}'},
    {"kind": "status", "status": 403, "body": '{"Message": "not a valid key=value pair"}'}, *WRONG_TYPES,
]
ENDLESS_FAULTS = [{"kind": "zero_page"}, {"kind": "big_total"}]
SMALL = ("--contents=40", "--categories=10", "--size-min=0", "--size-max=30000")
# What is there twice, as it was and as it is fetched, comes near the least memory there is.
LARGE = ("--contents=190", "--categories=25", "--category-depth=6", "--size-max=1000")
CONTENTS_MAX, CATEGORIES_MAX = 200, 30


class KnowledgeBase(World):
    TOP, LINKS, OBJECTS = "knowledge", "categories", "contents"
    EXACT = (("knowledge", ".json"), ("files", ".html"))
    UNKNOWN_ID = "999999999999"
    LISTINGS_SHARE = 1
    TTL_MIN = 0.05  # with 0, all of it would be fetched for each name that is looked up
    EXPIRIES = ("/tokens/revoke", "/addresses/move")
    SETTINGS = {
        "latency_ms": (0, 0, 5, 50), "jitter_ms": (0, 20), "max_page": (100, 3, 20), "token_life": (1200, 1200, 2),
        "throttle_limit": (0, 0, 10, 40), "usage": ("fraction", "percent", "ratio", "garbage", "absent"),
        "reset": ("seconds", "unix"), "dead_token": ("403", "401"), "old_address": ("403", "404"),
        "old_addresses": (0, 1), "errors": ("auto", "error", "Message", "message"),
    }
    SIMULATOR = Inbenta

    @staticmethod
    def draw_options(rng, large):
        """Options of the simulator, and of the mount, and its environment."""
        odd = [option for option in ("--odd-names", "--odd-numbers", "--odd-categories") if rng.random() < 0.6]
        ids = rng.choice(("number", "string", "mixed"))
        env = {}
        if rng.random() < 0.3:
            odd.append("--origin=every")
            env = {"INBENTA_SECRET": "", "INBENTA_DOMAIN_KEY": inbenta_client.DOMAIN_KEY,
                   "INBENTA_DOMAIN": inbenta_client.ORIGIN}
        return (
            (*(LARGE if large else SMALL), *odd, f"--ids={ids}", "--clicks=all", "--throttle-window=2"),
            {"page_size": 100 if large else rng.choice((7, 100))},
            env,
        )

    def objects(self):
        found = {("category", each["id"]): reference.indent(each["raw"]) for each in self.truth["categories"]}
        found.update((("content", each["id"]), reference.indent(each["raw"])) for each in self.truth["contents"])
        return found

    def remember_bodies(self):
        for content in self.truth["contents"]:
            known = self.bodies[content["id"]]
            if content["answer"] is not None:
                body = content["answer"].encode(errors="surrogatepass")
                self.texts.add(body)
                if body not in known:
                    known.append(body)

    def by_id(self):
        return {identity: text for (kind, identity), text in self.current.items() if kind == "content"}

    def expected(self, mount):
        assert self.sim.stats()["clicks"] == 0
        tree = Tree(self.truth, cut_in(self.truth, mount))
        keys = {path + "/category.json": ("category", identity) for identity, path in tree.links.items()}
        if "category.json" in tree.knowledge:
            keys["category.json"] = "category", ROOT
        keys.update((path, ("content", identity)) for identity, paths in tree.places.items() for path in paths)
        files = {path: entry.content for path, entry in tree.files.items()}
        file_keys = {path: keys[path.removesuffix(".html") + ".json"]
                     for path, content in files.items() if content is not None}
        return Expected(tree.knowledge, keys, files, file_keys, tree.links)

    def draw_change(self):
        rng = self.rng
        category = int(rng.choice(self.truth["categories"])["id"])
        content = rng.choice(self.truth["contents"]) if self.truth["contents"] else None
        name = self.draw_name()
        roll = rng.random()
        if roll < 0.1:
            if len(self.truth["categories"]) < CATEGORIES_MAX:
                return "add_category", {"name": name, "parent": rng.choice((category, category, UNKNOWN_CATEGORY))}
            roll = 0.2
        if roll < 0.25 and str(category) != ROOT:
            if roll < 0.15:
                return "rename_category", {"id": category, "name": name}
            if roll < 0.2:  # cycles come about, and go
                return "move_category", {"id": category, "parent": int(rng.choice(self.truth["categories"])["id"])}
            return "delete_category", {"id": category, "keep_ids": rng.random() < 0.5}
        if roll < 0.4 or not content:
            if len(self.truth["contents"]) > CONTENTS_MAX:
                return None
            return "add_content", {"name": name, "categories": self.draw_categories(), **self.draw_text(None)}
        more = {"id": content["id"], **rng.choice(({}, {}, {"date": "20240506070809"}, {"date": "2024"}, {"date": ""}))}
        if roll < 0.5:
            return "delete_content", more
        if roll < 0.6:
            return "rename_content", {**more, "name": name}
        if roll < 0.75:
            return "move_content", {**more, "categories": self.draw_categories()}
        return "modify_content", {**more, **self.draw_text(content["answer"])}

    def draw_categories(self):
        known = [int(category["id"]) for category in self.truth["categories"]]
        drawn = self.rng.sample([*known, UNKNOWN_CATEGORY], min(len(known), self.rng.choice((0, 1, 1, 2, 3, 5))))
        return drawn + [int(ROOT)] * (self.rng.random() < 0.2)

    def draw_text(self, before):
        """Also none, an empty one, one as long as before, and one that is no Unicode."""
        letter = self.rng.choice("abcdefgh")
        return self.rng.choice(({}, {"text": None}, {"text": ""}, {"text": letter * len(before or "")},
                                {"text": letter * self.rng.randrange(9000)}, {"text_raw": '"\\ud800\\u0000"'}))

    def draw_fault(self, dirty):
        rng = self.rng
        roll = rng.random()
        if roll < 0.25:
            return rng.choice(AUTHORIZATION), rng.choice((*TOKEN_FAULTS, *WRONG_TYPES)), False
        if roll < 0.35:
            return "contents", rng.choice(ENDLESS_FAULTS), False
        if dirty and roll < 0.6:
            return rng.choice((*LISTS, "content")), {"kind": "bad_utf8"}, True
        return rng.choice((*LISTS, "content", "*")), rng.choice((*CLEAN_FAULTS, *REFUSED_FAULTS)), False
