"""Several processes that share work, played in one."""

from contextlib import suppress


class Asked(Exception):
    """A process waits for what the others have."""


class Crew:
    """One of several processes, which are played one after the other, again and again until all have what they wait for."""

    def __init__(self, rank, size, said):
        self.rank, self.size, self._said, self.gathers = rank, size, said, 0

    def gather(self, thing):
        if self.gathers == len(self._said):
            self._said.append({})
        known = self._said[self.gathers]
        known[self.rank] = thing
        self.gathers += 1
        if len(known) < self.size:
            raise Asked
        return [known[rank] for rank in range(self.size)]


def by_crew(size, work):
    """What each process computes."""
    said, found = [], {}
    while len(found) < size:
        for rank in range(size):
            with suppress(Asked):
                found[rank] = work(Crew(rank, size, said))
    return [found[rank] for rank in range(size)]
