/**
 * The rules of `connector.ts` as tests, one suite per interface, run on every connector: on the ones in memory, so that
 * the simulator is honest, and on the real ones against a real disk and an emulator.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import {
  type Body,
  type CallOptions,
  type Condition,
  type Destination,
  type Entry,
  type EntryMetadata,
  type Held,
  type Listed,
  LISTED_PAGE_ITEMS_MAX,
  type Source,
  TransferError,
} from "./connector.ts";

/** Registers one test; `Deno.test` fits. */
export type Register = (name: string, test: () => Promise<void>) => void;

const SIGNAL = new AbortController().signal;
const OPTIONS: CallOptions = { signal: SIGNAL, pace: null };
const ABSENT: Condition = { kind: "absent" };

/** Names that have cost others data. */
export const HARD_NAMES: readonly string[] = [
  "plain.txt",
  "with space.txt",
  "a#b.txt",
  "100%.txt",
  "%41.txt",
  "what?.txt",
  "a+b&c=d;e.txt",
  "quote'\"<>.txt",
  "back\\slash.txt",
  "caf\u00e9.txt",
  "cafe\u0301.txt",
  "\u{1f600}.txt",
  "trailing.",
  "...",
  " leading",
  "deep/er/and #/deeper/\u00fc.txt",
  `${"long".repeat(20)}/${"folder".repeat(20)}/${"name".repeat(50)}.txt`,
];

// --- source ------------------------------------------------------------------------------------------------------

export interface SourceWorld {
  readonly source: Source;
  put(path: string, bytes: Uint8Array): Promise<void>;
  remove(path: string): Promise<void>;
  close(): Promise<void>;
}

