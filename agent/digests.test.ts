/** The digests of a real agent, with its second thread. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { FRESH_MS, identityOf, versionOf } from "./connectors/local-file.ts";
import { HEADROOM_BYTES, type ChecksumKind, type Digests, type FileToRead } from "./digests.ts";
import { denoDigests } from "./digests-deno.ts";
import { statOf } from "./file-stat-deno.ts";
import { NO_BYTES } from "./transport.ts";

const BYTES = 100_000;
const COUNT = 5;

function withDigests(test: (digests: Digests) => void | Promise<void>): () => Promise<void> {
  return async () => {
    const digests = denoDigests({ count: COUNT, bytesEach: BYTES });
    for (const buffer of digests.buffers) fillRandom(buffer);
    try {
      await test(digests);
    } finally {
      digests.close();
    }
  };
}

Deno.test(
  "[B21] each buffer has its headroom in front, and none reaches into another",
  withDigests(({ buffers }) => {
    assert.equal(buffers.length, COUNT);
    for (const [index, buffer] of buffers.entries()) {
      assert.equal(buffer.length, BYTES);
      new Uint8Array(buffer.buffer, buffer.byteOffset - HEADROOM_BYTES, HEADROOM_BYTES + BYTES).fill(
        index + 1,
      );
    }
    for (const [index, buffer] of buffers.entries()) {
      const whole = new Uint8Array(buffer.buffer, buffer.byteOffset - HEADROOM_BYTES, HEADROOM_BYTES + BYTES);
      assert.ok(whole.every((byte) => byte === index + 1));
    }
  }),
);

Deno.test(
  "[B21] on this thread: the SHA-256, the MD5 and the CRC-64 of a view",
  withDigests((digests) => {
    const bytes = buffer(digests, 0).subarray(5, 77_777);
    assert.equal(digests.sha256(bytes), digest("sha256", [bytes]).toHex());
    assert.deepEqual(digests.checksum("md5", bytes), digest("md5", [bytes]));
    new TextEncoder().encodeInto("hello world", buffer(digests, 0));
    const crc = digests.checksum("crc64", buffer(digests, 0).subarray(0, 11));
    assert.equal(btoa(String.fromCharCode(...crc)), "vo7q9sPVKY0=");
  }),
);

Deno.test(
  "[B21] however files are cut, and however many go at once, each has its SHA-256 and each block its checksum",
  withDigests(async (digests) => {
    const lengths = [0, 1, 63, 64, 65, 17_023, 17_024, 17_025, BYTES - 1, BYTES];
    const file = async (seed: number) => {
      const stream = digests.openStream();
      const blocks = Array.from({ length: seed % 4 }, (_, index) => {
        const start = (seed * 7 + index) % 16;
        const length = lengths[(seed * 3 + index * 5) % lengths.length] ?? 0;
        return buffer(digests, (seed + index) % COUNT).subarray(start, start + length);
      });
      const kind: ChecksumKind = seed % 3 === 0 ? "md5" : "crc64";
      // Two ways to call it: one block after the other, and all of them at once.
      const checksums: Uint8Array[] = [];
      if (seed % 2 === 0) for (const block of blocks) checksums.push(await stream.add(kind, block));
      else checksums.push(...(await Promise.all(blocks.map((block) => stream.add(kind, block)))));
      assert.deepEqual(
        checksums,
        blocks.map((block) => digests.checksum(kind, block)),
        `file ${seed}`,
      );
      assert.equal(await stream.finish(), digest("sha256", blocks).toHex(), `file ${seed}`);
    };
    await Promise.all(Array.from({ length: 60 }, (_, seed) => file(seed)));
  }),
);

Deno.test(
  "[B21] the thread that has time computes the checksum, and both come to the same",
  withDigests(async (digests) => {
    for (const kind of ["crc64", "md5"] as const) {
      const bytes = buffer(digests, 1);
      const stream = digests.openStream();
      // The first finds the second thread at rest, the others find it busy.
      const all = await Promise.all([bytes, bytes, bytes].map((one) => stream.add(kind, one)));
      const expected = digests.checksum(kind, bytes);
      assert.deepEqual(all, [expected, expected, expected]);
      await stream.finish();
    }
  }),
);

Deno.test("[B21] both threads compute at the same time without disturbing each other", async () => {
  const digests = denoDigests({ count: 2, bytesEach: 4 * 1_048_576 });
  for (const one of digests.buffers) fillRandom(one);
  try {
    const [here, there] = [buffer(digests, 0), buffer(digests, 1)];
    const expected = [digests.checksum("crc64", here), digests.checksum("crc64", there)];
    const stream = digests.openStream();
    await stream.add("crc64", there);
    for (let round = 0; round < 10; round++) {
      const beside = stream.add("crc64", there);
      // Some milliseconds, in which the other one comes to its CRC.
      const all = Array.from({ length: 10 }, () => digests.checksum("crc64", here));
      for (const own of all) assert.deepEqual(own, expected[0]);
      assert.deepEqual(await beside, expected[1]);
    }
    await stream.finish();
  } finally {
    digests.close();
  }
});

Deno.test(
  "[B22] closing rejects what waits and what comes after",
  withDigests(async (digests) => {
    const stream = digests.openStream();
    const waiting = [
      stream.add("crc64", buffer(digests, 0)),
      stream.add("md5", buffer(digests, 1)),
      stream.finish(),
    ];
    digests.close();
    for (const one of waiting) await assert.rejects(one, /Cannot hash: the digests were closed/);
    await assert.rejects(stream.add("crc64", buffer(digests, 0)), /Cannot hash/);
    assert.throws(() => digests.openStream(), /they are closed/);
  }),
);

Deno.test("[B22] a hashing thread that crashes rejects what waits, and the next stream has a new one", async () => {
  const broken = new URL(
    `data:text/javascript,onmessage=({data})=>{if(data.kind!=="start")throw new Error("broken")}`,
  );
  const missing = new URL("./no-such-worker.ts", import.meta.url);
  for (const first of [broken, missing]) {
    let started = 0;
    const startWorker = () => {
      const url = started++ === 0 ? first : new URL("./digest-worker.ts", import.meta.url);
      return new Worker(url, { type: "module" });
    };
    const digests = denoDigests({ count: 1, bytesEach: 1_000 }, { startWorker, idleMs: 1_000 });
    try {
      const [one, two] = [digests.openStream(), digests.openStream()];
      const waiting = [
        one.add("crc64", buffer(digests, 0)),
        two.add("md5", buffer(digests, 0)),
        two.finish(),
      ];
      for (const each of waiting) await assert.rejects(each, /Cannot hash: the hashing thread ended/);
      await assert.rejects(one.finish(), /Cannot hash: the hashing thread ended/);
      const later = digests.openStream();
      await later.add("crc64", buffer(digests, 0));
      assert.equal(await later.finish(), digest("sha256", [buffer(digests, 0)]).toHex());
    } finally {
      digests.close();
    }
  }
});

Deno.test(
  "[B23] an abandoned stream rejects what it waits for and disturbs no other",
  withDigests(async (digests) => {
    const [kept, left] = [digests.openStream(), digests.openStream()];
    const bytes = buffer(digests, 2);
    const keptFirst = kept.add("crc64", bytes);
    const leftFirst = left.add("crc64", bytes);
    left.abandon();
    left.abandon();
    await assert.rejects(leftFirst, /the stream was abandoned/);
    await assert.rejects(left.add("crc64", bytes), /the stream was abandoned/);
    await kept.add("md5", bytes);
    assert.deepEqual(await keptFirst, digests.checksum("crc64", bytes));
    assert.equal(await kept.finish(), digest("sha256", [bytes, bytes]).toHex());
    kept.abandon();
    await assert.rejects(kept.finish(), /the stream is finished/);
  }),
);

Deno.test(
  "[B23] bytes that lie in no buffer are refused, and the stream goes on",
  withDigests(async (digests) => {
    const stream = digests.openStream();
    await assert.rejects(stream.add("crc64", new Uint8Array(8)), /do not lie in one of the buffers/);
    assert.equal(await stream.finish(), digest("sha256", []).toHex());
  }),
);

Deno.test("[B24] the thread starts with the first stream, ends when none was open for a while, and starts again", async () => {
  const workers: { isEnded: boolean }[] = [];
  const startWorker = () => {
    const worker = new Worker(new URL("./digest-worker.ts", import.meta.url), { type: "module" });
    const seen = { isEnded: false };
    workers.push(seen);
    const end = worker.terminate.bind(worker);
    worker.terminate = () => {
      seen.isEnded = true;
      end();
    };
    return worker;
  };
  const digests = denoDigests({ count: 2, bytesEach: BYTES }, { startWorker, idleMs: 1 });
  for (const one of digests.buffers) fillRandom(one);
  try {
    assert.equal(workers.length, 0);
    for (const expected of [1, 2, 3]) {
      const [one, two] = [digests.openStream(), digests.openStream()];
      if (expected === 2) {
        // Ended before it is ready, with something that nobody has answered: the next thread must not answer it either.
        void two.add("crc64", buffer(digests, 1)).catch(() => undefined);
        one.abandon();
      } else {
        assert.deepEqual(
          await one.add("crc64", buffer(digests, 0)),
          digests.checksum("crc64", buffer(digests, 0)),
        );
        assert.equal(await one.finish(), digest("sha256", [buffer(digests, 0)]).toHex());
      }
      two.abandon();
      assert.equal(workers.length, expected);
      for (let waits = 0; waits < 500 && workers.at(-1)?.isEnded === false; waits++) await pause(10);
      assert.equal(workers.at(-1)?.isEnded, true);
    }
  } finally {
    digests.close();
  }
});

Deno.test("[B24] buffers that nobody wrote to take no memory", () => {
  const before = Deno.memoryUsage().rss;
  const digests = denoDigests({ count: 15, bytesEach: 32 * 1_048_576 });
  const grownBytes = Deno.memoryUsage().rss - before;
  digests.close();
  assert.ok(grownBytes < 100 * 1_048_576, `${grownBytes}`);
});

function buffer(digests: Digests, index: number): Uint8Array {
  const one = digests.buffers[index];
  assert.ok(one);
  return one;
}

function digest(algorithm: "sha256" | "md5", blocks: readonly Uint8Array[]): Uint8Array {
  const hash = createHash(algorithm);
  for (const block of blocks) hash.update(block);
  return new Uint8Array(hash.digest());
}

function fillRandom(bytes: Uint8Array): void {
  const some = new Uint8Array(65_536);
  for (let at = 0; at < bytes.length; at += some.length) {
    bytes.set(crypto.getRandomValues(some).subarray(0, bytes.length - at), at);
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

// --- small files, read beside this thread --------------------------------------------------------------------------

/** Long enough ago that nobody takes it for being written to. */
const OLD = new Date("2026-01-02T03:04:05Z");

