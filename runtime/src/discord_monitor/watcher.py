# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""`discord-monitor watch`: from transcripts to the webhook, in order, nothing lost, nothing twice.

One loop does everything but the network: read, parse, filter, render, batch, hand over. The files are the queue: what
Discord has not confirmed is not behind the cursor, and is read again after a restart.
"""

# The module os instead of pathlib saves 0.7 MiB in every agent's pod.
# ruff: noqa: PTH118, PTH123

from __future__ import annotations

import contextlib
import heapq
import json
import os
import time
from typing import TYPE_CHECKING, NamedTuple

from discord_monitor import delivery
from discord_monitor.batching import Batch, batches
from discord_monitor.cursor import (
    PROBE_FILE,
    PROBE_FOLDER,
    Place,
    Remembered,
    SeenTable,
    Store,
    fingerprint,
    write_whole,
)
from discord_monitor.delivery import Attempt, Judged, Pacer, Target, Verdict, Webhook, backoff_s
from discord_monitor.embeds import MAX_EMBEDS, Embed
from discord_monitor.filters import is_urgent, shows
from discord_monitor.health import Health, watcher_answers
from discord_monitor.http_server import HttpServer, wildcard_address
from discord_monitor.log import Log
from discord_monitor.metrics import Metric
from discord_monitor.parsing import PROBE_TYPE, Event, ParseError, Row, parse_head, parse_row
from discord_monitor.redaction import Redactor, env_literals, webhook_literals
from discord_monitor.rendering import GREY, Context, render, summary
from discord_monitor.rows import RawRow
from discord_monitor.settings import Tracking, WatcherSettings, watcher_settings
from discord_monitor.sifting import is_dull, is_silent
from discord_monitor.stats import Ledger, Stats, epoch_s, remember
from discord_monitor.threads import Threads
from discord_monitor.transcript import Loss, Source, Transcripts, candidate_roots

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from discord_monitor.lifecycle import Stop

FLUSH_LIMIT_S = 5.0  # for the last lines after SIGTERM; the snippet's grace period is longer
SAVE_GAP_S = 1.0  # rows that show nothing move the cursor file this often; delivered ones at once
NOTE_GAP_S = 5.0  # while nothing can be delivered, what waits is noted this often
SLICE_S = 0.5  # longest the loop waits for a running attempt without a sign of life
MAX_SOURCES = 32  # files read side by side in one turn, at a chunk of 64 KiB each
MAX_WARNED = 1_000  # unreadable files that are named in the log, each once
MAX_TURN_ROWS = 2_000  # then new files are looked for again
MAX_URGENT = 20  # rows that go ahead between two messages of the others: those move on as well
MAX_URGENT_BYTES = 512 * 1024


class Item(NamedTuple):
    """One embed of a row with what it moves when handed over, or a row that shows nothing (`embed` None)."""

    source: Source
    raw: RawRow
    row: Row | None
    embed: Embed | None
    done: int  # embeds of this row that are delivered with this one
    parts: int
    keys: tuple[int, ...]  # ids to remember once the row is complete
    session: str
    stats: Stats
    thread: str = ""  # what decides about the thread it goes to
    urgent: bool = False
    ahead: bool = False  # shown before its turn: the cursor does not move

    @property
    def alone(self) -> bool:
        """A probe's message is deleted afterwards: nothing else may be in it."""
        return self.source.is_probe


class Undeliverable(Exception):  # noqa: N818 - not an error: the loop ends or idles, and nothing is lost
    """The batch at hand cannot be delivered by this process any more."""