export function sourceContract(
  register: Register,
  kind: string,
  makeWorld: () => Promise<SourceWorld>,
): void {
  const rule = (name: string, test: (world: SourceWorld) => Promise<void>) =>
    register(`[Y1] ${kind}: ${name}`, async () => {
      const world = await makeWorld();
      try {
        await test(world);
      } finally {
        await world.close();
      }
    });

  rule(
    "a listing names every file once, byte for byte, and its last page has no cursor",
    async ({ source, put }) => {
      for (const [index, name] of HARD_NAMES.entries()) await put(name, bytesOf(index, index));
      const { files, cursors } = await listAll(source);
      assert.deepEqual(files.map((entry) => entry.path).sort(), [...HARD_NAMES].sort());
      assert.equal(files.find((entry) => entry.path === HARD_NAMES[5])?.sizeBytes, 5);
      assert.equal(cursors.at(-1), null);
      assert.ok(cursors.slice(0, -1).every((cursor) => cursor !== null));
    },
  );

  rule(
    "a listing comes in the order in which strings compare, in pages that are not too long",
    async ({ source, put }) => {
      for (const name of [
        "b/a",
        "a",
        "b c",
        "a b",
        "a.b",
        "B",
        "a0",
        "b/c d/e",
        "b/c/d",
        "b/c-",
        "\u00e9",
        "z",
      ])
        await put(name, new Uint8Array(1));
      for (let index = 0; index < 1_500; index++) await put(`many/${index}`, new Uint8Array());
      const { pages } = await listAll(source);
      const paths = pages.flat().map(pathOf);
      assert.deepEqual(paths, paths.toSorted());
      assert.ok(pages.every((page) => page.length <= LISTED_PAGE_ITEMS_MAX));
    },
  );

  rule(
    "a small file is read in one go, as it is now; one that does not fit is not",
    async ({ source, put }) => {
      for (const sizeBytes of [0, 1, 5_000]) {
        const bytes = bytesOf(3, sizeBytes);
        await put("small", bytes);
        const into = new Uint8Array(5_001);
        const read = await source.readWhole(entryOf("small", bytesOf(1, 10)), into, SIGNAL);
        assert.equal(read?.sizeBytes, sizeBytes);
        assert.deepEqual(into.subarray(0, sizeBytes), bytes);
      }
      assert.equal(
        await source.readWhole(entryOf("small", new Uint8Array(5_000)), new Uint8Array(4_999), SIGNAL),
        null,
      );
    },
  );

  rule("an empty source is one page without items", async ({ source }) => {
    const { items } = await listAll(source);
    assert.deepEqual(items, []);
  });

  rule(
    "a listing goes on behind any cursor, also when files come and go meanwhile",
    async ({ source, put, remove }) => {
      for (let index = 0; index < 2_500; index++)
        await put(`f${index % 7}/s${index % 3}/n${index}`, new Uint8Array(1));
      const whole = await listAll(source);
      const middle = whole.cursors.findIndex((cursor) => cursor !== null);
      assert.notEqual(middle, -1);
      const seen = whole.pages.slice(0, middle + 1).flat();
      await remove(pathOf(seen.at(-1)));
      await put("zz/late", new Uint8Array(1));
      const rest = await listAll(source, whole.cursors[middle]);
      const expected = [...whole.files.map((entry) => entry.path), "zz/late"].sort();
      assert.deepEqual([...seen.map(pathOf), ...rest.files.map((entry) => entry.path)].sort(), expected);
    },
  );

  rule("a file is read whole, in pieces of any size, and is unchanged", async ({ source, put }) => {
    const bytes = bytesOf(3, 100_003);
    await put("a/file", bytes);
    for (const pieceBytes of [1_000, 65_536, 100_003, 200_000]) {
      const reading = await source.open(entryOf("a/file", bytes), SIGNAL);
      assert.equal(reading.sizeBytes, bytes.length);
      const parts: Uint8Array[] = [];
      for (;;) {
        const into = new Uint8Array(pieceBytes);
        const count = await reading.next(into, SIGNAL);
        parts.push(into.subarray(0, count));
        if (count < pieceBytes) break;
      }
      assert.equal(sha256(...parts), sha256(bytes));
      assert.equal(await reading.unchanged(SIGNAL), true);
      reading.close();
    }
  });

  rule("an empty file is read as nothing", async ({ source, put }) => {
    await put("empty", new Uint8Array());
    const reading = await source.open(entryOf("empty", new Uint8Array()), SIGNAL);
    assert.equal(await reading.next(new Uint8Array(10), SIGNAL), 0);
    assert.equal(await reading.unchanged(SIGNAL), true);
    reading.close();
  });

  rule("a file that ends before its size fails, and never passes for whole", async ({ source, put }) => {
    const bytes = bytesOf(1, 50_000);
    await put("file", bytes);
    const reading = await source.open(entryOf("file", bytes), SIGNAL);
    await reading.next(new Uint8Array(10), SIGNAL);
    await put("file", bytes.subarray(0, 20_000));
    await assert.rejects(async () => {
      for (;;) if ((await reading.next(new Uint8Array(50_000), SIGNAL)) === 0) return;
    }, failsWith("source_changing"));
    reading.close();
  });

  rule("a file that grew or was written to is not unchanged", async ({ source, put }) => {
    const bytes = bytesOf(1, 5_000);
    for (const changed of [bytesOf(1, 5_001), bytesOf(2, 5_000)]) {
      await put("file", bytes);
      const reading = await source.open(entryOf("file", bytes), SIGNAL);
      await reading.next(new Uint8Array(5_000), SIGNAL);
      await put("file", changed);
      assert.equal(await reading.unchanged(SIGNAL), false);
      reading.close();
    }
  });

  rule("a file that is gone fails as vanished", async ({ source, put, remove }) => {
    await put("file", bytesOf(1, 10));
    await remove("file");
    const entry = entryOf("file", bytesOf(1, 10));
    await assert.rejects(source.open(entry, SIGNAL), failsWith("source_vanished"));
    const readWhole = async () => await source.readWhole(entry, new Uint8Array(20), SIGNAL);
    await assert.rejects(readWhole, failsWith("source_vanished"));
  });

  rule("a file that changed since it was listed opens as it is now", async ({ source, put }) => {
    await put("file", bytesOf(1, 99));
    const reading = await source.open(entryOf("file", bytesOf(1, 10)), SIGNAL);
    assert.equal(reading.sizeBytes, 99);
    reading.close();
  });

  rule("a listing that is aborted ends with the signal's reason", async ({ source, put }) => {
    for (let index = 0; index < 300; index++) await put(`${index}`, new Uint8Array(1));
    const controller = new AbortController();
    controller.abort(new Error("enough"));
    await assert.rejects(async () => {
      for await (const page of source.list({ cursor: null, signal: controller.signal })) assert.ok(page);
    }, /enough/);
  });
}

async function listAll(source: Source, cursor: string | null = null) {
  const pages: (readonly Listed[])[] = [];
  const cursors: (string | null)[] = [];
  for await (const page of source.list({ cursor, signal: SIGNAL })) {
    pages.push(page.items);
    cursors.push(page.cursor);
  }
  const items = pages.flat();
  const files = items.flatMap((item) => (item.kind === "file" ? [item.entry] : []));
  return { pages, cursors, items, files };
}

function pathOf(item: Listed | undefined): string {
  if (item === undefined) throw new Error("No item");
  return item.kind === "file" ? item.entry.path : item.path;
}

