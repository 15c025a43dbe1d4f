/**
 * Every route with inputs made from its own shapes, right and wrong ones: nothing breaks, nothing is told of how things are
 * made inside, and nothing of another organization. Repeatable by the seed; `FUZZ_INPUTS` says how many for each route.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import * as z from "zod";
import { agentRegister, grantRequest } from "../../schema/api.ts";
import { syncRequest } from "../../schema/protocol.ts";
import { POLICIES } from "../../worker/auth/policy.ts";
import { openApiDocument, type JsonSchema } from "../../worker/openapi/document.ts";
import {
  controlPlane,
  makeOrganization,
  randomAddress,
  signIn,
  type Browser,
  type ControlPlane,
  type Organization,
} from "./harness.ts";

const INPUTS = Number(process.env["FUZZ_INPUTS"] ?? 30);
const SEED = Number(process.env["FUZZ_SEED"] ?? 1);
const AT_ONCE = Number(process.env["FUZZ_AT_ONCE"] ?? 6);
/** These two say that somebody else's service is away or not set up; that is no failure of ours. */
const OTHERS_FAULT = ["STORAGE_UNREACHABLE", "NOT_CONFIGURED"];

let plane: ControlPlane;
let ours: Organization;
let theirs: Organization;
let browser: Browser;
beforeAll(async () => {
  plane = await controlPlane();
  [ours, theirs] = await Promise.all([makeOrganization(), makeOrganization()]);
  browser = ours.people.owner;
});

/** Mulberry32: small, and the same everywhere. */
class Dice {
  #state: number;
  constructor(seed: number) {
    this.#state = seed >>> 0;
  }
  next(): number {
    this.#state = (this.#state + 0x6d2b_79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }
  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }
  chance(of: number): boolean {
    return this.next() < of;
  }
  pick<Item>(items: readonly Item[]): Item {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new Error("Cannot pick: there is nothing");
    return item;
  }
}

const NASTY_TEXTS = [
  "",
  " ",
  "0",
  "\u0000",
  "\u202e\u0007",
  "\ud800",
  "💥".repeat(50),
  "../../../etc/passwd",
  "' OR 1=1 --",
  '"; drop table jobs; --',
  "%00%ff%",
  "constructor",
  "__proto__",
  "<script>alert(1)</script>",
  "${7*7}{{7*7}}",
  "x".repeat(5_000),
  "9007199254740993",
  "2026-02-30T25:61:61Z",
  "-1",
];
const NASTY_VALUES: readonly unknown[] = [
  null,
  true,
  false,
  0,
  -1,
  1.5,
  2 ** 53,
  -(2 ** 63),
  1e308,
  [],
  [null],
  {},
  [[[[[[]]]]]],
  { constructor: 1 },
  { toString: null },
  ...NASTY_TEXTS,
];

function idsOf(of: Organization): string[] {
  return [
    of.orgId,
    of.clientId,
    of.connectionId,
    of.projectId,
    of.openCodeId,
    of.apiKeyId,
    of.agentId,
    of.jobId,
    of.sessionId,
    of.consentId,
    of.webhookId,
  ];
}

function someId(dice: Dice, prefix: string): string {
  const known = [...idsOf(ours), ...idsOf(theirs)].filter((id) => id.startsWith(prefix));
  return dice.chance(0.8) && known.length > 0
    ? dice.pick(known)
    : `${prefix || "job_"}${"0".repeat(24)}${dice.pick(["00", "zz", "!!"])}`;
}

function someText(dice: Dice, schema: JsonSchema): string {
  const pattern = typeof schema["pattern"] === "string" ? schema["pattern"] : "";
  const prefix = /^\^([a-z]{3}_)/.exec(pattern)?.[1];
  if (prefix !== undefined) return someId(dice, prefix);
  if (schema["format"] === "date-time")
    return dice.pick(["2026-11-22T09:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"]);
  if (schema["format"] === "email") return "x@example.com";
  return dice.pick([
    "x",
    "Acme GmbH",
    "/srv/files",
    "UTC",
    "container-1",
    "18:00",
    ours.container,
    "12345678",
  ]);
}

