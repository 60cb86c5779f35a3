"""The server's side of a random run, whoever's API it is: what it has, all that it ever had, how it
changes, how it fails. What one provider has is in random_ibinder.py and random_inbenta.py.

Whatever is changed is remembered before anybody can have read it: who judges what was read takes the
same lock as who changes.
"""

import collections
import threading
import time

# Nothing that these leave behind is shown: a fetch fails, or comes later.
CLEAN_FAULTS = [
    {"kind": "status", "status": 500}, {"kind": "status", "status": 503, "retry_after": "1"},
    {"kind": "status", "status": 429, "retry_after": "1"}, {"kind": "status", "status": 429}, {"kind": "reset"},
    {"kind": "status", "status": 401}, {"kind": "hang"}, {"kind": "truncate"}, {"kind": "not_json"},
    {"kind": "slow", "bytes_per_second": 2000}, {"kind": "delay", "ms": 300}, {"kind": "empty_body"},
]
TOKEN_FAULTS = [
    {"kind": "status", "status": 500}, {"kind": "status", "status": 429}, {"kind": "reset"}, {"kind": "hang"},
    {"kind": "not_json"}, {"kind": "status", "status": 401},
]
WRONG_TYPES = [{"kind": "wrong_types", "variant": variant} for variant in range(8)]


class Expected:
    """What the mount must show, by paths below the top directory (`objects`: what reference.py calls
    entries) and below files/ (`files`: bytes, None for a directory). `keys`: whose file a path is, (…, id)
    for each: paths of one key are one file. `links`: {name in by-id/: path below the top directory}."""

    def __init__(self, objects, keys, files, file_keys, links):
        self.objects, self.keys, self.files, self.file_keys, self.links = objects, keys, files, file_keys, links


class World:
    """`texts`: all files' contents that ever were right, but for documents' bytes; these are `bodies`: by
    document, all that it ever had. `current`: the text of each object, by key; `touched`: when it last
    changed."""

    # Of the mount: its top directory, and in by-id/ where the links and the objects are.
    TOP, LINKS, OBJECTS = "", "", ""
    # Files whose size is exact before they are opened: (directory, suffix).
    EXACT = ()
    SEARCHES = ()
    TTL_MIN = 0
    UNKNOWN_ID = ""
    # Calls of the control port that make something that the client holds useless.
    EXPIRIES = ()
    # Of the simulator, while it runs. The first of each is as it is when all is well.
    SETTINGS = {}

    def __init__(self, sim, rng, log):
        self.sim, self.rng, self.log = sim, rng, log
        self.lock = threading.RLock()
        self.texts, self.bodies = set(), collections.defaultdict(list)
        self.current, self.touched = {}, {}
        self.added = 0
        self.spoiled_ns = 0  # when an answer that may have been shown was last wrong
        self.ever_spoiled = False
        self.remember()

    def remember(self):
        self.truth = self.sim.truth()
        before, self.current = self.current, self.objects()
        now = time.time_ns()
        self.touched.update((key, now) for key in before.keys() | self.current.keys()
                            if before.get(key) != self.current.get(key))
        self.texts.update(self.current.values())
        self.remember_bodies()

    def objects(self):
        """{key: text} of all that there is."""
        raise NotImplementedError

    def remember_bodies(self):
        raise NotImplementedError

    def expected(self, mount):
        raise NotImplementedError

    def by_id(self):
        """{id: text} of all that can be asked for by its id."""
        raise NotImplementedError

    # --- Changes ---

    def change(self):
        with self.lock:
            made = self.draw_change()
            if made:
                op, arguments = made
                self.log(op, arguments)
                self.sim.change(op, **arguments)
                self.remember()

    def draw_change(self):
        """What is changed, as the simulator takes it; None: there is nothing to change so."""
        raise NotImplementedError

    def draw_name(self):
        self.added += 1
        return self.rng.choice((f"Ny {self.added}", f"Ny {self.added}.pdf", "Samma namn.pdf", ".dold", "a/b", "ö" * 100))

    # --- Trouble ---

    def draw_fault(self, dirty):
        """(route, fault, whether what comes of it may be shown), this only if `dirty`."""
        raise NotImplementedError

    def fail(self, dirty):
        route, fault, spoils = self.draw_fault(dirty)
        times = self.rng.choice((1, 1, 2, 5, -1))
        self.log("fault", route, fault, times)
        if spoils:
            self.spoiled_ns, self.ever_spoiled = time.time_ns(), True
        self.sim.fault(route, times=times, after=self.rng.randrange(4), **fault)

    def clear(self):
        self.log("clear")
        if self.spoiled_ns:
            self.spoiled_ns = time.time_ns()
        self.sim.clear()

    def expire(self):
        path = self.rng.choice(self.EXPIRIES)
        self.log(path)
        self.sim.control("POST", path)

    def set_speed(self):
        setting = {name: self.rng.choice(values) for name, values in self.SETTINGS.items()}
        self.log("settings", setting)
        self.sim.set(**setting)

    def be_well(self):
        self.clear()
        self.sim.token = None  # ours may have been revoked as well
        self.sim.set(**{name: values[0] for name, values in self.SETTINGS.items()})