function entryOf(path: string, bytes: Uint8Array): Entry {
  return { path, sizeBytes: bytes.length, modifiedMs: 0, identity: null };
}

// --- destination -------------------------------------------------------------------------------------------------

export interface DestinationWorld {
  readonly destination: Destination;
  /** What lies there under a name of the destination's, read in another way than through it. */
  download(name: string): Promise<Uint8Array>;
  close(): Promise<void>;
}

export function destinationContract(
  register: Register,
  kind: string,
  makeWorld: () => Promise<DestinationWorld>,
): void {
  const rule = (name: string, test: (world: DestinationWorld) => Promise<void>) =>
    register(`[Y2] ${kind}: ${name}`, async () => {
      const world = await makeWorld();
      try {
        await world.destination.ready(SIGNAL);
        await test(world);
      } finally {
        await world.close();
      }
    });

  rule(
    "an entry written in one request is found, listed and held under exactly its name",
    async ({ destination, download }) => {
      for (const [index, name] of HARD_NAMES.entries()) {
        assert.equal(destination.name(name).kind, "named", name);
        const bytes = bytesOf(index, 10 + index);
        const { etag } = await destination.writeWhole(
          name,
          bodyOf(bytes),
          metadataOf(bytes),
          ABSENT,
          OPTIONS,
        );
        const held = await destination.find(name, SIGNAL);
        assert.deepEqual(withoutFee(held), {
          path: name,
          sizeBytes: bytes.length,
          etag,
          sha256: sha256(bytes),
          modifiedMs: MODIFIED_MS,
          archived: false,
        });
        assert.deepEqual(await download(nameOf(destination, name)), bytes, name);
      }
      const listed = await listHeld(destination);
      const unmapped = HARD_NAMES.filter((name) => !isMapped(destination, name));
      assert.equal(listed.length, HARD_NAMES.length);
      for (const name of unmapped) {
        const held = listed.find(({ path }) => path === name);
        assert.deepEqual(held, await destination.find(name, SIGNAL), name);
      }
    },
  );

  rule("an empty entry is an entry", async ({ destination, download }) => {
    const bytes = new Uint8Array();
    await destination.writeWhole("empty", bodyOf(bytes), metadataOf(bytes), ABSENT, OPTIONS);
    assert.equal((await destination.find("empty", SIGNAL))?.sizeBytes, 0);
    assert.equal((await download("empty")).length, 0);
  });

  rule("what is not there is null, and has no blocks", async ({ destination }) => {
    assert.equal(await destination.find("nothing", SIGNAL), null);
    assert.deepEqual(await destination.stagedBlocks("nothing", SIGNAL), []);
    assert.deepEqual(await listHeld(destination), []);
  });

  rule(
    "an entry of blocks is not seen before its commit, and then it is whole, in the order of the commit",
    async ({ destination, download }) => {
      const parts = [bytesOf(1, 1_000), bytesOf(2, 1_000), bytesOf(3, 17)];
      const ids = parts.map((_, index) => idOf(index));
      for (const index of [2, 0, 1])
        await writeBlock(destination, "large", idOf(index), parts[index] as Uint8Array);
      assert.equal(await destination.find("large", SIGNAL), null);
      assert.deepEqual(await listHeld(destination), []);
      assert.deepEqual(sortById(await destination.stagedBlocks("large", SIGNAL)), sortById(blocksOf(parts)));
      const whole = concat(parts);
      const { etag } = await destination.commit("large", ids, metadataOf(whole), ABSENT, SIGNAL);
      assert.deepEqual(await download("large"), whole);
      assert.deepEqual(await destination.committedBlocks("large", SIGNAL), { etag, blocks: blocksOf(parts) });
      assert.deepEqual(await destination.stagedBlocks("large", SIGNAL), []);
      const held = await destination.find("large", SIGNAL);
      assert.deepEqual(withoutFee(held), {
        path: "large",
        sizeBytes: whole.length,
        etag,
        sha256: sha256(whole),
        modifiedMs: MODIFIED_MS,
        archived: false,
      });
    },
  );

  rule("a block written twice is one block, and the later one counts", async ({ destination, download }) => {
    await writeBlock(destination, "twice", idOf(0), bytesOf(1, 100));
    await writeBlock(destination, "twice", idOf(0), bytesOf(2, 100));
    assert.equal((await destination.stagedBlocks("twice", SIGNAL)).length, 1);
    await destination.commit("twice", [idOf(0)], metadataOf(bytesOf(2, 100)), ABSENT, SIGNAL);
    assert.deepEqual(await download("twice"), bytesOf(2, 100));
  });

  rule(
    "bytes that are not those of their checksum are refused, to be sent again",
    async ({ destination }) => {
      const damaged = { ...bodyOf(bytesOf(1, 100)), checksum: bodyOf(bytesOf(2, 100)).checksum };
      const refused = (error: unknown) => error instanceof TransferError && error.retry.kind === "backoff";
      await assert.rejects(
        destination.writeWhole("damaged", damaged, metadataOf(damaged.bytes), ABSENT, OPTIONS),
        refused,
      );
      await assert.rejects(destination.writeBlock("damaged", idOf(0), damaged, OPTIONS), refused);
      assert.equal(await destination.find("damaged", SIGNAL), null);
    },
  );

  rule(
    "what is there is not replaced unless by its tag, in one request or by a commit",
    async ({ destination, download }) => {
      const old = bytesOf(1, 50);
      const { etag } = await destination.writeWhole("kept", bodyOf(old), metadataOf(old), ABSENT, OPTIONS);
      const replace = async (bytes: Uint8Array, condition: Condition, way: "whole" | "blocks") => {
        if (way === "whole")
          return await destination.writeWhole("kept", bodyOf(bytes), metadataOf(bytes), condition, OPTIONS);
        await writeBlock(destination, "kept", idOf(0), bytes);
        return await destination.commit("kept", [idOf(0)], metadataOf(bytes), condition, SIGNAL);
      };
      const wrong: Condition = { kind: "matches", etag: "0x8D00000000000AA" };
      for (const way of ["whole", "blocks"] as const) {
        for (const condition of [ABSENT, wrong]) {
          await assert.rejects(replace(bytesOf(2, 60), condition, way), isCondition);
          assert.deepEqual(await download("kept"), old);
        }
      }
      const replaced = await replace(bytesOf(3, 70), { kind: "matches", etag }, "whole");
      assert.deepEqual(await download("kept"), bytesOf(3, 70));
      await replace(bytesOf(4, 80), { kind: "matches", etag: replaced.etag }, "blocks");
      assert.deepEqual(await download("kept"), bytesOf(4, 80));
      await assert.rejects(
        destination.writeWhole("gone", bodyOf(old), metadataOf(old), wrong, OPTIONS),
        isCondition,
      );
    },
  );

  rule(
    "a commit that names a block that is not there says so, and changes nothing",
    async ({ destination }) => {
      await writeBlock(destination, "short", idOf(0), bytesOf(1, 10));
      await assert.rejects(
        destination.commit("short", [idOf(0), idOf(1)], metadataOf(bytesOf(1, 10)), ABSENT, SIGNAL),
        (error) => error instanceof TransferError && error.problem.scope === "blocks",
      );
      assert.equal(await destination.find("short", SIGNAL), null);
    },
  );

  rule(
    "a commit that is repeated after a lost answer says that something is there, with our SHA-256",
    async ({ destination }) => {
      const bytes = bytesOf(1, 30);
      await writeBlock(destination, "again", idOf(0), bytes);
      const { etag } = await destination.commit("again", [idOf(0)], metadataOf(bytes), ABSENT, SIGNAL);
      await assert.rejects(
        destination.commit("again", [idOf(0)], metadataOf(bytes), ABSENT, SIGNAL),
        isCondition,
      );
      const held = await destination.find("again", SIGNAL);
      assert.equal(held?.etag, etag);
      assert.equal(held.sha256, sha256(bytes));
    },
  );

  rule("the listing comes in the order in which strings compare", async ({ destination }) => {
    const bytes = bytesOf(1, 3);
    for (const name of ["b/a", "a", "b", "a b", "a/b", "a.b", "B", "a0", "a/b c/d", "\u00e9", "\u4e2d", "z"])
      await destination.writeWhole(name, bodyOf(bytes), metadataOf(bytes), ABSENT, OPTIONS);
    const listed = (await listHeld(destination)).map((held) => held.path);
    assert.deepEqual(listed, listed.toSorted());
  });

  rule(
    "what is there is read back in pieces, of the version with this tag and no other",
    async ({ destination }) => {
      const bytes = bytesOf(1, 5_000);
      const { etag } = await destination.writeWhole(
        "read",
        bodyOf(bytes),
        metadataOf(bytes),
        ABSENT,
        OPTIONS,
      );
      const into = new Uint8Array(5_000);
      for (const [fromBytes, toBytes] of [
        [0, 1],
        [1, 2_000],
        [2_000, 5_000],
      ] as const)
        await destination.read("read", { etag, fromBytes, into: into.subarray(fromBytes, toBytes) }, OPTIONS);
      assert.deepEqual(into, bytes);
      await destination.writeWhole(
        "read",
        bodyOf(bytes),
        metadataOf(bytes),
        { kind: "matches", etag },
        OPTIONS,
      );
      await assert.rejects(destination.read("read", { etag, fromBytes: 0, into }, OPTIONS), isCondition);
    },
  );

  rule(
    "what is archived says so, keeps its tag, and is neither read nor replaced",
    async ({ destination }) => {
      const bytes = bytesOf(1, 50);
      const { etag } = await destination.writeWhole(
        "cold",
        bodyOf(bytes),
        metadataOf(bytes),
        ABSENT,
        OPTIONS,
      );
      await assert.rejects(destination.setTier("cold", "Archive", "0x8D00000000000AA", SIGNAL), isCondition);
      await destination.setTier("cold", "Archive", etag, SIGNAL);
      const held = await destination.find("cold", SIGNAL);
      assert.equal(held?.archived, true);
      assert.equal(held.etag, etag);
      assert.deepEqual(await listHeld(destination), [held]);
      const into = new Uint8Array(50);
      await assert.rejects(destination.read("cold", { etag, fromBytes: 0, into }, OPTIONS), TransferError);
      await assert.rejects(
        destination.writeWhole("cold", bodyOf(bytes), metadataOf(bytes), { kind: "matches", etag }, OPTIONS),
        TransferError,
      );
    },
  );

  rule("a call that is aborted ends with the signal's reason", async ({ destination }) => {
    const controller = new AbortController();
    controller.abort(new Error("enough"));
    const bytes = bytesOf(1, 10);
    await assert.rejects(
      destination.writeWhole("aborted", bodyOf(bytes), metadataOf(bytes), ABSENT, {
        signal: controller.signal,
        pace: null,
      }),
      /enough/,
    );
    await assert.rejects(destination.find("aborted", controller.signal), /enough/);
    assert.equal(await destination.find("aborted", SIGNAL), null);
  });
}