/** A value that fits, or nearly, or not at all. */
function someValue(dice: Dice, schema: JsonSchema, depth = 0): unknown {
  if (depth > 12 || dice.chance(0.06)) return dice.pick(NASTY_VALUES);
  const choices = (schema["anyOf"] ?? schema["oneOf"]) as JsonSchema[] | undefined;
  if (choices !== undefined) return someValue(dice, dice.pick(choices), depth + 1);
  if ("const" in schema) return schema["const"];
  if (Array.isArray(schema["enum"])) return dice.pick(schema["enum"]);
  const { type } = schema;
  switch (Array.isArray(type) ? dice.pick(type) : type) {
    case "string":
      return someText(dice, schema);
    case "integer":
    case "number": {
      const low = Math.max(Number(schema["minimum"] ?? -10), -1e6);
      return dice.pick([low, low + 1, Math.min(Number(schema["maximum"] ?? 100), 1e6), low - 1, 0.5]);
    }
    case "boolean":
      return dice.chance(0.5);
    case "null":
      return null;
    case "array": {
      const items = (schema["items"] ?? {}) as JsonSchema;
      return Array.from({ length: dice.below(4) }, () => someValue(dice, items, depth + 1));
    }
    case "object": {
      const required = (schema["required"] ?? []) as string[];
      const made: Record<string, unknown> = {};
      for (const [name, inner] of Object.entries(
        (schema["properties"] ?? {}) as Record<string, JsonSchema>,
      )) {
        if (dice.chance(required.includes(name) ? 0.96 : 0.5)) made[name] = someValue(dice, inner, depth + 1);
      }
      if (dice.chance(0.05)) made[dice.pick(NASTY_TEXTS)] = dice.pick(NASTY_VALUES);
      return made;
    }
    default:
      return dice.pick(NASTY_VALUES);
  }
}

function someBody(dice: Dice, schema: JsonSchema): string {
  const text = JSON.stringify(someValue(dice, schema));
  if (dice.chance(0.9)) return text;
  return dice.pick([
    text.slice(0, -1),
    `${text}x`,
    "",
    "[".repeat(20_000),
    text.replace("{", '{"__proto__":{"a":1},"name":1,"name":2,'),
    "\uFEFF{}",
  ]);
}

interface Shapes {
  readonly body: JsonSchema | null;
  readonly query: Readonly<Record<string, JsonSchema>>;
}

const TEXT: JsonSchema = { type: "string" };

function shapesOf(route: string): Shapes {
  const [method = "", path = ""] = route.split(" ");
  if (route === "POST /api/agent/register") return { body: jsonSchema(agentRegister), query: {} };
  if (route === "POST /api/agent/grants") return { body: jsonSchema(grantRequest), query: {} };
  if (route === "POST /api/agent/sync") return { body: jsonSchema(syncRequest), query: {} };
  if (path === "/sso") return { body: null, query: { token: TEXT } };
  if (path === "/api/live") return { body: null, query: { job: { type: "string", pattern: "^job_" } } };
  if (path.startsWith("/dev/hub"))
    return { body: null, query: { secret: TEXT, name: TEXT, email: TEXT, role: TEXT, tenant: TEXT } };
  const operation = openApiDocument().paths[path.replace(":id", "{id}")]?.[method.toLowerCase()];
  const query = (operation?.parameters ?? []).filter((parameter) => parameter.in === "query");
  return {
    body: operation?.requestBody?.content["application/json"]?.schema ?? null,
    query: Object.fromEntries(query.map(({ name, schema }) => [name, schema])),
  };
}

function jsonSchema(shape: z.ZodType): JsonSchema {
  return z.toJSONSchema(shape, { io: "input", unrepresentable: "any" });
}

const PREFIXES: Readonly<Record<string, string>> = {
  clients: "cli_",
  "storage-connections": "con_",
  projects: "prj_",
  "registration-codes": "rgc_",
  "api-keys": "apk_",
  agents: "agt_",
  jobs: "job_",
  sessions: "ses_",
  azure: "oas_",
  webhooks: "whk_",
  agent: "job_",
};

