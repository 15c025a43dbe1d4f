import assert from "node:assert/strict";
import { ConfigError } from "./config.ts";
import { networkVariables, parseNetwork, targetOf } from "./network-settings.ts";

Deno.test("[X1] network.json is read strictly, and what is wrong is told without the password", () => {
  const good = {
    proxy: "http://me:pass%20word@proxy.example:8080",
    noProxy: [".lan", "10.0.0.0/8"],
    caFile: "C:/ca.pem",
  };
  assert.deepEqual(parseNetwork(`\uFEFF${JSON.stringify(good)}`), good);
  assert.deepEqual(parseNetwork(null), {});
  for (const [text, sentence] of [
    ['{"caFile": "C:\\ca.pem"}', /it is not JSON. A backslash in a path is written twice/],
    ['{"Proxy": "http://me:hunter2@proxy"}', /Unrecognized key: "Proxy"/],
    ['{"proxy": "me:hunter2@proxy:8080"}', /proxy/],
    [
      '{"proxy": "https://me:hunter2@proxy:8080"}',
      /give an address such as http:\/\/proxy\.example:8080.*→ at proxy/,
    ],
    ['{"proxy": "http://me:hunter2@proxy/path"}', /give an address such as/],
    ['{"proxy": 8080}', /proxy/],
    ['{"noProxy": "localhost"}', /expected array.*noProxy/],
    ['{"noProxy": ["a, b"]}', /one host name, address or network each/],
    ['{"caFile": ""}', /caFile/],
    ["[]", /expected object/],
  ] as const) {
    assert.throws(
      () => parseNetwork(text),
      (error: unknown) =>
        error instanceof ConfigError &&
        error.message.startsWith("Cannot read network.json: ") &&
        sentence.test(error.message) &&
        !error.message.includes("hunter2"),
      text,
    );
  }
});

Deno.test("[X2] each setting of the environment wins over the file's", () => {
  const file = { proxy: "http://file:1", noProxy: ["a", ".b"], caFile: "/file.pem" };
  const variables = (environment: Record<string, string>) =>
    networkVariables(file, (name) => environment[name]);
  const all = { HTTPS_PROXY: "http://file:1", NO_PROXY: "a,.b", DENO_CERT: "/file.pem" };
  const DENO_TLS_CA_STORE = "mozilla,system";
  assert.deepEqual(variables({}), { ...all, DENO_TLS_CA_STORE });
  // Set to nothing is not set.
  assert.deepEqual(variables({ HTTPS_PROXY: "", no_proxy: "" }), { ...all, DENO_TLS_CA_STORE });
  const { HTTPS_PROXY: _, ...withoutProxy } = all;
  for (const name of ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
    assert.deepEqual(variables({ [name]: "http://other:2" }), { ...withoutProxy, DENO_TLS_CA_STORE });
  assert.deepEqual(variables({ no_proxy: "x", DENO_CERT: "/mine.pem", DENO_TLS_CA_STORE: "system" }), {
    HTTPS_PROXY: "http://file:1",
  });
  assert.deepEqual(
    networkVariables({}, () => "set"),
    {},
  );
});

/** Which variables, for which host; whether that goes by the proxy `P`, or by `Q`, or directly. */
const WAYS: readonly (readonly [env: Record<string, string>, host: string, way: "P" | "Q" | "direct"])[] = [
  [{}, "localhost", "direct"],
  [{ HTTPS_PROXY: "P" }, "localhost", "P"],
  [{ HTTPS_PROXY: "P" }, "127.0.0.1", "P"],
  [{ HTTP_PROXY: "P" }, "localhost", "direct"],
  [{ HTTPS_PROXY: "P", https_proxy: "Q" }, "localhost", "P"],
  [{ HTTPS_PROXY: "P", ALL_PROXY: "Q" }, "localhost", "Q"],
  [{ HTTPS_PROXY: "P", all_proxy: "Q" }, "localhost", "Q"],
  [{ HTTPS_PROXY: "P", NO_PROXY: "elsewhere, localhost" }, "localhost", "direct"],
  [{ HTTPS_PROXY: "P", NO_PROXY: ".localhost" }, "localhost", "direct"],
  [{ HTTPS_PROXY: "P", NO_PROXY: "host" }, "localhost", "P"],
  [{ HTTPS_PROXY: "P", NO_PROXY: "LOCALHOST" }, "localhost", "P"],
  [{ HTTPS_PROXY: "P", NO_PROXY: "*" }, "localhost", "direct"],
  [{ HTTPS_PROXY: "P", NO_PROXY: "*" }, "127.0.0.1", "P"],
  [{ HTTPS_PROXY: "P", NO_PROXY: "127.0.0.0/8" }, "127.0.0.1", "direct"],
  [{ HTTPS_PROXY: "P", NO_PROXY: "127.0.0.1" }, "127.0.0.1", "direct"],
  [{ HTTPS_PROXY: "P", NO_PROXY: "10.0.0.0/8,127.0.0.1/99" }, "127.0.0.1", "P"],
  [{ HTTPS_PROXY: "P", no_proxy: "localhost" }, "localhost", "direct"],
  [{ HTTPS_PROXY: "P", NO_PROXY: "elsewhere", no_proxy: "localhost" }, "localhost", "P"],
];

Deno.test("[X3] what doctor takes for the way to a host is the way on which the agent goes, by which proxy or by none", async () => {
  const met: string[] = [];
  const listeners = ["P", "Q", "direct"].map((name) => {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    void (async () => {
      for await (const connection of listener) {
        met.push(name);
        connection.close();
      }
    })();
    return { name, listener, port: (listener.addr as Deno.NetAddr).port };
  });
  const portOf = (name: string) => listeners.find((one) => one.name === name)?.port ?? 0;
  try {
    for (const [given, host, way] of WAYS) {
      const env = Object.fromEntries(
        Object.entries(given).map(([name, value]) => [
          name,
          value.length === 1 && value !== "*" ? `http://127.0.0.1:${portOf(value)}` : value,
        ]),
      );
      met.length = 0;
      const url = `https://${host}:${portOf("direct")}`;
      await new Deno.Command(Deno.execPath(), {
        args: ["eval", "await fetch(Deno.args[0]).catch(() => {})", url],
        env: { ...env, DENO_NO_UPDATE_CHECK: "1" },
      }).output();
      const what = `${JSON.stringify(given)} ${host}`;
      assert.equal(met[0], way, what);
      const { proxy } = targetOf((name) => env[name], url);
      assert.equal(proxy?.port ?? portOf("direct"), portOf(way), what);
    }
  } finally {
    for (const { listener } of listeners) listener.close();
  }
});
