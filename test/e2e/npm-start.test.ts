/** `npm start`, as a newcomer types it. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { NODE, ROOT } from "../../tools/environment.ts";
import { startChild, waitFor, type Child } from "../../tools/stack/children.ts";
import { findPort } from "../../tools/stack/ports.ts";
import { makePlainTree } from "./source-tree.ts";

let folder: string;
let source: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "migrate-start-"));
  source = join(folder, "my files");
  mkdirSync(source);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Each time on another port: what is kept must not depend on it. */
async function npmStart(name: string, ...words: string[]): Promise<Child> {
  const port = await findPort();
  return startChild({
    command: NODE,
    arguments: [
      join(ROOT, "tools/start.ts"),
      ...words,
      "--data",
      join(folder, "data"),
      "--port",
      String(port),
    ],
    environment: { INIT_CWD: folder },
    logFile: join(folder, `${name}.log`),
    // Long enough to stop its own children in turn.
    stopLimitMs: 30_000,
  });
}

test("[K10] npm start migrates a folder, prints the report and ends with 0 only when nothing failed; a second start goes on from the first", async () => {
  const tree = makePlainTree(source, [10, 20_000, 3_000_000]);
  const first = await npmStart("first", "my files", "--once");
  expect(await first.exited, first.lastLines()).toBe(0);
  expect(first.output()).toMatch(/files\s+3 moved, 0 skipped, 3 found/);
  expect(first.output()).toMatch(/verified\s+3 of 3/);
  expect(first.output()).toMatch(/failed\s+0/);
  expect(first.output()).toMatch(/http:\/\/127\.0\.0\.1:\d+\/dev\/hub\/sign-in\?secret=/);
  // Not a terminal: plain lines, nothing written over.
  expect(first.output()).not.toContain("\r");

  writeFileSync(join(source, [...tree.expected.keys()][0] ?? ""), "changed since");
  const second = await npmStart("second", "my files", "--once");
  expect(await second.exited, second.lastLines()).toBe(1);
  expect(second.output()).toMatch(/files\s+0 moved, 2 skipped, 3 found/);
  expect(second.output()).toMatch(/failed\s+1/);
}, 180_000);

test("[K11] without a folder everything starts and says how to go on; Ctrl-C stops every child", async () => {
  const child = await npmStart("open");
  const link = await waitFor(
    "The sign-in link",
    async () => /http:\S+sign-in\?secret=\S+/.exec(child.output())?.[0],
    { limitMs: 120_000, child },
  );
  const connection = await waitFor(
    "The connection string",
    async () => /BlobEndpoint=(http:[^;]+)/.exec(child.output())?.[1],
    { limitMs: 5_000, child },
  );
  const signedIn = await fetch(link, { redirect: "manual" });
  expect(signedIn.status).toBe(303);

  process.kill(child.pid, "SIGINT");
  expect(await child.exited).toBe(130);
  for (const address of [link, connection]) await expect(fetch(address)).rejects.toThrow();
}, 180_000);

test("[K12] a folder that is not there and an unknown option are said in a sentence", async () => {
  const missing = await npmStart("missing", "no such folder");
  expect(await missing.exited).toBe(2);
  expect(missing.output()).toMatch(/There is no folder ".*no such folder"/);
  const unknown = await npmStart("unknown", "--wrong");
  expect(await unknown.exited).toBe(2);
  expect(unknown.output()).toMatch(/--wrong/);
}, 60_000);