function someAddress(dice: Dice, path: string, query: Shapes["query"]): string {
  const known = someId(dice, PREFIXES[path.split("/")[2] ?? ""] ?? "");
  const id = dice.chance(0.85)
    ? known
    : encodeURIComponent(dice.pick(NASTY_TEXTS).replaceAll("\ud800", "") || "x");
  const asked = new URLSearchParams();
  for (const [name, schema] of Object.entries(query)) {
    if (!dice.chance(0.5)) continue;
    const value = dice.chance(0.3) ? dice.pick(NASTY_TEXTS) : someValue(dice, schema);
    asked.append(name, typeof value === "string" ? value : JSON.stringify(value));
  }
  if (dice.chance(0.05)) asked.append(dice.pick(NASTY_TEXTS), "1");
  return `${path.replace(":id", id)}${asked.size === 0 ? "" : `?${asked.toString()}`}`;
}

/** Of all requests, some at once; only told, because the machine has other things to do besides. */
const times: number[] = [];
afterAll(() => {
  times.sort((left, right) => left - right);
  const at = (share: number) => (times[Math.floor(share * (times.length - 1))] ?? 0).toFixed(0);
  console.log(
    `${times.length} requests, ${AT_ONCE} at once: median ${at(0.5)} ms, p99 ${at(0.99)} ms, longest ${at(1)} ms`,
  );
});

async function sendOne(dice: Dice, route: string, { body, query }: Shapes): Promise<string | null> {
  const [method = "", path = ""] = route.split(" ");
  const address = someAddress(dice, path, query);
  const headers: Record<string, string> = { "cf-connecting-ip": randomAddress() };
  if (dice.chance(0.3)) headers["idempotency-key"] = dice.pick(["x", "12345678", "k".repeat(200)]);
  let text: string | null = null;
  if (method !== "GET" && method !== "DELETE") {
    headers["content-type"] = dice.chance(0.95) ? "application/json" : "text/plain";
    text = body === null ? dice.pick([null, "{}", "x"]) : someBody(dice, body);
    if (path.startsWith("/sso") || path.startsWith("/dev")) {
      headers["content-type"] = "application/x-www-form-urlencoded";
      text = address.split("?")[1] ?? "token=x";
    }
  }
  const init = { method, headers, body: text };
  const startMs = performance.now();
  const response =
    POLICIES[route] === "agent"
      ? await fetch(plane.origin + address, {
          ...init,
          headers: { ...headers, authorization: `Bearer ${ours.agentKey}` },
        })
      : await browser.fetch(address, init);
  const answer = await response.text();
  times.push(performance.now() - startMs);
  return faultOf(response.status, answer, `${method} ${address.slice(0, 300)} ${(text ?? "").slice(0, 500)}`);
}

function faultOf(status: number, text: string, sent: string): string | null {
  const code = /"code":"([A-Z_]+)"/.exec(text)?.[1] ?? "";
  if (status >= 500 && !OTHERS_FAULT.includes(code)) return `${status} for ${sent}: ${text.slice(0, 300)}`;
  if (/\bat [\w.<>]+ \(|\.[tj]s:\d+|SQLITE|D1_ERROR|TypeError|ReferenceError/.test(text))
    return `the inside shows for ${sent}: ${text.slice(0, 300)}`;
  if (text.includes(theirs.canary) || text.includes(theirs.orgId))
    return `another organization shows for ${sent}: ${text.slice(0, 300)}`;
  return null;
}

for (const [index, route] of Object.keys(POLICIES).entries()) {
  test(
    `[I12] ${route} breaks at nothing that is sent, and tells nothing it should not`,
    { timeout: 60_000 + INPUTS * 500 },
    async () => {
      const dice = new Dice(SEED * 1_000 + index);
      const shapes = shapesOf(route);
      const faults: string[] = [];
      for (let sent = 0; sent < INPUTS; sent += AT_ONCE) {
        const many = Math.min(AT_ONCE, INPUTS - sent);
        const found = await Promise.all(Array.from({ length: many }, () => sendOne(dice, route, shapes)));
        faults.push(...found.filter((fault) => fault !== null));
        // Signing out, and ending sessions, are among what is tried.
        if ((await browser.fetch("/api/session")).status === 401) await signInAgain();
      }
      expect(faults.slice(0, 5)).toEqual([]);
    },
  );
}

async function signInAgain(): Promise<void> {
  browser = await signIn({
    tenantId: ours.tenantId,
    tenantName: ours.canary,
    orgRole: "owner",
    hub_user_id: `owner-${ours.canary}`,
  });
}
