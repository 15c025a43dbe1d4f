import assert from "node:assert/strict";
import { parseCommandLine, UsageError } from "./command-line.ts";
import {
  agentOfKey,
  ConfigError,
  formatConfig,
  parseApiUrl,
  parseConfig,
  stateFolder,
  type Machine,
} from "./config.ts";

function machine(os: Machine["os"], environment: Record<string, string>, root = false): Machine {
  return { os, root, environment: (name) => environment[name] };
}

Deno.test("[A30] state lies where the operating system expects it", () => {
  assert.equal(stateFolder(machine("linux", { HOME: "/home/a" })), "/home/a/.local/state/migrate-agent");
  assert.equal(stateFolder(machine("linux", { HOME: "/home/a", XDG_STATE_HOME: "/s" })), "/s/migrate-agent");
  assert.equal(
    stateFolder(machine("linux", { HOME: "/h", XDG_STATE_HOME: "rel" })),
    "/h/.local/state/migrate-agent",
  );
  assert.equal(stateFolder(machine("linux", { HOME: "/root" }, true)), "/var/lib/migrate-agent");
  assert.equal(
    stateFolder(machine("darwin", { HOME: "/Users/a" })),
    "/Users/a/Library/Application Support/migrate-agent",
  );
  assert.equal(
    stateFolder(machine("windows", { LOCALAPPDATA: "C:\\L", ProgramData: "C:\\P" })),
    "C:\\L\\migrate-agent",
  );
  assert.equal(stateFolder(machine("windows", { ProgramData: "C:\\P" })), "C:\\P\\migrate-agent");
  assert.equal(stateFolder(machine("linux", { HOME: "/h", MIGRATE_STATE_DIR: "/x" }, true)), "/x");
  assert.throws(() => stateFolder(machine("linux", {})), ConfigError);
});

Deno.test("[A31] what is written is read again", () => {
  const config = { url: "https://api.example.com", key: "mig_agt1_agt_x_secret_sum" };
  assert.deepEqual(parseConfig(formatConfig(config)), config);
});

Deno.test("[A31] comments, spaces, Windows line ends and a byte order mark are no obstacle; the url has a default", () => {
  const text = '\uFEFF# by hand\r\n\r\n  [ api ]  # the only one\r\nkey="k" # secret\r\n';
  assert.deepEqual(parseConfig(text), { url: "https://api.theonemigrate.app", key: "k" });
});

for (const [what, text] of [
  ["an unknown name", '[api]\nkey = "k"\ntoken = "t"'],
  ["an unknown table", '[api]\nkey = "k"\n[policy]'],
  ["a name twice", '[api]\nkey = "k"\nkey = "l"'],
  ["a name before the table", 'key = "k"\n[api]'],
  ["no key", '[api]\nurl = "https://a.example"'],
  ["a value without quotes", "[api]\nkey = k"],
  ["an escape", '[api]\nkey = "a\\u0041"'],
  ["a url that is not https", '[api]\nurl = "http://a.example"\nkey = "k"'],
] as const) {
  Deno.test(`[A31] ${what} in the configuration is an error`, () => {
    assert.throws(() => parseConfig(text), ConfigError);
  });
}

Deno.test("[A32] only https addresses are taken, and http on this machine", () => {
  assert.equal(parseApiUrl("https://api.example.com/"), "https://api.example.com");
  assert.equal(parseApiUrl("http://127.0.0.1:8787"), "http://127.0.0.1:8787");
  assert.equal(parseApiUrl("http://localhost:1"), "http://localhost:1");
  assert.equal(parseApiUrl("http://[::1]:1"), "http://[::1]:1");
  for (const url of [
    "http://api.example.com",
    "http://127.0.0.1.example.com",
    "http://localhost.example.com",
    "ftp://localhost",
    "api.example.com",
    "https://user:word@api.example.com",
    "https://api.example.com/path",
    "https://api.example.com/?a",
  ]) {
    assert.throws(() => parseApiUrl(url), ConfigError, url);
  }
});

Deno.test("[A32] the agent is known from its key", () => {
  assert.equal(agentOfKey(`mig_agt1_agt_${"0".repeat(26)}_se-cr_et_0badcafe`), `agt_${"0".repeat(26)}`);
  for (const key of ["", "mig_agt1_", `mig_agt1_agt_${"0".repeat(26)}`, "Bearer x"]) {
    assert.throws(() => agentOfKey(key), ConfigError);
  }
});

Deno.test("[A33] the command line is understood in all its forms", () => {
  const none = { url: null, name: null, state: null, exit: false };
  assert.deepEqual(parseCommandLine(["--register", "ABCD-EFGH"]), {
    kind: "register",
    code: "ABCD-EFGH",
    ...none,
  });
  assert.deepEqual(
    parseCommandLine(["--state=/s", "--name", "Site 1", "--register=A", "--url", "https://a.example"]),
    {
      kind: "register",
      code: "A",
      url: "https://a.example",
      name: "Site 1",
      state: "/s",
      exit: false,
    },
  );
  assert.deepEqual(parseCommandLine(["--register", "A", "--exit"]), {
    kind: "register",
    code: "A",
    ...none,
    exit: true,
  });
  assert.deepEqual(parseCommandLine(["start"]), { kind: "start", state: null, service: false });
  assert.deepEqual(parseCommandLine(["start", "--state", "/s"]), {
    kind: "start",
    state: "/s",
    service: false,
  });
  assert.deepEqual(parseCommandLine(["start", "--service"]), { kind: "start", state: null, service: true });
  for (const words of [["version"], ["--version"]])
    assert.deepEqual(parseCommandLine(words), { kind: "version", json: false });
  for (const words of [["help"], ["--help"], ["-h"]])
    assert.deepEqual(parseCommandLine(words), { kind: "help" });
});

for (const words of [
  [],
  ["--register"],
  ["--register", ""],
  ["--register", "--url"],
  ["--register", "A", "start"],
  ["--register", "A", "--register", "B"],
  ["start", "--url", "https://a.example"],
  ["start", "now"],
  ["start", "--verbose"],
  ["run"],
]) {
  Deno.test(`[A33] "${words.join(" ")}" is a usage error`, () => {
    assert.throws(() => parseCommandLine(words), UsageError);
  });
}
