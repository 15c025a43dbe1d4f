/** Releases on their way from object storage to agents and people, made by the tools that make the real ones. */
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type ReleaseShown, SIGNED_RELEASE_CHARACTERS_MAX } from "../../schema/release.ts";
import { makeKeys, makeRelease } from "../../tools/release-sign.ts";
import {
  asMachine,
  controlPlane,
  makeOrganization,
  type ControlPlane,
  type Organization,
} from "./harness.ts";

const LINUX = "x86_64-unknown-linux-gnu";
const WINDOWS = "x86_64-pc-windows-msvc";
const folder = mkdtempSync(join(tmpdir(), "releases-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let plane: ControlPlane;
let org: Organization;
beforeAll(async () => {
  plane = await controlPlane();
  org = await makeOrganization();
});
afterEach(async () => {
  const { objects } = await plane.releases.list({ prefix: "" });
  for (const { key } of objects) await plane.releases.delete(key);
});

/** Publishes version 0.2.0 for two systems; what is signed, and the bytes for each system. */
async function publish() {
  const [executables, keys, output] = ["executables", "keys", "release"].map((name) => join(folder, name));
  if (executables === undefined || keys === undefined || output === undefined) throw new Error("no folders");
  mkdirSync(executables, { recursive: true });
  const bytes = { [LINUX]: Buffer.alloc(3_000_000, "linux"), [WINDOWS]: Buffer.from("MZ of Windows") };
  writeFileSync(join(executables, `migrate-agent-${LINUX}`), bytes[LINUX]);
  writeFileSync(join(executables, `migrate-agent-${WINDOWS}.exe`), bytes[WINDOWS]);
  makeKeys(keys, Date.now());
  const { paths } = makeRelease({
    executables,
    keys,
    output,
    channel: "stable",
    rolloutPercent: 10,
    days: 30,
    version: "0.2.0",
    nowMs: Date.now(),
  });
  for (const path of paths) await plane.releases.put(`executables/${path}`, readFileSync(join(output, path)));
  const signed = readFileSync(join(output, "stable.json"), "utf8");
  await plane.releases.put("stable.json", signed);
  return { signed, bytes };
}

const fetchAs = async (path: string, headers: Record<string, string>) =>
  await fetch(plane.origin + path, { headers, signal: AbortSignal.timeout(10_000) });
const asAgent = () => ({ authorization: `Bearer ${org.agentKey}` });
const executablePath = (target: string) => `executable?path=migrate-agent-0.2.0-${target}`;

test("[A129] an agent gets the release to the letter, and its executable to the byte", async () => {
  const { signed, bytes } = await publish();
  const release = await fetchAs("/api/agent/release?channel=stable", asAgent());
  expect([release.status, await release.text()]).toEqual([200, signed]);
  const executable = await fetchAs(`/api/agent/release/${executablePath(LINUX)}`, asAgent());
  expect(executable.headers.get("content-length")).toBe(String(bytes[LINUX].length));
  const digest = (content: Uint8Array) => createHash("sha256").update(content).digest("hex");
  expect(digest(new Uint8Array(await executable.arrayBuffer()))).toBe(digest(bytes[LINUX]));
});

test("[A129] who has no key gets nothing, and nobody gets anything else of the bucket", async () => {
  await publish();
  await plane.releases.put("secret.txt", "not for anybody");
  const answers = await Promise.all(
    ["/api/agent/release", `/api/agent/release/${executablePath(LINUX)}`, "/api/release"].map((path) =>
      fetchAs(path, { authorization: `Bearer ${org.agentKey.slice(0, -1)}!` }),
    ),
  );
  expect(answers.map(({ status }) => status)).toEqual([401, 401, 401]);
  const paths = ["secret.txt", "../secret.txt", "..%2Fstable.json", "stable.json", "migrate-agent-/../x", ""];
  for (const path of paths) {
    const answer = await asMachine(
      "GET",
      `/api/agent/release/executable?path=${path}`,
      undefined,
      org.agentKey,
    );
    expect([answer.status, answer.text], path).toEqual([
      400,
      expect.stringContaining("as the release has it"),
    ]);
  }
  expect((await asMachine("GET", "/api/agent/release?channel=secret", undefined, org.agentKey)).status).toBe(
    400,
  );
});

test("[A129] where there is no release, agents are told so, and people see none", async () => {
  for (const path of ["/api/agent/release?channel=beta", `/api/agent/release/${executablePath(LINUX)}`])
    expect((await asMachine("GET", path, undefined, org.agentKey)).status).toBe(404);
  expect(await org.people.viewer.get("/api/release")).toEqual({ release: null });
  await plane.releases.put("stable.json", "x".repeat(SIGNED_RELEASE_CHARACTERS_MAX + 1));
  expect((await asMachine("GET", "/api/agent/release", undefined, org.agentKey)).status).toBe(500);
  expect(plane.logs().join("\n")).toContain("which is no release");
});

test("[A130] whoever is signed in sees the release and takes the executable of a system, by a name that runs there", async () => {
  const { bytes } = await publish();
  const { viewer } = org.people;
  const shown = await viewer.get<ReleaseShown>("/api/release");
  const sha256 = createHash("sha256").update(bytes[WINDOWS]).digest("hex");
  expect(shown).toMatchObject({ release: { version: "0.2.0", rolloutPercent: 10 } });
  expect(shown.release?.files.find(({ target }) => target === WINDOWS)).toEqual({
    target: WINDOWS,
    path: `migrate-agent-0.2.0-${WINDOWS}`,
    sizeBytes: bytes[WINDOWS].length,
    sha256,
  });
  const file = await viewer.fetch(`/api/release/${executablePath(WINDOWS)}`);
  expect(file.headers.get("content-disposition")).toBe('attachment; filename="migrate-agent.exe"');
  expect(await file.text()).toBe("MZ of Windows");
});