/** A folder of files that lie still, and what a listing would say of each. */
class Folder implements Disposable {
  readonly root = Deno.makeTempDirSync();

  put(name: string, bytes: Uint8Array): FileToRead {
    const path = `${this.root}/${name}`;
    Deno.writeFileSync(path, bytes);
    Deno.utimeSync(path, OLD, OLD);
    return { ...listed(path), freshSinceMs: Infinity, into: NO_BYTES };
  }
  [Symbol.dispose](): void {
    Deno.removeSync(this.root, { recursive: true });
  }
}

function listed(path: string) {
  const stat = statOf(Deno.lstatSync(path));
  const identity = identityOf(stat);
  assert.ok(identity !== null);
  return { path, identity, sizeBytes: stat.sizeBytes, modifiedMs: stat.modifiedMs };
}

/** Reads them one behind the other into the first buffer. */
async function readAll(digests: Digests, kind: ChecksumKind, files: readonly FileToRead[]) {
  let at = 0;
  const placed = files.map((file) => {
    const into = buffer(digests, 0).subarray(at, at + file.sizeBytes + 1);
    at += file.sizeBytes + 1;
    return { ...file, into, freshSinceMs: Date.now() - FRESH_MS };
  });
  return { placed, reads: await digests.readFiles(kind, placed) };
}

