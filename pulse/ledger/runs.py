"""From evidence to runs: what was known at one time, and everything that was ever known."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Sequence

from pulse.ledger.evidence import Piece
from pulse.ledger.model import FOREVER, Device, Evidence, Run


def runs_known(
    device: Device, evidence: Iterable[Piece], known_at: int, *, forever: int = FOREVER
) -> list[Run]:
    """The runs of one device as known at `known_at`, in order of time and without overlap (rule 5).

    Beats of one kind that follow each other within their timeouts are one run. Every explicit offline
    begins a run of its own, because rule 5 compares its own time with the blind intervals.
    """
    # At one instant the later received wins, and sorting puts it last.
    decisive = {p.at: p for p in sorted(p for p in evidence if p.observed <= known_at)}
    runs: list[Run] = []
    for piece in decisive.values():
        end = forever if piece.evidence is Evidence.OFFLINE else piece.at + device.terms_at(piece.at).timeout
        if runs and runs[-1].end >= piece.at:
            if runs[-1].evidence is piece.evidence is not Evidence.OFFLINE:
                runs[-1] = runs[-1]._replace(end=end)
                continue
            runs[-1] = runs[-1]._replace(end=piece.at)
        runs.append(Run(piece.at, end, piece.evidence, piece.at))
    return runs


class RunHistory:
    """Every run of one device that was ever known, built by adding evidence in the order of knowing it.

    A late piece changes what is said of the time from it to the next piece; what was said before stays
    as a run that is superseded at the piece's reception. What was said of the time after that reception
    was never an answer (an answer's instant is not after its knowledge time), so it leaves no trace.
    """

    def __init__(self, device: Device) -> None:
        self._device = device
        self._pieces: list[Piece] = []
        self._current: list[Run] = []
        self._superseded: list[Run] = []

    def add(self, piece: Piece) -> None:
        """Take one piece in; its (observed, order) is not before that of any piece added earlier."""
        following = bisect_right(self._pieces, piece.at, key=lambda p: p.at)
        until = self._pieces[following].at if following < len(self._pieces) else FOREVER
        insort(self._pieces, piece)
        if piece.evidence is Evidence.OFFLINE:
            end = until
        else:
            end = min(piece.at + self._device.terms_at(piece.at).timeout, until)
        self._say(piece, end, until)

    def _say(self, piece: Piece, end: int, until: int) -> None:
        """Let `[piece.at, until)` read: what the piece says up to `end`, then silence."""
        position = bisect_right(self._current, piece.at, key=lambda r: r.start) - 1
        before = self._current[position] if position >= 0 else None
        if before is None or before.end < piece.at:
            self._insert(Run(piece.at, end, piece.evidence, piece.at, piece.observed))
            return
        if before.evidence is piece.evidence is not Evidence.OFFLINE:
            position = self._end_of_stretch(position, until)
            alive_until = self._current[position].end
            if end > alive_until:
                self._extend(position, end, piece.observed)
            elif end < min(alive_until, until):
                self._withdraw(end, until, piece.observed)
            return
        self._withdraw(piece.at, until, piece.observed)
        self._insert(Run(piece.at, end, piece.evidence, piece.at, piece.observed))

    def _end_of_stretch(self, position: int, until: int) -> int:
        """The last of the runs that continue each other from one on, each known later, up to `until`."""
        while position + 1 < len(self._current):
            run, following = self._current[position : position + 2]
            if following.start > run.end or following.start >= until:
                break
            position += 1
        return position

    def _insert(self, run: Run) -> None:
        if run.start < run.end:
            insort(self._current, run)

    def _extend(self, position: int, end: int, observed: int) -> None:
        """Let a run last longer: in place where nobody was told otherwise, else by a run beside it."""
        run = self._current[position]
        if run.end >= observed or run.recorded == observed:
            self._current[position] = run._replace(end=end)
        else:
            self._insert(Run(run.end, end, run.evidence, run.since, observed))

    def _withdraw(self, start: int, until: int, observed: int) -> None:
        """Take `[start, until)` out of the runs, keeping what was said of it before `observed`."""
        first = bisect_right(self._current, start, key=lambda r: r.end)
        last = bisect_left(self._current, until, key=lambda r: r.start)
        left: list[Run] = []
        for run in self._current[first:last]:
            told_from, told_until = max(run.start, start), min(run.end, until, observed)
            if run.start < start:
                left.append(run._replace(end=start))
            if told_from < told_until and run.recorded < observed:
                self._superseded.append(run._replace(start=told_from, end=told_until, superseded=observed))
            if run.end > until:
                left.append(run._replace(start=until, since=until))
        self._current[first:last] = left

    @property
    def last(self) -> Piece | None:
        """The last evidence of all."""
        return self._pieces[-1] if self._pieces else None

    @property
    def tail(self) -> Run | None:
        """The last run as known now."""
        return self._current[-1] if self._current else None

    def runs(self) -> list[Run]:
        """Every run ever known, superseded ones too, in order of time."""
        return sorted([*self._current, *self._superseded])


def history_of(device: Device, evidence: Iterable[Piece]) -> RunHistory:
    """The history that comes of evidence in whatever order it is given."""
    history = RunHistory(device)
    for piece in sorted(evidence, key=lambda p: (p.observed, p.order, p.at)):
        history.add(piece)
    return history


def known_runs(runs: Iterable[Run], known_at: int) -> list[Run]:
    """Of every run ever known, those known at `known_at`, in order of time."""
    return sorted(r for r in runs if r.recorded <= known_at < r.superseded and r.start <= known_at)


def spliced(old: Sequence[Run], rebuilt: Sequence[Run], cut: int) -> list[Run]:
    """Old runs before `cut` and rebuilt ones from it on, joined where both tell of one stretch.

    `old` are the runs that reach beyond the cut; `rebuilt` come from all the evidence that matters at and
    after it. A rebuilt run that begins before the cut is clipped to it.
    """
    left = [r._replace(end=min(r.end, cut)) for r in old if r.start < cut]
    joined: list[Run] = []
    for run in rebuilt:
        if run.end <= cut:
            continue
        clipped = run if run.start >= cut else run._replace(start=cut)
        if run.start <= cut:
            twin = next((r for r in left if r.end == cut and _one_stretch(r, clipped, cut)), None)
            if twin is not None:
                left.remove(twin)
                clipped = clipped._replace(start=twin.start, since=twin.since, recorded=twin.recorded)
        joined.append(clipped)
    return sorted([*left, *joined])


def _one_stretch(left: Run, right: Run, cut: int) -> bool:
    """Whether two runs that meet at the cut are one: same words, known as long for all who may ask."""
    if left.evidence is not right.evidence or left.superseded != right.superseded:
        return False
    if left.evidence is Evidence.OFFLINE and left.since != right.since:
        return False
    return left.recorded == right.recorded or (left.recorded <= cut and right.recorded <= cut)


def find_run(runs: Sequence[Run], at: int) -> Run | None:
    """The run that holds `at`, of runs in order of time and without overlap."""
    position = bisect_right(runs, at, key=lambda r: r.start) - 1
    return runs[position] if position >= 0 and at < runs[position].end else None


def first_after(runs: Sequence[Run], at: int) -> int:
    """The position of the first run that ends after `at`."""
    return bisect_left(runs, True, key=lambda r: r.end > at)
