/** The journal for itself: what is durable when, and what a full or damaged disk does. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { crc32 } from "node:zlib";
import { type Database, DiskError, type Platform, type SqlRow } from "../platform.ts";
import { seededRandom, settle, VirtualClock, virtualPlatform } from "../virtual.ts";
import { GAP_MS_MAX, Journal, LOG_CHARACTERS_MAX, type Scanned } from "./journal.ts";
import { JournalError } from "./journal-file.ts";
import type { Outcome } from "./page.ts";

const DONE: Outcome = { state: "uploaded", sha256: "ab".repeat(32), etag: "0x1", as: null, version: null };

/** A file in memory that outlives the journals opened on it. */
class Disk {
  readonly clock = new VirtualClock();
  readonly database = new DatabaseSync(":memory:");
  commits = 0;
  isFull = false;

  open(): Journal {
    return Journal.open(this.platform(), "journal");
  }

  platform(): Platform {
    return virtualPlatform({
      clock: this.clock,
      random: seededRandom(1),
      checksum: (text) => crc32(text),
      openDatabase: () => this.#wrap(),
    });
  }

  #wrap(): Database {
    const { database } = this;
    if (database.isTransaction) database.exec("ROLLBACK");
    return {
      execute: (sql) => {
        if (sql === "COMMIT" && this.isFull)
          throw new DiskError("no_space", "Cannot write: the disk is full");
        if (sql === "COMMIT") this.commits++;
        database.exec(sql);
      },
      prepare: (sql) => {
        const statement = database.prepare(sql);
        return {
          run: (...parameters) => void statement.run(...parameters),
          get: (...parameters) => statement.get(...parameters),
          iterate: (...parameters) => statement.iterate(...parameters) as Iterable<SqlRow>,
        };
      },
      close: () => {},
    };
  }
}

function files(from: number, count: number): Scanned[] {
  return Array.from({ length: count }, (_, index) => ({
    kind: "file",
    entry: {
      path: `folder ${Math.floor((from + index) / 7)}/${String(from + index).padStart(6, "0")} \ud83d\ude00 "\n`,
      sizeBytes: from + index,
      modifiedMs: 1_700_000_000_000 + index,
      identity: `1.${index}`,
    },
  }));
}

Deno.test("[B6] changes that come in together share a commit, and totals show only what is committed", async () => {
  const disk = new Disk();
  const journal = disk.open();
  journal.addPage(files(0, 10), null);
  assert.equal(journal.totals.filesTotal, 0);
  await journal.flush();
  assert.equal(journal.totals.filesTotal, 10);
  const before = disk.commits;
  const page = journal.open(0);
  for (let index = 0; index < 10; index++)
    journal.settle(page, index, { ...DONE, state: "completed", proof: "chain" }, 5);
  assert.equal(journal.totals.filesCompleted, 0);
  assert.equal(journal.pendingFiles, 0);
  await disk.clock.advance(GAP_MS_MAX);
  assert.equal(journal.totals.filesCompleted, 10);
  assert.equal(journal.totals.bytesSent, 50);
  assert.equal(disk.commits, before + 1);
  journal.close();
});

Deno.test("[B6] pages come back as they were, whether from the log or folded", async () => {
  const disk = new Disk();
  const first = disk.open();
  const listed = files(0, 1_000);
  first.addPage(listed, '["cursor"]');
  first.addPage([{ kind: "skipped", path: "link", code: "link" }, ...files(2_000, 5)], null);
  await first.flush();
  const page = first.open(0);
  const held = { path: "", etag: "t", sizeBytes: 3, sha256: null, modifiedMs: null, archived: true };
  await first.claim(page, [held]);
  first.settle(page, 1, DONE, 10);
  first.settle(page, 2, { state: "failed", code: "source_denied", message: "Cannot read" });
  first.resize(page, 3, { sizeBytes: 99, modifiedMs: 5 });
  first.settle(page, 3, { state: "skipped", code: "identical", sha256: null, etag: "x" });
  await first.flush();
  first.close();

  const second = disk.open();
  assert.deepEqual(second.salt, first.salt);
  assert.equal(second.pageCount, 2);
  assert.equal(second.scan.done, true);
  const again = second.open(0);
  assert.deepEqual(
    Array.from(again.paths, (_, index) => again.entry(index)),
    listed.map((item, index) => {
      assert.ok(item.kind === "file");
      return index === 3 ? { ...item.entry, sizeBytes: 99, modifiedMs: 5 } : item.entry;
    }),
  );
  assert.equal(again.doubtful, true);
  assert.deepEqual(again.held?.[0], { ...held, path: again.path(0) });
  assert.deepEqual(again.outcome(0), null);
  assert.deepEqual(again.outcome(1), DONE);
  assert.equal(again.outcome(2)?.state, "failed");
  assert.equal(again.outcome(3)?.state, "skipped");
  assert.deepEqual(
    second.failures(0, 10).map(({ code }) => code),
    ["source_denied"],
  );
  assert.equal(second.nextPage(0, "awaiting"), 0);
  assert.equal(second.nextPage(1, "awaiting"), null);
  assert.equal(second.nextPage(1, "pending"), 1);
  assert.deepEqual(second.read(1).outcome(0), { state: "skipped", code: "link", sha256: null, etag: null });
  assert.equal(second.totals.bytesSkipped, 99);
  second.close();
});