Deno.test(
  "[B25] files that lie still are read, hashed and checked beside this thread",
  withDigests(async (digests) => {
    using folder = new Folder();
    // The time of the last change cannot be set back, and what changed a moment ago is not simple.
    const contents = [0, 1, 63, 4_096, 20_000].map((sizeBytes) =>
      new Uint8Array(sizeBytes).fill(sizeBytes & 255),
    );
    const files = contents.map((bytes, index) => folder.put(`f${index}`, bytes));
    await new Promise((resolve) => setTimeout(resolve, FRESH_MS + 100));
    for (const kind of ["crc64", "md5"] as const) {
      const { placed, reads } = await readAll(digests, kind, files);
      for (const [index, bytes] of contents.entries()) {
        const into = (placed[index] as FileToRead).into.subarray(0, bytes.length);
        assert.deepEqual(into, bytes);
        assert.equal(reads[index]?.sha256, digest("sha256", [bytes]).toHex());
        assert.deepEqual(reads[index]?.checksum, digests.checksum(kind, into));
        assert.equal(
          reads[index]?.version,
          versionOf(statOf(Deno.lstatSync((files[index] as FileToRead).path))),
        );
      }
    }
  }),
);

Deno.test(
  "[B25] whatever is not simply what was listed is left to its source",
  withDigests(async (digests) => {
    using folder = new Folder();
    const bytes = new Uint8Array(100).fill(7);
    const names = ["grew", "shrank", "touched", "replaced", "gone", "link", "pipe", "folder", "same"];
    const files = names.map((name) => folder.put(name, bytes));
    const at = (name: string) => `${folder.root}/${name}`;
    await new Promise((resolve) => setTimeout(resolve, FRESH_MS + 100));
    Deno.writeFileSync(at("grew"), new Uint8Array(101));
    Deno.writeFileSync(at("shrank"), new Uint8Array(99));
    Deno.utimeSync(at("touched"), OLD, new Date(OLD.getTime() + 1_000));
    folder.put("other", bytes);
    Deno.renameSync(at("other"), at("replaced"));
    for (const name of ["gone", "link", "pipe", "folder"]) Deno.removeSync(at(name));
    Deno.symlinkSync(at("same"), at("link"));
    Deno.mkdirSync(at("folder"));
    await new Deno.Command("mkfifo", { args: [at("pipe")] }).output();
    const { reads } = await readAll(digests, "crc64", files);
    assert.deepEqual(
      reads.map((read) => read !== null),
      names.map((name) => name === "same"),
    );
  }),
);

