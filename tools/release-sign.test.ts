import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { judgeRelease } from "../agent/update/verify.ts";
import { makeKeys, makeRelease } from "./release-sign.ts";

const NOW = Date.parse("2026-11-24T12:00:00.000Z");
const DAY_MS = 86_400_000;

describe("releases", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "release-"));
    mkdirSync(join(folder, "built"));
    writeFileSync(join(folder, "built/migrate-agent-x86_64-unknown-linux-gnu"), "linux");
    writeFileSync(join(folder, "built/migrate-agent-x86_64-pc-windows-msvc.exe"), "windows");
    writeFileSync(join(folder, "built/migrate-agent"), "whatever");
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const sign = (nowMs = NOW) =>
    makeRelease({
      executables: join(folder, "built"),
      keys: join(folder, "keys"),
      output: join(folder, "out"),
      channel: "stable",
      rolloutPercent: 100,
      days: 30,
      version: "0.2.0",
      nowMs,
    });
  const judge = async (rootKey: string, target: string, nowMs = NOW, seen: Seen = null) =>
    await judgeRelease({
      text: readFileSync(join(folder, "out/stable.json"), "utf8"),
      rootKey,
      nowMs,
      channel: "stable",
      target,
      agentId: "agt_1",
      installed: "0.1.0",
      seen,
      failed: [],
    });
  type Seen = Parameters<typeof judgeRelease>[0]["seen"];

  test("[A128] what is signed with the keys that were made is what an agent with their root installs, on each system there is", async () => {
    const { rootKey, serial } = makeKeys(join(folder, "keys"), NOW);
    expect(serial).toBe(1);
    expect(statSync(join(folder, "keys/root.pem")).mode & 0o077).toBe(0);
    expect(statSync(join(folder, "keys/signing.pem")).mode & 0o077).toBe(0);
    const { paths } = sign();
    expect(paths).toEqual([
      "migrate-agent-0.2.0-x86_64-unknown-linux-gnu",
      "migrate-agent-0.2.0-x86_64-pc-windows-msvc",
    ]);
    const verdict = await judge(rootKey, "x86_64-pc-windows-msvc");
    expect(verdict).toMatchObject({ kind: "install", version: "0.2.0", file: { sizeBytes: 7 } });
    expect(await judge(rootKey, "aarch64-apple-darwin")).toMatchObject({ code: "no_target" });
    expect(await judge(rootKey, "x86_64-pc-windows-msvc", NOW + 31 * DAY_MS)).toMatchObject({
      code: "release_expired",
    });
  });

  test("[A128] a key that was replaced under the same root signs nothing any more for who has seen the new one", async () => {
    const { rootKey } = makeKeys(join(folder, "keys"), NOW);
    sign();
    const before = await judge(rootKey, "x86_64-unknown-linux-gnu");
    const again = makeKeys(join(folder, "keys"), NOW + DAY_MS);
    expect(again).toMatchObject({ rootKey, serial: 2 });
    const old = readFileSync(join(folder, "out/stable.json"), "utf8");
    sign(NOW + DAY_MS);
    const after = await judge(rootKey, "x86_64-unknown-linux-gnu", NOW + DAY_MS, before.seen);
    expect(after.kind).toBe("install");
    writeFileSync(join(folder, "out/stable.json"), old);
    expect(await judge(rootKey, "x86_64-unknown-linux-gnu", NOW + DAY_MS, after.seen)).toMatchObject({
      code: "certificate_superseded",
    });
  });

  test("[A128] with an old certificate, another's, or no executable nothing is signed", () => {
    makeKeys(join(folder, "keys"), NOW);
    expect(() => sign(NOW + 91 * DAY_MS)).toThrow(/The certificate ended/);
    const signing = readFileSync(join(folder, "keys/signing.pem"));
    makeKeys(join(folder, "keys"), NOW);
    writeFileSync(join(folder, "keys/signing.pem"), signing);
    expect(() => sign()).toThrow(/not the key of certificate.json/);
    rmSync(join(folder, "built"), { recursive: true });
    mkdirSync(join(folder, "built"));
    expect(() => sign()).toThrow(/no executable/);
  });
});