class Watcher:
    """The loop and everything it owns. `run` returns when the end was asked for."""

    def __init__(self, settings: WatcherSettings, *, stop: Stop, log: Log, redactor: Redactor) -> None:
        self._settings = settings
        self._stop = stop
        self._log = log
        self._redactor = redactor
        self._store = Store(settings.state_path)
        self._probe_folder = self._store.path(PROBE_FOLDER)
        remembered = self._store.load_cursor() or Remembered(time.time(), {}, {})
        if self._store.problem:
            log.warning("state is not kept", reason=self._store.problem)
        self._started = remembered.started
        self._transcripts = Transcripts(
            tuple(candidate_roots(settings.workspace_path, home=settings.home, config_dir=settings.config_dir)),
            places=remembered.places, started=remembered.started, lookback_s=settings.lookback_s,
            probe_path=os.path.join(self._probe_folder, PROBE_FILE),
            is_dull=is_silent if settings.parity_mode else is_dull, ahead=remembered.ahead,
        )  # fmt: skip
        self._seen = SeenTable(self._store.path("seen.bin"))
        self._ledger = Ledger(remembered.sessions, prices=settings.prices)
        self._sessions = dict(remembered.sessions)  # as of the cursor
        self._context = Context(redactor, settings.tracking, settings.parity_mode)
        self._pacer = Pacer(settings.rate_limit)
        self._webhook = Webhook(settings.webhook_url) if settings.webhook_url else None
        self._attempt: Attempt | None = None
        self._over = False  # rows were taken that this process cannot deliver: it must not pass them
        self._unsaved = False
        self._saved_at = 0.0
        self._said = ""
        self._unsummed = dict.fromkeys(remembered.unsummed)  # sessions shown and not yet summed up, latest last
        self._transcripts.lost = Loss(*remembered.untold)
        self._told = Loss()  # of what was removed before it was shown
        self._threads = Threads(remembered.threads, on=settings.thread_per_session, host=settings.host)
        self._behind_since = time.monotonic()  # when the rows of this turn were first known
        self._left_over = False  # rows that were due when the last turn ended
        self._warned: set[str] = set()  # unreadable files that were told of
        self.health = Health(
            base_limit_s=settings.outage_limit_s,
            restarts=self._store.load_outages(),
            remember=self._store.save_outages,
        )
        if self._webhook is None:
            self.health.idle(settings.webhook_problem)

    def run(self) -> None:
        """Turn until the end is asked for, then flush."""
        if self._webhook is None:
            self._transcripts.changed()  # old files count as read from the first start on, webhook or not
            self._log.warning("no webhook: nothing is delivered", reason=self._settings.webhook_problem)
        self._save()
        while not self._stop.requested:
            self.health.beat()
            if self._webhook is None or self._over:
                self._stop.wait(1.0)
                continue
            self._turn()
            self._stop.wait(self._settings.poll_interval_s)
        self._flush()
        if self._webhook is not None:
            self._webhook.close()

    def metrics(self) -> list[Metric]:
        """The figures of `/metrics`."""
        counters, total, health = self.health.counters, self._ledger.total, self.health
        lost = self._transcripts.lost
        rows: list[tuple[str, str, str, float]] = [
            ("lag_seconds", "gauge", "Age of the oldest event not yet handed over.", health.lag_s()),
            ("backlog_bytes", "gauge", "Transcript bytes not yet handed over.", health.backlog_bytes),
            ("messages_delivered_total", "counter", "Messages confirmed by Discord.", counters.messages),
            ("embeds_delivered_total", "counter", "Embeds in those messages.", counters.embeds),
            ("retries_total", "counter", "Attempts that failed and were repeated.", counters.retries),
            ("rate_limited_total", "counter", "Answers with status 429.", counters.limited),
            ("embeds_dropped_total", "counter", "Embeds that Discord refused for good.", counters.dropped),
            ("ahead_total", "counter", "Embeds shown ahead of earlier events.", counters.ahead),
            ("shared_total", "counter", "Events that share an embed with another.", counters.shared),
            ("transcript_bytes_lost_total", "counter", "Bytes removed before they were shown.", lost.nbytes),
            ("rows_dropped_total", "counter", "Rows known to be among those bytes.", lost.rows),
            ("rows_total", "counter", "Transcript rows read.", counters.rows),
            ("parse_errors_total", "counter", "Rows that are no JSON object.", counters.parse_errors),
            ("unknown_rows_total", "counter", "Rows of an unknown type.", counters.unknown_rows),
            (
                "duplicate_rows_total",
                "counter",
                "Rows dropped because their id was seen before.",
                counters.duplicate_rows,
            ),
            ("oversize_rows_total", "counter", "Rows shown by their head only.", counters.oversize_rows),
            ("unreadable_transcripts", "gauge", "Transcripts that cannot be read.", health.unreadable),
            ("unreadable_folders", "gauge", "Folders that cannot be looked into.", health.closed_folders),
            ("redacted_total", "counter", "Secrets redacted.", self._redactor.count),
            ("cost_dollars_total", "counter", "Estimated cost of the rows read.", total.cost),
            ("tool_uses_total", "counter", "Tool uses in the rows read.", total.tool_uses),
            ("errors_total", "counter", "Tool errors in the rows read.", total.errors),
            ("resident_memory_bytes", "gauge", "Memory of this process.", _resident_bytes()),
            ("outage_limit_seconds", "gauge", "Failing longer than this makes /healthz fail.", health.limit_s),
        ]
        metrics = [Metric(name, kind, text, value) for name, kind, text, value in rows]
        for kind in ("input", "output", "cache_creation", "cache_read"):
            value = getattr(total, f"{kind}_tokens")
            metrics.append(Metric("tokens_total", "counter", "Tokens used.", value, f'kind="{kind}"'))
        return metrics

    def _turn(self, *, final: bool = False) -> None:
        """Hand over everything there is now."""
        if not self._left_over:
            self._behind_since = time.monotonic()
        sources = self._transcripts.changed(whole_tree=final)[:MAX_SOURCES]
        self._left_over = False
        self.health.waiting = self._transcripts.waiting
        try:
            self._hand_over_probe()
            self._own_up()
            for batch in self._batches(self._items(sources, final=final)):
                self._hand_over_urgent()
                self._hand_over(batch)
                self._hand_over_probe()
        except Undeliverable:
            self._over = True
        finally:
            self._report(idle=not sources)

    def _batches(self, items: Iterable[Item]) -> Iterator[Batch[Item]]:
        return batches(items, max_embeds=self._settings.batch_size, merges=self._under_pressure)

    def _under_pressure(self) -> bool:
        """Whether rows that were due have waited for so long that order and looks no longer matter most."""
        return time.monotonic() - self._behind_since > self._settings.pressure_s

    def _own_up(self) -> None:
        """Say in the channel what is lost: rows that the agent removed before Discord took them."""
        lost = self._transcripts.lost
        nbytes, rows = lost.nbytes - self._told.nbytes, lost.rows - self._told.rows
        if nbytes <= 0:
            return
        self._save()  # what is untold, should Discord be away for longer than this process lives
        self._log.warning("a transcript was removed or cut before all of it was shown", bytes=nbytes, rows=rows)
        what = f"{rows} rows ({nbytes} bytes)" if rows else f"{nbytes} bytes"
        text = f"{what} of a transcript were removed before they could be shown: their events are dropped."
        title = f"{rows} rows dropped" if rows else "events dropped"
        self._deliver_own([(Embed(title=title, description=text, color=GREY), "")])
        self._told = lost
        self._save()

    def _deliver_own(self, told: list[tuple[Embed, str]]) -> None:
        """Embeds of ours, which belong to no row, each with the session it is about."""
        source = Source("", Place(0, 0, 0), is_dull=is_dull)
        item = Item(source, RawRow(0, 0, b""), None, None, 1, 1, (), "", Stats(), urgent=True)
        items = (item._replace(embed=embed, thread=self._threads.key(session)) for embed, session in told)
        for batch in self._batches(items):
            self._deliver(batch.items, batch.embeds)

    def _hand_over_probe(self) -> None:
        """Somebody waits for the probe's lines: they go before the agent's, between two messages."""
        source = self._transcripts.probe()
        if source is None:
            return
        for raw in iter(source.next_row, None):
            for batch in self._batches(self._items_of(source, raw, self._parsed(raw))):
                self._hand_over(batch)

    # Rows ahead of their turn: a request to a person, or an error, does not wait behind a long backlog.

    def _hand_over_urgent(self) -> None:
        """Deliver what is urgent in the backlog; its place in the transcript keeps its figures, and is passed later."""
        if not self._under_pressure():
            return
        self._transcripts.look_ahead()
        found: list[tuple[str, Item]] = []
        nbytes = 0
        for source in [source for source in self._transcripts.sources.values() if not source.is_probe]:
            latest = ""
            while len(found) < MAX_URGENT and nbytes < MAX_URGENT_BYTES and (raw := source.next_urgent()) is not None:
                nbytes += len(raw.data)
                item = self._ahead_of_turn(source, raw)
                if item is not None and item.row is not None:
                    latest = max(latest, item.row.timestamp)
                    found.append((latest, item))
        found.sort(key=lambda entry: entry[0])  # keeps the order of each file
        for batch in self._batches(item for _latest, item in found):
            self._hand_over(batch)

    def _ahead_of_turn(self, source: Source, raw: RawRow) -> Item | None:
        """The row as an item, if it is urgent, shown, new and one embed."""
        row = self._parsed(raw)
        if row is None or row.type == PROBE_TYPE:
            return None
        shown = self._shown_events(row)
        if len(shown) != 1 or not is_urgent(shown[0]):
            return None
        session = row.session or source.path
        # Figures are counted in the row's turn: those known now would be wrong.
        context = self._context._replace(tracking=Tracking(cost=False, tokens=False, errors=False))
        embeds = render(shown[0], row, self._ledger.latest(session), context, ahead=True)
        keys = (fingerprint(row.uuid),) if row.uuid else ()
        if len(embeds) != 1 or (keys and not self._seen.is_new(keys[0])):
            return None
        return Item(
            source, raw, row, embeds[0], 1, 1, keys, session, Stats(), self._threads.key(session),
            urgent=True, ahead=True,
        )  # fmt: skip

    def _report(self, *, idle: bool) -> None:
        self.health.backlog_bytes = self._transcripts.backlog_bytes()
        self.health.state_problem = self._store.problem
        self._report_unreadable(self._transcripts.unreadable(), self._transcripts.closed)
        if idle:
            self.health.oldest_at = None
        if self._transcripts.skipped or self._transcripts.rested:
            self._transcripts.skipped = 0
            self._save()
        if self._unsaved and time.monotonic() - self._saved_at >= SAVE_GAP_S:
            self._save()
        if self._store.problem != self._said:
            self._said = self._store.problem
            if self._said:
                self._log.warning("state is not kept", reason=self._said)

    def _report_unreadable(self, unreadable: Mapping[str, str], closed: Mapping[str, str]) -> None:
        health = self.health
        health.unreadable, health.unreadable_reason = len(unreadable), next(iter(unreadable.values()), "")
        health.closed_folders, health.closed_reason = len(closed), next(iter(closed.values()), "")
        for what, found in (("transcript", unreadable), ("folder of transcripts", closed)):
            for path, reason in found.items():
                if path not in self._warned and len(self._warned) < MAX_WARNED:
                    self._warned.add(path)
                    self._log.warning(
                        f"a {what} cannot be read: run the watcher as the agent's user (watcher.securityContext)",
                        path=path, reason=reason,
                    )  # fmt: skip

    # Reading: rows of all files by their timestamps, each file's own order untouched.

    def _items(self, sources: list[Source], *, final: bool) -> Iterator[Item]:
        heap: list[tuple[str, int, RawRow, Row | None]] = []
        due = sum(self._push(heap, sources, number) for number in range(len(sources)))
        count = 0
        while heap and (final or (due and count < MAX_TURN_ROWS)):
            _order, number, raw, row = heapq.heappop(heap)
            source = sources[number]
            due -= raw.start < source.due
            source.take(raw)
            due += self._push(heap, sources, number)
            yield from self._items_of(source, raw, row)
            count += 1
        self._left_over = due > 0
        for _order, number, raw, _row in heap:
            sources[number].put_back(raw)
        if final:
            yield from self._unfinished()

    def _push(self, heap: list[tuple[str, int, RawRow, Row | None]], sources: list[Source], number: int) -> bool:
        """Put the next row of a file on the heap; whether that row is due."""
        source = sources[number]
        raw = source.next_row()
        if raw is None:
            return False
        row = self._parsed(raw)
        if row is not None:
            source.order = max(source.order, row.timestamp)
        heapq.heappush(heap, (source.order, number, raw, row))
        return raw.start < source.due

    def _parsed(self, raw: RawRow) -> Row | None:
        self.health.beat()
        if raw.dull:
            return None
        if raw.oversize:
            return parse_head(raw.data)
        try:
            return parse_row(raw.data)
        except ParseError as exc:
            self._log.debug("a row cannot be parsed", reason=str(exc), bytes=len(raw.data))
            return None

    def _unfinished(self) -> Iterator[Item]:
        """Last lines without a line feed, once nobody will write it any more."""
        for source in list(self._transcripts.sources.values()):
            raw = source.unfinished()
            row = self._parsed(raw) if raw is not None and not raw.oversize else None
            if raw is not None and row is not None:
                yield from self._items_of(source, raw, row)

    def _items_of(self, source: Source, raw: RawRow, row: Row | None) -> Iterator[Item]:
        """What a row shows; at least one item, so that the cursor passes every row."""
        counters = self.health.counters
        nothing = Item(source, raw, row, None, 1, 1, (), "", Stats())
        if raw.dull:
            counters.rows += raw.dull
            yield nothing
            return
        counters.rows += 1
        skip, source.resume_done = source.resume_done, 0
        if row is None:
            counters.parse_errors += 1
            yield nothing
            return
        counters.unknown_rows += not row.known
        counters.oversize_rows += raw.oversize
        was_ahead = raw.start in source.ahead
        keys = [fingerprint(row.uuid)] if row.uuid and not was_ahead else []
        if keys and not self._seen.is_new(keys[0]):
            counters.duplicate_rows += 1
            yield nothing
            return
        usage = row.usage
        if usage is not None and row.message_id:
            # Every row of one message of the model repeats its usage.
            key = fingerprint(f"usage {row.message_id}")
            if self._seen.is_new(key):
                keys.append(key)
            else:
                usage = None
        session = row.session or source.path
        stats = self._ledger.add(session, row, usage=usage)
        thread = self._threads.key("" if source.is_probe else session)
        done = Item(source, raw, row, None, 1, 1, tuple(keys), session, stats, thread)
        embeds = [] if was_ahead else self._embeds(source, row, stats)
        for part, (embed, urgent) in enumerate(embeds[skip:], start=skip + 1):
            yield done._replace(embed=embed, done=part, parts=len(embeds), urgent=urgent)
        if skip >= len(embeds):
            yield done

    def _embeds(self, source: Source, row: Row, stats: Stats) -> list[tuple[Embed, bool]]:
        """What a row shows, and whether it is urgent."""
        if (row.type == PROBE_TYPE) is not source.is_probe:
            return []  # probe rows count in the probe's own file only: an agent cannot write one
        shown = self._shown_events(row)
        return [(embed, is_urgent(event)) for event in shown for embed in render(event, row, stats, self._context)]

    def _shown_events(self, row: Row) -> list[Event]:
        filters, parity_mode = self._settings.filters, self._settings.parity_mode
        return [event for event in row.events if shows(event, filters, parity_mode=parity_mode)]

    # Handing over: the cursor moves only behind Discord's confirmation.

    def _hand_over(self, batch: Batch[Item]) -> None:
        """Deliver a batch and move the cursor. Raises Undeliverable."""
        shown = [item for item in batch.items if item.embed is not None]
        if shown:
            if not shown[0].ahead:
                self.health.oldest_at = _written_at(shown[0])
            self.health.backlog_bytes = self._transcripts.backlog_bytes()
            judged = self._deliver(shown, batch.embeds)
            if judged.verdict is Verdict.REFUSED:
                self._deliver_singly(batch.items, judged)
                return
        self._commit(batch.items, at_once=bool(shown))

    def _deliver_singly(self, batch: list[Item], judged: Judged) -> None:
        """Discord refuses the batch: find the embed at fault; the others go out, its place is taken by a notice."""
        shown = sum(1 for item in batch if item.embed is not None)
        for item in batch:
            if item.embed is not None:
                self._deliver_or_notify(item, judged if shown == 1 else self._deliver([item], [item.embed]))
            self._commit([item], at_once=item.embed is not None)

    def _deliver_or_notify(self, item: Item, judged: Judged) -> None:
        """After a first attempt, judged so: an event that is refused is replaced by a notice.

        Where the notice is refused too it is not the event's fault: nothing is passed over, that is an outage.
        """
        failures = 0
        while judged.verdict is Verdict.REFUSED:
            notice = Embed(title="event not shown", description=judged.reason, color=GREY)
            if self._deliver([item], [notice]).verdict is not Verdict.REFUSED:
                self._log.error("an event is refused", reason=judged.reason)
                self.health.counters.dropped += 1
                return
            failures += 1
            self.health.counters.retries += 1
            reason = f"Discord refuses every message, a plain notice as well: {judged.reason}"
            self._failed(judged._replace(reason=reason), failures)
            judged = self._deliver([item], [item.embed] if item.embed is not None else [])

    def _deliver(self, items: list[Item], embeds: list[Embed]) -> Judged:
        """Try until Discord confirms or refuses the items' embeds, which go to one thread.

        Raises Undeliverable when there is no use or no time left.
        """
        failures, thread = 0, items[0].thread
        while True:
            self._hold_back()
            row = items[0].row
            if items[0].source.is_probe and row is not None and 0 < row.expires < time.time():
                return Judged(Verdict.DELIVERED, "nobody waits for this probe any more")
            target = self._threads.target(thread)
            judged = self._try(embeds, target)
            now = time.monotonic()
            self._pacer.sent(now)
            if judged.invalid:
                self._pacer.invalid(now)
            if self._threads.refused(thread, target, judged):
                self.health.thread_problem = self._threads.problem
                self._log.warning("a thread cannot be used", reason=judged.reason)
                continue
            if judged.wait_s is not None:
                self._pacer.hold(now, judged.wait_s)
            if judged.verdict is Verdict.DELIVERED:
                self._pacer.went_through()
                self._threads.delivered(thread, target, judged)
                self._confirmed(items, embeds, judged)
                return judged
            if judged.verdict is Verdict.REFUSED:
                return judged
            if judged.verdict is Verdict.GONE:
                self.health.failed(judged.reason, gone=True)
                self._log.error("the webhook is gone: nothing more is sent until a restart", reason=judged.reason)
                raise Undeliverable
            self.health.counters.retries += 1
            if judged.verdict is Verdict.LIMITED:
                self.health.counters.limited += 1
                self.health.limited(judged.reason)
                self._pacer.limited(now, judged.wait_s or 0.0)
                self._log.info("limited", wait_seconds=judged.wait_s)
                continue
            failures += 1
            self._failed(judged, failures)

    def _failed(self, judged: Judged, failures: int) -> None:
        self.health.failed(judged.reason)
        self._log.warning("delivery failed", reason=judged.reason, attempt=failures)
        wait_s = backoff_s(failures) if judged.wait_s is None else judged.wait_s
        self._pacer.hold(time.monotonic(), wait_s)

    def _confirmed(self, items: list[Item], embeds: list[Embed], judged: Judged) -> None:
        counters = self.health.counters
        self.health.delivered()
        counters.messages += 1
        counters.embeds += len(embeds)
        counters.shared += len(items) - len(embeds)
        counters.ahead += sum(item.ahead for item in items)
        for item in items:
            if item.source.is_probe and item.row is not None:
                self._confirm_probe(item.row.nonce, judged.message_id, self._threads.target(item.thread).thread_id)

    def _confirm_probe(self, nonce: str, message_id: str, thread_id: str) -> None:
        """Leave the message's ids where the waiting probe looks for them."""
        if not (nonce.isascii() and nonce.isalnum()):
            return
        try:
            ids = json.dumps({"message_id": message_id, "thread_id": thread_id})
            write_whole(os.path.join(self._probe_folder, f"{nonce}.json"), ids)
        except OSError as exc:
            self._log.warning("a probe's confirmation cannot be written", reason=exc.strerror)

    def _hold_back(self) -> None:
        """Wait for the pacer; raises Undeliverable when the end comes first."""
        while True:
            wait_s = self._pacer.wait_s(time.monotonic())
            left_s = self._time_left()
            if wait_s > left_s or left_s <= 0:
                raise Undeliverable
            if wait_s <= 0:
                return
            if wait_s > SLICE_S:
                self._note_backlog()
            self._pause(min(wait_s, SLICE_S))

    def _note_backlog(self) -> None:
        """Look at what waits, and remember it: should it be removed meanwhile, it can be said how much it was."""
        self._transcripts.look_ahead()
        if time.monotonic() - self._saved_at >= NOTE_GAP_S:
            self._save()

    def _try(self, embeds: list[Embed], target: Target) -> Judged:
        """One attempt; the loop stays alive while it runs. Raises Undeliverable when the end comes first."""
        assert self._webhook is not None  # noqa: S101 - the loop idles without one
        self._attempt = Attempt(self._webhook.post, embeds, target)
        deadline = time.monotonic() + delivery.ATTEMPT_LIMIT_S
        while True:
            self.health.beat()
            judged = self._attempt.wait(SLICE_S if not self._stop.requested else 0.1)
            if judged is not None:
                return judged
            if self._time_left() <= 0:
                raise Undeliverable
            if time.monotonic() >= deadline:
                self._webhook.abandon()
                reason = f"Discord did not finish its answer within {delivery.ATTEMPT_LIMIT_S:g} s"
                return Judged(Verdict.FAILED, reason)

    def _pause(self, seconds: float) -> None:
        self.health.beat()
        if self._stop.requested:
            time.sleep(min(seconds, 0.1))  # the pipe of Stop is readable for good now
        else:
            self._stop.wait(seconds)

    def _time_left(self) -> float:
        """Seconds until we must be gone; a lot while nobody asked us to."""
        if not self._stop.requested:
            return 1e9
        return self._stop.requested_at + FLUSH_LIMIT_S - time.monotonic()

    def _commit(self, items: list[Item], *, at_once: bool) -> None:
        for item in items:
            if item.ahead:
                item.source.ahead.add(item.raw.start)
            else:
                item.source.hand_over(item.raw, done=item.done, parts=item.parts)
            if item.done >= item.parts:
                for key in item.keys:
                    self._seen.hand_over(key)
                if item.session and not item.ahead:
                    remember(self._sessions, item.session, item.stats)
                if item.session and item.embed is not None:
                    self._unsummed.pop(item.session, None)
                    self._unsummed[item.session] = None
        self._unsaved = True
        if at_once:
            self._save()

    def _save(self) -> None:
        if self._transcripts.rested:
            self._transcripts.rested = False
            self._store.save_resting(self._started, self._transcripts.resting)
        lost, told = self._transcripts.lost, self._told
        self._store.save_cursor(
            Remembered(
                self._started,
                self._transcripts.places(),
                self._sessions,
                ahead=self._transcripts.ahead(),
                unsummed=tuple(self._unsummed)[-MAX_EMBEDS:],
                untold=(lost.nbytes - told.nbytes, lost.rows - told.rows),
                threads=self._threads.opened,
            )
        )
        self._unsaved = False
        self._saved_at = time.monotonic()

    def _flush(self) -> None:
        """The agent has ended: hand over its last lines within FLUSH_LIMIT_S, then save."""
        if self._webhook is not None and not self._over:
            self._turn(final=True)
            self._summarise()
        self._save()
        left = self._transcripts.backlog_bytes()
        self._log.info("stopped", backlog_bytes=left, delivered_messages=self.health.counters.messages)

    def _summarise(self) -> None:
        """One more message: what the sessions came to that were shown since the last one."""
        if self._over or not self._settings.session_summary:
            return
        names = [name for name in self._unsummed if name in self._sessions][-MAX_EMBEDS:]
        with contextlib.suppress(Undeliverable):
            self._deliver_own([(summary(name, self._sessions[name], self._context), name) for name in names])
            self._unsummed.clear()