Deno.test(
  "[B25] a file that was written to a moment ago is left to its source, and so is one that does not fit",
  withDigests(async (digests) => {
    using folder = new Folder();
    const fresh = folder.put("fresh", new Uint8Array(10));
    assert.deepEqual((await readAll(digests, "crc64", [fresh])).reads, [null]);
    await new Promise((resolve) => setTimeout(resolve, FRESH_MS + 100));
    const into = buffer(digests, 0).subarray(0, 10);
    assert.deepEqual(
      await digests.readFiles("crc64", [{ ...fresh, into }]),
      [null],
      "no byte left to find its end",
    );
    assert.notDeepEqual((await readAll(digests, "crc64", [fresh])).reads, [null]);
  }),
);

Deno.test(
  "[B25] a place outside of the buffers is refused, and after the end of the digests so is everything",
  withDigests(async (digests) => {
    using folder = new Folder();
    const file = folder.put("file", new Uint8Array(10));
    await assert.rejects(digests.readFiles("crc64", [{ ...file, into: new Uint8Array(20) }]), TypeError);
    const waiting = digests.readFiles("crc64", [{ ...file, into: buffer(digests, 0) }]);
    digests.close();
    await assert.rejects(waiting, /digests were closed/);
    await assert.rejects(digests.readFiles("crc64", []), /closed/);
  }),
);