Deno.test("[B6] the log is folded before it grows long, and says the same afterwards", async () => {
  const disk = new Disk();
  const journal = disk.open();
  const pages = 12;
  for (let page = 0; page < pages; page++)
    journal.addPage(files(page * 1_000, 1_000), page + 1 === pages ? null : "c");
  await journal.flush();
  // One entry of the first page stays open all the time, as a large file would.
  const open = journal.open(0);
  journal.settle(open, 5, DONE);
  const logged = () =>
    Number(disk.database.prepare("SELECT coalesce(sum(length(value)), 0) AS n FROM log").get()?.["n"]);
  let longest = 0;
  for (let number = 1; number < pages; number++) {
    const page = journal.open(number);
    for (let index = 0; index < page.length; index++) {
      journal.settle(page, index, DONE);
      if (index % 100 === 0) await disk.clock.advance(GAP_MS_MAX);
      longest = Math.max(longest, logged());
    }
    journal.release(page);
  }
  await journal.flush();
  assert.ok(longest > LOG_CHARACTERS_MAX / 2 && longest < LOG_CHARACTERS_MAX, `${longest} characters`);
  journal.close();
  const again = disk.open();
  assert.deepEqual(again.read(0).outcome(5), DONE);
  for (let number = 1; number < pages; number++)
    assert.deepEqual(again.read(number).count(), { pending: 0, awaiting: 1_000 });
  assert.equal(again.awaiting.files, (pages - 1) * 1_000 + 1);
  again.close();
});

Deno.test("[E22] a full disk stops what is new, loses nothing, and is over when there is room", async () => {
  const disk = new Disk();
  const journal = disk.open();
  journal.addPage(files(0, 20), null);
  await journal.flush();
  const page = journal.open(0);
  disk.isFull = true;
  journal.settle(page, 0, DONE, 7);
  await disk.clock.advance(60_000);
  assert.match(journal.waiting ?? "", /disk is full/);
  assert.equal(journal.awaiting.files, 0);
  let passed = false;
  const room = journal.room();
  assert.ok(room !== undefined, "nothing new may be begun");
  void room.then(() => (passed = true));
  journal.settle(page, 1, DONE, 7);
  await disk.clock.advance(60_000);
  assert.equal(passed, false);
  disk.isFull = false;
  await disk.clock.advance(10_000);
  assert.equal(passed, true);
  assert.equal(journal.waiting, null);
  assert.equal(journal.awaiting.files, 2);
  assert.equal(journal.totals.bytesSent, 14);
  assert.equal(journal.room(), undefined);
  journal.close();
});

Deno.test("[E15] a flipped bit in any row is found, and not believed", async () => {
  for (const [table, column] of [
    ["listed", "value"],
    ["outcomes", "value"],
    ["held", "value"],
    ["log", "value"],
    ["fact", "value"],
    ["failure", "value"],
  ] as const) {
    const disk = new Disk();
    const first = disk.open();
    first.addPage(files(0, 3), null);
    await first.flush();
    const page = first.open(0);
    await first.claim(page, []);
    first.settle(page, 0, { state: "failed", code: "source_denied", message: "Cannot read" });
    first.settle(page, 1, DONE);
    await first.flush();
    first.close();
    disk.database.exec(`UPDATE ${table} SET ${column} = replace(replace(${column}, '0', '1'), '[', '(')`);
    assert.throws(
      () => {
        const journal = disk.open();
        journal.read(0);
        journal.failures(0, 10);
        void journal.scan;
        journal.close();
      },
      JournalError,
      table,
    );
  }
});

Deno.test("[E15] after a commit that failed for good nothing more is taken, and it is said", async () => {
  const disk = new Disk();
  const journal = disk.open();
  let said: unknown = null;
  journal.onBroken = (error) => (said = error);
  disk.database.exec("DROP TABLE listed");
  journal.addPage(files(0, 3), null);
  await assert.rejects(journal.flush(), JournalError);
  assert.ok(said instanceof JournalError);
  await assert.rejects(journal.flush(), JournalError);
  await assert.rejects(journal.room() ?? Promise.resolve(), JournalError);
  await settle();
  journal.close();
});

Deno.test("[E28] a journal of an agent that did not count goes on without a preview, and not with half of one", async () => {
  const disk = new Disk();
  const first = disk.open();
  first.addPage(files(0, 10), "cursor");
  await first.flush();
  first.close();
  const row = disk.database.prepare("SELECT value FROM fact WHERE key = 'summary'").get();
  const { isScanned, preview, noted, ...older } = JSON.parse(String(row?.["value"])) as Record<
    string,
    unknown
  >;
  assert.deepEqual([isScanned, typeof preview, typeof noted], [false, "object", "object"]);
  const text = JSON.stringify(older);
  disk.database
    .prepare("UPDATE fact SET value = ?, checked = ? WHERE key = 'summary'")
    .run(text, crc32(text));

  const second = disk.open();
  second.addPage(files(10, 10), null);
  await second.flush();
  assert.equal(second.totals.filesTotal, 20);
  assert.equal(second.preview, null);
  second.countEarlyDeletion();
  await second.flush();
  assert.equal(second.noted.earlyDeletions, 1);
  second.close();
  assert.equal(disk.open().noted.earlyDeletions, 1);
});

Deno.test("[E28] the next pass counts anew what it finds, from the moment it begins, also after a crash", async () => {
  const disk = new Disk();
  const first = disk.open();
  first.addPage([{ kind: "skipped", path: "link", code: "link" }, ...files(1, 3)], null);
  await first.flush();
  const found = (journal: Journal) => {
    const { preview } = journal;
    return preview === null ? null : [preview.files, preview.bytes, preview.links];
  };
  assert.deepEqual(found(first), [3, 6, 1]);
  await first.beginPass();
  assert.equal(found(first), null);
  // Killed here: nothing else was written.
  const second = disk.open();
  assert.equal(second.pass, 2);
  assert.equal(found(second), null);
  second.addPage(files(5, 1), null);
  await second.flush();
  assert.deepEqual(found(second), [1, 5, 1]);
});
