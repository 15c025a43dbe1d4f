/** The log on a real disk: put aside when it is full, read from its end, followed over the change. */
import assert from "node:assert/strict";
import { LogFiles } from "../log-files-deno.ts";
import { denoPlatform } from "../platform-deno.ts";
import { redact } from "../redact.ts";
import { followLogs, LOG_FILES_MAX, logFileName, type LogsInput, printLogs } from "./logs.ts";

const BYTES_MAX = 1_000;

async function withFolder(test: (folder: string) => Promise<void> | void): Promise<void> {
  const folder = Deno.makeTempDirSync();
  try {
    await test(folder);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

function reader(folder: string, linesMax: number): LogsInput & { readonly text: () => string } {
  const said: string[] = [];
  return {
    platform: denoPlatform(() => {}),
    folder,
    linesMax,
    out: (bytes) => void said.push(new TextDecoder().decode(bytes)),
    text: () => said.join(""),
  };
}

function tail(folder: string, linesMax: number): string[] {
  const input = reader(folder, linesMax);
  printLogs(input);
  return input.text().split("\n").slice(0, -1);
}

async function until(holds: () => boolean): Promise<void> {
  for (const endMs = Date.now() + 20_000; !holds();) {
    if (Date.now() > endMs) throw new Error("Waited in vain");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

Deno.test("[A100] the log is put aside when it is full, the oldest goes, and what is kept is whole and for this account alone", async () => {
  await withFolder((folder) => {
    const files = new LogFiles(`${folder}/logs`, BYTES_MAX);
    const lines = Array.from({ length: 500 }, (_, index) => `line ${index} ${"x".repeat(index % 50)}`);
    for (const line of lines) files.write(line);
    const found = Array.from(Deno.readDirSync(`${folder}/logs`), ({ name }) => name);
    assert.deepEqual(
      new Set(found),
      new Set(Array.from({ length: LOG_FILES_MAX }, (_, number) => logFileName(number))),
    );
    for (const name of found) {
      const { size, mode } = Deno.statSync(`${folder}/logs/${name}`);
      assert.ok(size <= BYTES_MAX, `${name} has ${size} bytes`);
      assert.equal((mode ?? 0) & 0o777, 0o600);
    }
    assert.equal((Deno.statSync(`${folder}/logs`).mode ?? 0) & 0o777, 0o700);
    const kept = tail(`${folder}/logs`, 1_000_000);
    assert.ok(kept.length > 50);
    assert.deepEqual(kept, lines.slice(-kept.length));
    for (const number of [1, 2, 20, kept.length])
      assert.deepEqual(tail(`${folder}/logs`, number), lines.slice(-number));
    // The next program goes on behind the last line.
    new LogFiles(`${folder}/logs`, BYTES_MAX).write("again");
    assert.deepEqual(tail(`${folder}/logs`, 2), [lines.at(-1), "again"]);
    files.write("y".repeat(1_000_000));
    assert.ok(Deno.statSync(`${folder}/logs/agent.log`).size <= 64 * 1024);
  });
});

Deno.test("[A100] a log that cannot be written stops nobody, and goes on when it can", async () => {
  await withFolder((folder) => {
    Deno.writeTextFileSync(`${folder}/logs`, "in the way");
    const files = new LogFiles(`${folder}/logs`, BYTES_MAX);
    files.write("lost");
    Deno.removeSync(`${folder}/logs`);
    files.write("kept");
    assert.deepEqual(tail(`${folder}/logs`, 10), ["kept"]);
  });
});

Deno.test("[X23] that the disk takes no log is told once, and again after it took lines", async () => {
  await withFolder((folder) => {
    const told: string[] = [];
    const files = new LogFiles(`${folder}/logs`, BYTES_MAX, (reason) => told.push(reason));
    for (const round of [1, 2]) {
      Deno.writeTextFileSync(`${folder}/logs`, "in the way");
      for (let line = 0; line < 20; line++) files.write("lost");
      assert.equal(told.length, round);
      Deno.removeSync(`${folder}/logs`);
      files.write("kept");
      assert.deepEqual(tail(`${folder}/logs`, 10), ["kept"]);
      Deno.removeSync(`${folder}/logs`, { recursive: true });
      // The file that is gone is still open; the next one that is written to is anew.
      files.write("y".repeat(BYTES_MAX));
      Deno.removeSync(`${folder}/logs`, { recursive: true });
    }
    assert.match(told[0] ?? "", /logs/);
  });
});

Deno.test("[A101] whoever follows gets each line once and in order, also over files that are put aside", async () => {
  await withFolder(async (folder) => {
    const files = new LogFiles(folder, 4_000);
    for (const line of ["1", "2", "3"]) files.write(line);
    const stop = new AbortController();
    const input = reader(folder, 2);
    const following = followLogs(input, stop.signal);
    await until(() => input.text() === "2\n3\n");
    const expected = ["2", "3"];
    // The new file is at once longer than the one before it.
    expected.push("w".repeat(3_998));
    files.write("w".repeat(3_998));
    await until(() => input.text().endsWith("w\n"));
    for (let round = 0; round < 6; round++) {
      // Less than a file between two looks, as it is with a log that is put aside now and then.
      for (let index = 0; index < 40; index++) {
        const line = `${round} ${index} ${"z".repeat(50)}`;
        files.write(line);
        expected.push(line);
      }
      await until(() => input.text().endsWith(`${expected.at(-1)}\n`));
    }
    stop.abort(new Error("enough"));
    await following;
    assert.deepEqual(input.text().split("\n").slice(0, -1), expected);
    assert.ok(Array.from(Deno.readDirSync(folder)).length > 1);
  });
});

Deno.test("[A100] what is a secret by its form is in no line, and states and codes are", () => {
  for (const [text, left] of [
    ["proxy http://me:hunter2@proxy.site:8080 refused", "proxy http://[redacted]@proxy.site:8080 refused"],
    ["Proxy-Authorization: Basic bWU6aHVudGVyMg==", "Proxy-Authorization: Basic [redacted]"],
    ["token eyJhbGciOi.eyJzdWIi.c2ln here", "token [redacted] here"],
    ["AccountKey=hunter2;x", "AccountKey=[redacted];x"],
    ["key mig_agt1_agt_0_hunter2", "key mig_[redacted]"],
    [
      "https://a.blob.core.windows.net/c?sv=1&sig=hunter2%2B&se=2",
      "https://a.blob.core.windows.net/c?sv=1&sig=[redacted]&se=2",
    ],
    ["run_begun state=running code=SOURCE_REFUSED", "run_begun state=running code=SOURCE_REFUSED"],
  ] as const)
    assert.equal(redact(text), left);
});
