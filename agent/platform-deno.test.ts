/** What the real platform promises, on the real machine. */
import assert from "node:assert/strict";
import type { Listed } from "./connectors/connector.ts";
import { LocalSource } from "./connectors/local.ts";
import { ConnectError, type Disk, DiskError, type DiskErrorCode, type Platform } from "./platform.ts";
import {
  denoPlatform,
  INBOX_TEXTS_MAX,
  logLine,
  makeFolder,
  readTextFile,
  writeTextFile,
} from "./platform-deno.ts";

const NEVER = new AbortController().signal;

function withFolder(test: (folder: string, platform: Platform) => void | Promise<void>): () => Promise<void> {
  return async () => {
    const folder = Deno.makeTempDirSync();
    try {
      await test(
        folder,
        denoPlatform(() => undefined),
      );
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  };
}

function isDiskError(code: DiskErrorCode): (error: unknown) => boolean {
  return (error) => error instanceof DiskError && error.code === code;
}

function modeOf(path: string): number {
  return (Deno.statSync(path).mode ?? 0) & 0o777;
}

Deno.test(
  "[A40] a folder is listed with kinds, and names come as they are",
  withFolder((folder, { disk }) => {
    const names = ["a#b%c", "v\u00e9", "ve\u0301", "\u{1f600}", "trailing. "];
    for (const name of names) Deno.writeTextFileSync(`${folder}/${name}`, "");
    Deno.symlinkSync("/etc", `${folder}/link`);
    Deno.mkdirSync(`${folder}/folder`);
    const items = new Map(disk.readFolder(folder).map(({ name, kind }) => [name, kind]));
    assert.deepEqual([...items.keys()].toSorted(), [...names, "link", "folder"].toSorted());
    assert.deepEqual(
      [items.get("link"), items.get("folder"), items.get("a#b%c")],
      ["link", "folder", "file"],
    );
    assert.equal(disk.stat(`${folder}/link`).kind, "link");
  }),
);

Deno.test(
  "[A40] what the system refuses has a code",
  withFolder(async (folder, { disk }) => {
    Deno.writeTextFileSync(`${folder}/file`, "");
    assert.throws(() => disk.readFolder(`${folder}/none`), isDiskError("not_found"));
    assert.throws(() => disk.readFolder(`${folder}/file`), isDiskError("not_a_folder"));
    assert.throws(() => disk.stat(`${folder}/a\0b`), isDiskError("other"));
    assert.throws(() => disk.realPath(`${folder}/none`), isDiskError("not_found"));
    await assert.rejects(disk.open(`${folder}/none`), isDiskError("not_found"));
    await assert.rejects(disk.open(folder), isDiskError("other"));
  }),
);

Deno.test(
  "[A40] a file is read from any position, to its end, and never through a link",
  withFolder(async (folder, { disk }) => {
    Deno.writeTextFileSync(`${folder}/file`, "0123456789");
    Deno.symlinkSync(`${folder}/file`, `${folder}/link`);
    const file = await disk.open(`${folder}/file`);
    const into = new Uint8Array(4);
    const text = async (position: number) => {
      const count = await file.read(into, position);
      return new TextDecoder().decode(into.subarray(0, count));
    };
    assert.deepEqual(
      [await text(0), await text(4), await text(8), await text(10)],
      ["0123", "4567", "89", ""],
    );
    assert.equal(await text(2), "2345");
    assert.deepEqual(file.stat(), disk.stat(`${folder}/file`));
    file.close();
    await assert.rejects(disk.open(`${folder}/link`), isDiskError("other"));
  }),
);

Deno.test(
  "[A40] a pipe is not opened, which would wait for ever",
  withFolder(async (folder, { disk }) => {
    await new Deno.Command("mkfifo", { args: [`${folder}/pipe`] }).output();
    assert.equal(disk.stat(`${folder}/pipe`).kind, "special");
    await assert.rejects(disk.open(`${folder}/pipe`), isDiskError("other"));
  }),
);

Deno.test(
  "[A41] files of the agent's own are for its account alone, also over an older one",
  withFolder((folder, platform) => {
    makeFolder(`${folder}/a/b`);
    assert.equal(modeOf(`${folder}/a/b`), 0o700);
    Deno.writeTextFileSync(`${folder}/config`, "old", { mode: 0o644 });
    Deno.writeTextFileSync(`${folder}/config.new`, "left by a crash", { mode: 0o644 });
    writeTextFile(`${folder}/config`, "new");
    assert.deepEqual([readTextFile(`${folder}/config`), modeOf(`${folder}/config`)], ["new", 0o600]);
    assert.equal(readTextFile(`${folder}/none`), null);
    const database = platform.openDatabase(`${folder}/x.db`, { exclusive: false });
    database.execute("CREATE TABLE t (a)");
    for (const { name } of Deno.readDirSync(folder)) {
      if (name.startsWith("x.db")) assert.equal(modeOf(`${folder}/${name}`), 0o600, name);
    }
    database.close();
    const created = platform.disk.create(`${folder}/manifest`);
    created.write(new TextEncoder().encode("line\n"));
    created.finish();
    assert.deepEqual([readTextFile(`${folder}/manifest`), modeOf(`${folder}/manifest`)], ["line\n", 0o600]);
  }),
);

Deno.test(
  "[A42] a commit is on the disk when it returns, and values come back as they went in",
  withFolder((folder, platform) => {
    const database = platform.openDatabase(`${folder}/x.db`, { exclusive: false });
    assert.equal(database.prepare("PRAGMA synchronous").get()?.["synchronous"], 2);
    assert.equal(database.prepare("PRAGMA journal_mode").get()?.["journal_mode"], "wal");
    database.execute("CREATE TABLE t (a, b, c, d)");
    const bytes = Uint8Array.of(1, 2, 3);
    database.prepare("INSERT INTO t VALUES (?, ?, ?, ?)").run(2 ** 52, "text", null, bytes);
    const [row] = [...database.prepare("SELECT * FROM t").iterate()];
    assert.deepEqual({ ...row }, { a: 2 ** 52, b: "text", c: null, d: bytes });
    database.close();
    platform.removeDatabase(`${folder}/x.db`);
    platform.removeDatabase(`${folder}/x.db`);
    assert.deepEqual([...Deno.readDirSync(folder)], []);
  }),
);

Deno.test(
  "[A37] an exclusive database lets nobody else in as long as it is open",
  withFolder((folder, platform) => {
    const open = () => platform.openDatabase(`${folder}/x.db`, { exclusive: true });
    open().close();
    const held = open();
    assert.throws(open, isDiskError("busy"));
    held.close();
    open().close();
  }),
);

Deno.test(
  "[A42] a file that is no database is an error of the disk",
  withFolder((folder, platform) => {
    Deno.writeTextFileSync(`${folder}/x.db`, "this is not a database, it is a sentence".repeat(100));
    assert.throws(() => platform.openDatabase(`${folder}/x.db`, { exclusive: false }), isDiskError("other"));
    assert.throws(
      () => platform.openDatabase(`${folder}/none/x.db`, { exclusive: false }),
      isDiskError("not_found"),
    );
  }),
);

Deno.test("[A43] a log line is one line of named values without a secret", () => {
  const fields = {
    jobId: "job_1",
    sentence: 'two words, "one" line\nbreak',
    url: "https://a.blob.core.windows.net/c?sv=1&sig=SECRET%2B&se=2",
    header: "Bearer SECRET",
    connection: "AccountName=a;AccountKey=SECRET==;EndpointSuffix=x",
    key: "mig_agt1_agt_0_SECRET_sum",
    none: null,
  };
  const line = logLine(Date.parse("2026-11-22T10:00:00.000Z"), "block_sent", fields);
  assert.match(
    line,
    /^2026-11-22T10:00:00\.000Z block_sent jobId=job_1 sentence="two words, \\"one\\" line\\nbreak" /,
  );
  assert.equal(line.split("\n").length, 1);
  assert.ok(!line.includes("SECRET"), line);
  assert.ok(!line.includes("none"));
});

Deno.test("[A44] a sleep ends with its time or with its signal", async () => {
  const { clock } = denoPlatform(() => undefined);
  const startedMs = clock.monotonic();
  await clock.sleep(20, NEVER);
  assert.ok(clock.monotonic() - startedMs >= 15);
  const stop = new AbortController();
  const sleeping = clock.sleep(60_000, stop.signal);
  stop.abort(new Error("enough"));
  await assert.rejects(sleeping, /enough/);
  await assert.rejects(clock.sleep(1, stop.signal), /enough/);
});

/** A server whose sockets the test holds. */
async function withServer(
  answer: (request: Request) => Response,
  test: (url: string, platform: Platform) => Promise<void>,
): Promise<void> {
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => undefined }, answer);
  try {
    await test(
      `ws://127.0.0.1:${(server.addr as Deno.NetAddr).port}/`,
      denoPlatform(() => undefined),
    );
  } finally {
    await server.shutdown();
  }
}

