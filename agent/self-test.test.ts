/** The program as a process, with the rights that it ships with, and with others. */
import assert from "node:assert/strict";
import { AGENT_PERMISSIONS } from "../tools/agent-permissions.ts";
import type { SelfTest } from "./self-test-deno.ts";

const MAIN = new URL("main.ts", import.meta.url).pathname;

Deno.test("[A113] with the rights it ships with, the program may do what it needs and nothing else", async () => {
  const { code, out } = await run(AGENT_PERMISSIONS, []);
  assert.equal(code, 0, out);
  assert.match(out, /^ {2}ok {7}start a program: refused, as it should be$/m);
  assert.match(out, /^ {2}ok {7}begin the thread for digests: allowed, as it should be$/m);
  assert.match(out, /\nResult: this program may do what it needs/);
});

const ALLOWED: readonly (readonly [string, readonly string[], readonly string[]])[] = [
  ["--allow-run", ["--allow-run"], ["start a program"]],
  ["--allow-ffi", ["--allow-ffi"], ["load a native library"]],
  ["--allow-sys", ["--allow-sys"], ["list the network interfaces"]],
  ["--allow-env", ["--allow-env"], ["read another environment variable", "read all environment variables"]],
];

for (const [name, more, trials] of ALLOWED) {
  Deno.test(`[A113] one right too many, ${name}, is found`, async () => {
    const kind = name.slice("--allow-".length);
    const rights = AGENT_PERMISSIONS.filter((one) => !one.startsWith(`--allow-${kind}`));
    await assertFound([...rights, ...more], trials, "allowed");
  });
}

Deno.test("[A113] a port on all addresses and code from the network are found", async () => {
  const rights = AGENT_PERMISSIONS.filter((one) => !/^--(deny-net|allow-import)/.test(one));
  const trials = [
    "listen on all IPv4 addresses",
    "listen on all IPv6 addresses",
    "import code from the network",
  ];
  await assertFound(rights, trials, "allowed");
});

Deno.test("[A113] a missing right is found", async () => {
  const rights = AGENT_PERMISSIONS.filter((one) => one !== "--allow-write");
  await assertFound(rights, ["write a file"], "refused");
});

/** Exactly these are not as they should be. */
async function assertFound(
  rights: readonly string[],
  trials: readonly string[],
  found: string,
): Promise<void> {
  const { code, out } = await run(rights, ["--json"]);
  assert.equal(code, 1, out);
  const told = JSON.parse(out) as SelfTest;
  assert.equal(told.result, "failed");
  const wrong = told.trials.filter((trial) => trial.found !== trial.wanted);
  assert.deepEqual(
    wrong.map((trial) => [trial.what, trial.found]),
    trials.map((what) => [what, found]),
  );
}

async function run(
  rights: readonly string[],
  words: readonly string[],
): Promise<{ code: number; out: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-check", "--no-prompt", ...rights, MAIN, "self-test", ...words],
    // Nothing is fetched even where that would be allowed.
    env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1", HTTPS_PROXY: "http://127.0.0.1:1" },
    signal: AbortSignal.timeout(60_000),
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, out: text(stdout) || text(stderr) };
}