def _resident_bytes() -> int:
    """As the kernel counts it; 0 where it does not tell."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def _written_at(item: Item) -> float:
    """Wall time of an item's event; now when it does not say."""
    return (epoch_s(item.row.timestamp) if item.row is not None else None) or time.time()


def main(env: Mapping[str, str], stop: Stop) -> int:
    """Run until SIGTERM; exit status 0. Status 1 only when the health port is taken."""
    settings = watcher_settings(env)
    redactor = Redactor(
        [*webhook_literals(settings.webhook_url.reveal()), *env_literals(env)],
        patterns=settings.redact_patterns, guess=settings.redact_guess,
    )  # fmt: skip
    log = Log("watcher", threshold=settings.threshold, redact=redactor)
    log.catch_strays()
    for problem in settings.problems:
        log.warning("a setting is not usable", reason=problem)
    watcher = Watcher(settings, stop=stop, log=log, redactor=redactor)
    try:
        server = HttpServer(
            wildcard_address(), settings.health_port, watcher_answers(watcher.health, watcher.metrics),
            on_crash=lambda exc: log.crash("a health request failed", exc),
        )  # fmt: skip
    except OSError as exc:
        log.error("the health port cannot be opened: set HEALTH_PORT to a free one", reason=exc.strerror)
        return 1
    server.start()
    log.info("watching", workspace=settings.workspace_path, parity_mode=settings.parity_mode)
    watcher.run()
    server.close()
    return 0