const OPTIONS = { protocol: "p.v1", headers: { Authorization: "Bearer k" }, signal: NEVER };

Deno.test("[A45] a socket carries headers and protocol, and its texts wait until they are asked for", async () => {
  let seen: (string | null)[] = [];
  await withServer(
    (request) => {
      seen = [request.headers.get("Authorization"), request.headers.get("Sec-WebSocket-Protocol")];
      const { socket, response } = Deno.upgradeWebSocket(request, { protocol: "p.v1" });
      socket.onopen = () => {
        socket.send("one");
        socket.send("two");
      };
      socket.onmessage = ({ data }) => socket.close(4403, String(data));
      return response;
    },
    async (url, platform) => {
      const socket = await platform.connect(url, OPTIONS);
      assert.deepEqual(seen, ["Bearer k", "p.v1"]);
      assert.deepEqual(await socket.receive(NEVER), { kind: "text", text: "one" });
      assert.deepEqual(await socket.receive(NEVER), { kind: "text", text: "two" });
      const stop = new AbortController();
      const waiting = socket.receive(stop.signal);
      stop.abort(new Error("enough"));
      await assert.rejects(waiting, /enough/);
      socket.send("revoked");
      assert.deepEqual(await socket.receive(NEVER), { kind: "closed", code: 4403, reason: "revoked" });
      socket.send("nobody hears this");
    },
  );
});