const MODIFIED_MS = Date.parse("2026-03-04T05:06:07.089Z");

function metadataOf(bytes: Uint8Array): EntryMetadata {
  return {
    sha256: sha256(bytes),
    modifiedMs: MODIFIED_MS,
    tier: "Cool",
    contentType: "text/plain",
  };
}

async function writeBlock(
  destination: Destination,
  path: string,
  id: string,
  bytes: Uint8Array,
): Promise<void> {
  await destination.writeBlock(path, id, bodyOf(bytes), OPTIONS);
}

export function bodyOf(bytes: Uint8Array): Body {
  const value = new Uint8Array(createHash("md5").update(bytes).digest());
  return { bytes, headroomBytes: 0, checksum: { kind: "md5", value } };
}

function nameOf(destination: Destination, path: string): string {
  const named = destination.name(path);
  return named.kind === "named" ? named.name : path;
}

/** What a service charges for is not of the contract. */
function withoutFee(held: Held | null): Omit<Held, "feeUntilMs"> | null {
  if (held === null) return null;
  const { feeUntilMs: _fee, ...rest } = held;
  return rest;
}

function isMapped(destination: Destination, path: string): boolean {
  const named = destination.name(path);
  return named.kind === "named" && named.mapped;
}

async function listHeld(destination: Destination): Promise<Held[]> {
  const items: Held[] = [];
  let cursor: string | null = null;
  do {
    const page: Awaited<ReturnType<Destination["page"]>> = await destination.page(cursor, SIGNAL);
    items.push(...page.items);
    cursor = page.cursor;
  } while (cursor !== null);
  return items;
}

function idOf(index: number): string {
  return new Uint8Array(24).fill(index + 250).toBase64();
}

function blocksOf(parts: readonly Uint8Array[]) {
  return parts.map((part, index) => ({ id: idOf(index), sizeBytes: part.length }));
}

function sortById<Block extends { readonly id: string }>(blocks: readonly Block[]): Block[] {
  return blocks.toSorted((a, b) => (a.id < b.id ? -1 : 1));
}

function isCondition(error: unknown): boolean {
  return error instanceof TransferError && error.problem.scope === "condition";
}

function failsWith(code: string): (error: unknown) => boolean {
  return (error) =>
    error instanceof TransferError && error.problem.scope === "file" && error.problem.code === code;
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

export function bytesOf(seed: number, sizeBytes: number): Uint8Array {
  return Uint8Array.from({ length: sizeBytes }, (_, index) => (seed * 97 + index * 31 + (index >> 9)) & 0xff);
}

function sha256(...parts: readonly Uint8Array[]): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest("hex");
}