Deno.test("[A45] a refused upgrade has its status, no answer has none", async () => {
  await withServer(
    () => new Response("no", { status: 401 }),
    async (url, platform) => {
      const refused = (status: number | null) => (error: unknown) =>
        error instanceof ConnectError && error.status === status;
      await assert.rejects(platform.connect(url, OPTIONS), refused(401));
      await assert.rejects(platform.connect("ws://127.0.0.1:1/", OPTIONS), refused(null));
    },
  );
});

Deno.test("[A45] a hub that sends without end is cut off", async () => {
  await withServer(
    (request) => {
      const { socket, response } = Deno.upgradeWebSocket(request, { protocol: "p.v1" });
      socket.onopen = () => {
        for (let count = 0; count < 2 * INBOX_TEXTS_MAX; count++) socket.send("x");
      };
      return response;
    },
    async (url, platform) => {
      const socket = await platform.connect(url, OPTIONS);
      await platform.clock.sleep(300, NEVER);
      let texts = 0;
      for (;;) {
        const next = await socket.receive(NEVER);
        if (next.kind === "closed") break;
        texts++;
      }
      assert.equal(texts, INBOX_TEXTS_MAX);
    },
  );
});

Deno.test(
  "[A71] a folder looked at by two threads is the one that one thread sees",
  withFolder(async (folder, platform) => {
    const { disk } = platform;
    for (let index = 0; index < 1_200; index++)
      Deno.writeTextFileSync(`${folder}/f${index}`, "x".repeat(index));
    Deno.linkSync(`${folder}/f7`, `${folder}/f7-again`);
    Deno.symlinkSync("/etc", `${folder}/link`);
    Deno.mkdirSync(`${folder}/sub`);
    const names = disk.readFolder(folder).map(({ name, kind }) => (kind === "folder" ? `${name}/` : name));
    names.push("vanished");
    assert.equal(disk.lookAhead(`${folder}/`, names), null, "nobody has the time");
    platform.prepareDigests();
    // The thread has to start, and takes no second folder before it has begun the first.
    let seen = 0;
    const deadlineMs = Date.now() + 20_000;
    while (seen < 1_190 && Date.now() < deadlineMs) {
      const ahead = disk.lookAhead(`${folder}/`, names);
      seen = 0;
      for (const [index, name] of names.entries()) {
        if (name.endsWith("/")) continue;
        // The first one of 512 asks for all of them.
        if (index % 512 === 1) await platform.clock.sleep(20, NEVER);
        const stat = ahead?.stat(index) ?? null;
        if (name === "vanished") assert.equal(stat, null);
        else if (stat !== null) assert.deepEqual(stat, disk.stat(`${folder}/${name}`), name);
        if (stat !== null) seen++;
      }
    }
    // All but the ones with which each piece was asked for.
    assert.ok(seen >= 1_190, `${seen} were seen by the thread beside`);
    // Whoever asks about another folder takes the place of the one before.
    const before = disk.lookAhead(`${folder}/`, names);
    await platform.clock.sleep(50, NEVER);
    assert.notEqual(before?.stat(400), null);
    disk.lookAhead(`${folder}/sub/`, names);
    assert.equal(before?.stat(401), null);
  }),
);

Deno.test("[A71] a whole tree is listed the same with the thread beside as without", async () => {
  const folder = Deno.realPathSync(Deno.makeTempDirSync());
  const platform = denoPlatform(() => undefined);
  const listAll = async (disk: Disk) => {
    const items: Listed[] = [];
    const source = new LocalSource(folder, { ...platform, disk });
    for await (const page of source.list({ cursor: null, signal: NEVER })) items.push(...page.items);
    return items;
  };
  try {
    for (let index = 0; index < 40; index++) {
      const sub = `${folder}/d${index % 8}/e${index}`;
      Deno.mkdirSync(sub, { recursive: true });
      for (let file = 0; file < 60; file++) Deno.writeTextFileSync(`${sub}/f${file}`, "x".repeat(file));
      Deno.symlinkSync("/etc", `${sub}/link`);
    }
    platform.prepareDigests();
    await platform.clock.sleep(300, NEVER);
    const { disk } = platform;
    const beside = await listAll(disk);
    assert.equal(beside.length, 40 * 61);
    assert.deepEqual(beside, await listAll({ ...disk, lookAhead: () => null }));
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});
