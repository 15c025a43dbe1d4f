/** Azure Storage by signing in with Microsoft: the whole way against the emulator, and everything that may come instead. */
import { createCipheriv, createHash, randomBytes } from "node:crypto";
import { ContainerClient } from "@azure/storage-blob";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import type { Connection } from "../../schema/api.ts";
import type {
  AzurePage,
  AzureAccount,
  AzureSubscription,
  Consent,
  ConsentBegun,
} from "../../schema/azure.ts";
import type { Grant } from "../../schema/connector.ts";
import {
  OTHER_TENANT,
  resourceIdOf,
  SUBSCRIPTION,
  TENANT,
  type MicrosoftEmulator,
} from "../../tools/emulators/microsoft.ts";
import { HOSTILE_TARGETS } from "./hostile-targets.ts";
import {
  asMachine,
  Browser,
  controlPlane,
  makeJob,
  makeOrganization,
  microsoft,
  SECRETS_KEYS,
  signIn,
  startControlPlane,
  unique,
  type ControlPlane,
  type Organization,
} from "./harness.ts";

/** A token of this life is refreshed each time it is needed. */
const SHORT_SECONDS = 200;

let plane: ControlPlane;
let ms: MicrosoftEmulator;
let org: Organization;
let owner: Browser;
beforeAll(async () => {
  [plane, ms] = await Promise.all([controlPlane(), microsoft()]);
  org = await makeOrganization();
  ({ owner } = org.people);
});
afterEach(() => {
  ms.clearFaults();
  ms.tokenSeconds = 3_600;
  ms.strictRotation = false;
});

const run = (sql: string, ...values: unknown[]) =>
  plane.database
    .prepare(sql)
    .bind(...values)
    .run();
const first = <Row>(sql: string, ...values: unknown[]) =>
  plane.database
    .prepare(sql)
    .bind(...values)
    .first<Row>();

// --- what a person does ---

async function begin(
  browser = owner,
  connectionId: string | null = null,
): Promise<ConsentBegun & { state: string }> {
  const begun = await browser.post<ConsentBegun>("/api/azure/consents", { connectionId });
  return { ...begun, state: new URL(begun.url).searchParams.get("state") as string };
}

/** The click at Microsoft's page; resolves with where the browser is sent. */
async function choose(url: string, person: string): Promise<URL> {
  const response = await fetch(url, {
    method: "POST",
    body: new URLSearchParams(person === "" ? { decline: "1" } : { person }),
    redirect: "manual",
  });
  expect(response.status).toBe(302);
  return new URL(response.headers.get("location") as string);
}

/** The browser follows the redirect: a navigation from another site. */
async function comeBack(browser: Browser, back: URL | string): Promise<Response> {
  const path = typeof back === "string" ? back : back.pathname + back.search;
  return await browser.fetch(path, { headers: { "sec-fetch-site": "cross-site", origin: "null" } });
}

function outcomeOf(response: Response): Record<string, string> {
  expect(response.status).toBe(303);
  const location = response.headers.get("location") ?? "";
  expect(location).toMatch(/^\/settings\?/);
  return Object.fromEntries(new URL(location, plane.origin).searchParams);
}

async function consentAs(person: string, browser = owner): Promise<string> {
  const { url } = await begin(browser);
  const { consent } = outcomeOf(await comeBack(browser, await choose(url, person)));
  return consent ?? "";
}

async function connectAs(person: string, account = "devstoreaccount1", browser = owner): Promise<Connection> {
  const id = await consentAs(person, browser);
  const body = { name: `oauth ${unique()}`, account, resourceId: resourceIdOf(account) };
  return await browser.post<Connection>(`/api/azure/consents/${id}/connection`, body);
}

async function reconnectAs(person: string, connectionId: string): Promise<Record<string, string>> {
  const { url } = await begin(owner, connectionId);
  return outcomeOf(await comeBack(owner, await choose(url, person)));
}

/** A project and a job on a connection, with a container that is there. */
async function jobOn(connection: Connection, storage: { prefix?: string } = {}, options?: object) {
  const container = `c-${unique()}`;
  await owner.post(`/api/storage-connections/${connection.id}/containers`, { name: container });
  const project = await owner.post<{ id: string }>("/api/projects", {
    clientId: org.clientId,
    type: "file_migration",
    name: `project ${unique()}`,
    storage: { connectionId: connection.id, container, ...storage },
  });
  const job = await owner.post<{ id: string }>("/api/jobs", {
    projectId: project.id,
    agentId: org.agentId,
    name: "First pass",
    type: "migrate_files",
    source: { kind: "local", path: "/srv/files" },
    ...(options === undefined ? {} : { options }),
  });
  return { container, projectId: project.id, jobId: job.id };
}

const askGrant = (jobId: string) => asMachine("POST", "/api/agent/grants", { jobId, epoch: 1 }, org.agentKey);
async function grantFor(jobId: string): Promise<Grant> {
  const answer = await askGrant(jobId);
  expect([answer.status, answer.text]).toMatchObject([200, expect.any(String)]);
  return answer.body as Grant;
}

const sealedOf = async (id: string) =>
  (
    await first<{ sealed: string }>(
      "select sealed_secret as sealed from storage_connections where id = ?",
      id,
    )
  )?.sealed as string;
const projectStatus = async (id: string) =>
  (await owner.get<{ status: string }>(`/api/projects/${id}`)).status;

describe("the whole way", () => {
  test("[M1] an admin signs in with Microsoft, chooses subscription, account and name, and has a connection", async () => {
    const { url } = await begin();
    const query = new URL(url).searchParams;
    expect(url.startsWith(`${ms.directoryUrl}/organizations/oauth2/v2.0/authorize?`)).toBe(true);
    expect(Object.fromEntries(query)).toMatchObject({
      response_type: "code",
      response_mode: "query",
      code_challenge_method: "S256",
      prompt: "select_account",
      redirect_uri: `${plane.origin}/api/azure/callback`,
      scope:
        "openid profile offline_access https://management.azure.com/user_impersonation https://storage.azure.com/user_impersonation",
    });
    expect(query.get("state")).toMatch(/^[\w-]{43}$/);
    const { consent: id } = outcomeOf(await comeBack(owner, await choose(url, "olivia")));
    expect(await owner.get<Consent>(`/api/azure/consents/${id}`)).toMatchObject({
      tenantId: TENANT,
      principal: "olivia@contoso.example",
    });

    const lists = `/api/azure/consents/${id}`;
    const subscriptions = await all<AzureSubscription>(`${lists}/subscriptions?`);
    expect(subscriptions.map((one) => one.id)).toContain(SUBSCRIPTION);
    const accounts = await all<AzureAccount>(`${lists}/accounts?subscriptionId=${SUBSCRIPTION}`);
    expect(accounts).toMatchObject([
      { name: "devstoreaccount1", isHierarchical: false, hasArchive: true, isFirewalled: false },
      { name: "emulatedlake", isHierarchical: true, hasArchive: false, isFirewalled: false },
      { name: "emulatedwall", isHierarchical: false, hasArchive: false, isFirewalled: true },
    ]);
    const resourceId = accounts[0]?.resourceId;
    const containers = await owner.get<AzurePage<string>>(`${lists}/containers?account=devstoreaccount1`);
    expect(containers).toMatchObject({ nextCursor: null, note: null });

    const made = await owner.post<Connection>(`${lists}/connection`, {
      name: "Contoso",
      account: "devstoreaccount1",
      resourceId,
    });
    expect(made).toMatchObject({
      kind: "oauth",
      name: "Contoso",
      account: "devstoreaccount1",
      container: null,
      blobEndpoint: `${ms.blobUrl}/devstoreaccount1`,
      consent: {
        tenantId: TENANT,
        principal: "olivia@contoso.example",
        hierarchical: false,
        refusedAt: null,
      },
    });
    // The consent is over; the list shows the connection, and nothing of a token stands anywhere.
    expect((await owner.json("GET", lists)).status).toBe(404);
    const { text } = await owner.json("GET", "/api/storage-connections");
    expect(text).toContain(made.id);
    for (const secret of ["refreshToken", "sealed", "access"]) expect(text).not.toContain(secret);
    const row = await first("select * from storage_connections where id = ?", made.id);
    expect(JSON.stringify(row)).not.toContain("Bearer");
    const states = await first("select * from oauth_states where id = ?", id);
    expect(states).toMatchObject({ sealed_tokens: null });
    expect(JSON.stringify(states)).not.toContain(query.get("state"));
    const digest = createHash("sha256")
      .update(query.get("state") as string)
      .digest("hex");
    expect(states).toMatchObject({ state_hash: digest });
  });

  /** Every page of a list. */
  async function all<Item>(path: string): Promise<Item[]> {
    const items: Item[] = [];
    let cursor: string | null = "";
    for (let pages = 0; cursor !== null && pages < 20; pages++) {
      const more: string = cursor === "" ? "" : `&cursor=${encodeURIComponent(cursor)}`;
      const page: AzurePage<Item> = await owner.get<AzurePage<Item>>(path + more);
      items.push(...page.items);
      cursor = page.nextCursor;
    }
    return items;
  }

  test("[M5] who may only use blobs sees no accounts, is told so, and types the name", async () => {
    const id = await consentAs("bob");
    const lists = `/api/azure/consents/${id}`;
    expect(await owner.get(`${lists}/subscriptions`)).toEqual({
      items: [],
      nextCursor: null,
      note: expect.stringContaining("type the account's name"),
    });
    expect(await owner.get(`${lists}/accounts?subscriptionId=${SUBSCRIPTION}`)).toEqual({
      items: [],
      nextCursor: null,
      note: expect.stringContaining("Storage Blob Data Contributor alone does not show any"),
    });
    const connection = await owner.post<Connection>(`${lists}/connection`, {
      name: "typed",
      account: "devstoreaccount1",
    });
    expect(connection.consent).toMatchObject({ hierarchical: null, principal: "bob@contoso.example" });
    const { jobId } = await jobOn(connection, { prefix: "a/b" });
    expect(new URLSearchParams((await grantFor(jobId)).sas).get("sr")).toBe("c");
  });

  test.each([
    ["who has no role", "nick"],
    ["who may only see the account", "rita"],
  ])("[M5] %s is refused at the account, with what to ask for", async (_what, person) => {
    const id = await consentAs(person);
    const body = { name: "x", account: "devstoreaccount1" };
    expect(await owner.json("POST", `/api/azure/consents/${id}/connection`, body)).toMatchObject({
      status: 400,
      body: { details: { fields: { account: expect.stringContaining("Storage Blob Data Contributor") } } },
    });
    // Mended by choosing again, not by signing in again.
    expect((await owner.json("GET", `/api/azure/consents/${id}`)).status).toBe(200);
  });

  test("[M5] who sees the account but not its blobs is shown containers by Azure's own list", async () => {
    const id = await consentAs("rita");
    const path = `/api/azure/consents/${id}/containers?account=devstoreaccount1`;
    expect(await owner.get(path)).toEqual({ items: [], nextCursor: null, note: expect.any(String) });
    const resource = encodeURIComponent(resourceIdOf("devstoreaccount1"));
    const page = await owner.get<AzurePage<string>>(`${path}&resourceId=${resource}`);
    expect(page).toMatchObject({ items: ["archive"], nextCursor: expect.any(String) });
    const next = await owner.get<AzurePage<string>>(
      `${path}&resourceId=${resource}&cursor=${encodeURIComponent(page.nextCursor as string)}`,
    );
    expect(next.items).toEqual(["files"]);
  });

  test("[M5] a resource id of another account, or none, is refused", async () => {
    const id = await consentAs("olivia");
    const path = `/api/azure/consents/${id}/connection`;
    const body = { name: "x", account: "devstoreaccount1", resourceId: resourceIdOf("emulatedlake") };
    expect((await owner.json("POST", path, body)).status).toBe(400);
    for (const resourceId of [
      "/subscriptions",
      `${resourceIdOf("a")}/../../x`,
      `${resourceIdOf("abc")}?x=1`,
    ]) {
      expect((await owner.json("POST", path, { ...body, resourceId })).status).toBe(400);
    }
  });

  test("[M1] the same request twice makes one connection", async () => {
    const id = await consentAs("olivia");
    const path = `/api/azure/consents/${id}/connection`;
    const body = { name: `once ${unique()}`, account: "devstoreaccount1" };
    const key = { "idempotency-key": `key-${unique()}` };
    const made = await Promise.all([
      owner.json("POST", path, body, key),
      owner.json("POST", path, body, key),
    ]);
    const ids = made.filter(({ status }) => status === 201).map(({ body: one }) => (one as Connection).id);
    expect(new Set(ids).size).toBe(1);
  });

  test("[M6] a next page somewhere else is not followed, and a cursor leads nowhere else", async () => {
    const id = await consentAs("olivia");
    const path = `/api/azure/consents/${id}/subscriptions`;
    for (const nextLink of [
      "https://evil.example/subscriptions?$skiptoken=1",
      `${ms.directoryUrl}@evil.example/subscriptions?$skiptoken=1`,
      `${ms.directoryUrl}/providers/other?$skiptoken=1`,
      `${ms.blobUrl}/subscriptions?$skiptoken=1`,
      "//evil.example/subscriptions",
    ]) {
      ms.fault({ route: "GET /subscriptions", answer: { status: 200, body: { value: [], nextLink } } });
      expect((await owner.json("GET", path)).status, nextLink).toBe(409);
    }
    const asked = ms.asked.length;
    const cursor = encodeURIComponent("?x#/../../other");
    await owner.json("GET", `${path}?cursor=${cursor}`);
    for (const line of ms.asked.slice(asked)) expect(line).toBe("GET /subscriptions");
  });

  test("[M6] an empty page that goes on is handed on as one that goes on", async () => {
    const id = await consentAs("olivia");
    const nextLink = `${ms.directoryUrl}/subscriptions?api-version=2022-12-01&$skiptoken=1`;
    ms.fault({ route: "GET /subscriptions", answer: { status: 200, body: { value: [], nextLink } } });
    const page = await owner.get<AzurePage<AzureSubscription>>(`/api/azure/consents/${id}/subscriptions`);
    expect(page).toMatchObject({ items: [], note: null, nextCursor: expect.stringContaining("skiptoken") });
  });

  test("[M6] what is throttled or broken is asked again, and given up with a sentence", async () => {
    const id = await consentAs("olivia");
    const path = `/api/azure/consents/${id}/subscriptions`;
    const busy = { status: 429, headers: { "retry-after": "1" } };
    ms.fault({ route: "GET /subscriptions", answer: busy });
    expect((await owner.json("GET", path)).status).toBe(200);
    ms.fault({ route: "GET /subscriptions", answer: "reset" });
    expect((await owner.json("GET", path)).status).toBe(200);
    for (const answer of [
      { status: 503 },
      { status: 429, headers: { "retry-after": "3600" } },
      "reset",
    ] as const) {
      ms.clearFaults();
      ms.fault({ route: "GET /subscriptions", times: 10, answer });
      expect(await owner.json("GET", path)).toMatchObject({
        status: 502,
        body: { code: "STORAGE_UNREACHABLE" },
      });
    }
  });
});

/** What may be done to a state that is right, so that it is not. */
const BAD_EDITS: readonly [string, (state: string) => string][] = [
  ...[0, 1, 7, 21, 41, 42].map((at): [string, (state: string) => string] => [
    `with its character ${at} changed`,
    (state) => `${state.slice(0, at)}${state[at] === "A" ? "B" : "A"}${state.slice(at + 1)}`,
  ]),
  ...[
    "\n",
    "\r\n",
    "\t",
    " ",
    "=",
    "==",
    ".",
    "%",
    "\u0000",
    "\u200b",
    "\u202e",
    "\ufeff",
    "é",
    "#",
    "&",
    "/",
    "\\",
    "'",
    '"',
    ";",
    "*",
  ].map((sign): [string, (state: string) => string] => [
    `with ${JSON.stringify(sign)} behind`,
    (state) => `${state}${sign}`,
  ]),
  ["with a space in front", (state) => ` ${state}`],
  ["with its first character left out", (state) => state.slice(1)],
  ["turned around", (state) => state.split("").toReversed().join("")],
  ["twice", (state) => state + state],
  ["halved", (state) => state.slice(0, 21)],
  ["in base64 once more", (state) => Buffer.from(state).toString("base64")],
  ["encoded once more", (state) => encodeURIComponent(`%${state}`)],
  ["as JSON", (state) => JSON.stringify({ state })],
  ["in quotes", (state) => JSON.stringify(state)],
  ["as a pattern", () => "%"],
  ["as another pattern", () => "_".repeat(43)],
  ["of zeros", () => "0".repeat(43)],
  ["of spaces", () => " ".repeat(43)],
  ["of signs", () => "-".repeat(43)],
  ["that is null", () => "null"],
  ["that is undefined", () => "undefined"],
  ["that is true", () => "true"],
  ["of 129 characters", () => "A".repeat(129)],
  ["in wide letters", (state) => state.replace(/[A-Za-z]/, "Ａ")],
];

describe("hostile states and callbacks", () => {
  const PAGE = /Azure Storage was not connected/;

  async function expectRefused(response: Response, status = 400): Promise<void> {
    expect(response.status).toBe(status);
    expect(response.headers.get("location")).toBeNull();
    expect(await response.text()).toMatch(PAGE);
  }

  async function pendingOf(id: string): Promise<unknown> {
    return await first("select used_at, sealed_tokens from oauth_states where id = ?", id);
  }
  const UNTOUCHED = { used_at: null, sealed_tokens: null };

  test("[M2] a callback that is replayed is refused, and so is the same code with a new state", async () => {
    const { url } = await begin();
    const back = await choose(url, "olivia");
    expect(outcomeOf(await comeBack(owner, back))).toHaveProperty("consent");
    await expectRefused(await comeBack(owner, back));
    const another = await begin();
    back.searchParams.set("state", another.state);
    expect(outcomeOf(await comeBack(owner, back))).toEqual({ azure: "refused" });
  });

  test("[M2] of many who bring the same state at once, one is let through", async () => {
    const back = await choose((await begin()).url, "olivia");
    const answers = await Promise.all(Array.from({ length: 8 }, () => comeBack(owner, back)));
    expect(answers.filter(({ status }) => status === 303)).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 400)).toHaveLength(7);
  });

  test("[M2] another session, role, organization or nobody cannot bring back a state, nor use it up", async () => {
    const { url, id } = await begin();
    const back = await choose(url, "olivia");
    const again = await signIn({
      tenantId: org.tenantId,
      tenantName: org.canary,
      orgRole: "owner",
      hub_user_id: `owner-${org.canary}`,
      email: `owner@${org.canary}.example`,
      name: "owner",
    });
    const others = await makeOrganization();
    await expectRefused(await comeBack(again, back));
    await expectRefused(await comeBack(org.people.admin, back));
    await expectRefused(await comeBack(others.people.owner, back));
    await expectRefused(await comeBack(org.people.member, back), 401);
    await expectRefused(await comeBack(org.people.viewer, back), 401);
    await expectRefused(await comeBack(new Browser(plane.origin), back), 401);
    expect(await pendingOf(id)).toEqual(UNTOUCHED);
    expect(outcomeOf(await comeBack(owner, back))).toEqual({ consent: id });
    // What came back is the session's own too.
    expect((await again.json("GET", `/api/azure/consents/${id}`)).status).toBe(404);
    expect((await others.people.owner.json("GET", `/api/azure/consents/${id}`)).status).toBe(404);
  });

  test("[M2] a state is good for ten minutes, what came back for half an hour", async () => {
    const { url, id, expiresAt } = await begin();
    expect(Date.parse(expiresAt) - Date.now()).toBeLessThanOrEqual(600_000);
    const back = await choose(url, "olivia");
    await run("update oauth_states set expires_at = ? where id = ?", Date.now() - 1, id);
    await expectRefused(await comeBack(owner, back));
    const pending = await consentAs("olivia");
    await run("update oauth_states set expires_at = ? where id = ?", Date.now() - 1, pending);
    expect((await owner.json("GET", `/api/azure/consents/${pending}`)).status).toBe(404);
    await begin();
    expect(await pendingOf(pending)).toMatchObject({ sealed_tokens: null });
  });

  test("[M2] consents nobody went on with are dropped with their tokens, and no other", async () => {
    const [left, present] = [await consentAs("olivia"), await consentAs("olivia")];
    const old = `oas_${"0".repeat(26)}`;
    await run("update oauth_states set id = ? where id = ?", old, left);
    await plane.sweep();
    expect(await pendingOf(old)).toBeNull();
    expect(await pendingOf(present)).toMatchObject({ sealed_tokens: expect.any(String) });
  });

  const badStates: [string, (state: string) => string][] = [
    ["no state", () => "code=abc"],
    ["an empty state", () => "state=&code=abc"],
    ["a made-up state", () => `state=${"A".repeat(43)}&code=abc`],
    ["a state cut short", (state) => `state=${state.slice(0, -1)}&code=abc`],
    ["a longer state", (state) => `state=${state}A&code=abc`],
    ["a state in another case", (state) => `state=${flipCase(state)}&code=abc`],
    ["a state with a space", (state) => `state=%20${state}&code=abc`],
    ["two states, the right one first", (state) => `state=${state}&state=x&code=abc`],
    ["two states, the right one last", (state) => `state=x&state=${state}&code=abc`],
    ["a state as a list", (state) => `state[]=${state}&code=abc`],
    ["a state of SQL", () => `state=${encodeURIComponent("' or 1=1 --")}&code=abc`],
    ["a state of 100 kB", () => `state=${"A".repeat(7_000)}&code=abc`],
    [
      "the hash of the state",
      (state) => `state=${createHash("sha256").update(state).digest("hex")}&code=abc`,
    ],
    ["an error without a state", () => "error=access_denied"],
    ["a state with a null", (state) => `state=${state}%00&code=abc`],
    ...BAD_EDITS.map(([what, change]): [string, (state: string) => string] => [
      `a state ${what}`,
      (state) => `state=${encodeURIComponent(change(state))}&code=abc`,
    ]),
  ];
  function flipCase(text: string): string {
    return text === text.toLowerCase() ? text.toUpperCase() : text.toLowerCase();
  }

  test.each(badStates)("[M2] %s is refused and uses nothing up", async (_what, query) => {
    const { state, id } = await begin();
    await expectRefused(await comeBack(owner, `/api/azure/callback?${query(state)}`));
    expect(await pendingOf(id)).toEqual(UNTOUCHED);
  });

  const badAnswers: [string, (state: string) => string, string][] = [
    ["no code", (state) => `state=${state}`, "refused"],
    ["an empty code", (state) => `state=${state}&code=`, "refused"],
    ["a made-up code", (state) => `state=${state}&code=0.abc`, "refused"],
    ["two codes", (state) => `state=${state}&code=a&code=b`, "refused"],
    ["a code of 9 kB", (state) => `state=${state}&code=${"A".repeat(9_000)}`, "refused"],
    [
      "a code that is no text for a form",
      (state) => `state=${state}&code=${encodeURIComponent("a&grant_type=password")}`,
      "refused",
    ],
    ["a declined consent", (state) => `state=${state}&error=access_denied&error_description=x`, "declined"],
    [
      "a consent that needs an administrator",
      (state) => `state=${state}&error=consent_required`,
      "consent_required",
    ],
    ["a busy authority", (state) => `state=${state}&error=temporarily_unavailable`, "unreachable"],
    ["an unknown error", (state) => `state=${state}&error=%3Cscript%3E`, "refused"],
    ["an error and a code", (state) => `state=${state}&error=access_denied&code=abc`, "declined"],
    ["two errors", (state) => `state=${state}&error=a&error=b`, "refused"],
    [
      "the issuer of somebody else",
      (state) => `state=${state}&code=abc&iss=https://evil.example/v2.0`,
      "refused",
    ],
    [
      "an issuer that only begins like ours",
      (state) => `state=${state}&code=abc&iss=${ms.directoryUrl}.evil.example/x/v2.0`,
      "refused",
    ],
    ["two issuers", (state) => `state=${state}&code=abc&iss=a&iss=b`, "refused"],
    ["an empty issuer", (state) => `state=${state}&code=abc&iss=`, "refused"],
  ];

  test.each(badAnswers)(
    "[M2] %s ends the attempt, and says so on our own page",
    async (_what, query, fault) => {
      const { state, id } = await begin();
      const response = await comeBack(owner, `/api/azure/callback?${query(state)}`);
      expect(outcomeOf(response)).toEqual({ azure: fault });
      expect(await pendingOf(id)).toMatchObject({ used_at: expect.any(Number), sealed_tokens: null });
      await expectRefused(await comeBack(owner, `/api/azure/callback?state=${state}&code=abc`));
    },
  );

  test("[M2] whatever address stands in the callback's query, the browser goes to our own settings", async () => {
    for (const target of HOSTILE_TARGETS) {
      const query = new URLSearchParams({
        state: (await begin()).state,
        code: "0.abc",
        error: "access_denied",
      });
      for (const name of ["redirect_uri", "next", "return", "RelayState"]) query.set(name, target);
      expect(outcomeOf(await comeBack(owner, `/api/azure/callback?${query}`)), target).toEqual({
        azure: "declined",
      });
    }
  });

  test("[M2] there are at least fifty bad states, each another", () => {
    expect(new Set(badStates.map(([what]) => what)).size).toBe(badStates.length);
    expect(badStates.length).toBeGreaterThanOrEqual(50);
  });

  test.each(["redirect_uri", "redirect", "next", "return", "url", "RelayState"])(
    "[M2] nothing in the callback's query says where the browser goes: %s",
    async (name) => {
      const back = await choose((await begin()).url, "olivia");
      back.searchParams.set(name, "https://evil.example/");
      expect(outcomeOf(await comeBack(owner, back))).toEqual({ consent: expect.any(String) });
    },
  );

  test("[M2] a code of one attempt is worth nothing in another: the verifier does not fit", async () => {
    const [ours, theirs] = [await begin(), await begin(org.people.admin)];
    const back = await choose(theirs.url, "zoe");
    back.searchParams.set("state", ours.state);
    expect(outcomeOf(await comeBack(owner, back))).toEqual({ azure: "refused" });
    expect(await pendingOf(ours.id)).toMatchObject({ sealed_tokens: null });
  });

  /** An answer of the authority with one claim changed. */
  const claims: [string, Record<string, unknown>][] = [
    ["another issuer", { iss: "https://evil.example/v2.0" }],
    ["the issuer of another tenant", { tid: OTHER_TENANT }],
    ["a tenant that is no id", { tid: "../common" }],
    ["another application", { aud: "77777777-7777-4777-8777-777777777777" }],
    ["the nonce of another attempt", { nonce: "A".repeat(43) }],
    ["no nonce", { nonce: undefined }],
    ["a time that is over", { exp: 1 }],
    ["nobody", { oid: undefined }],
  ];
  test.each(claims)("[M3] an identity with %s is refused", async (_what, changed) => {
    const { url, state, id } = await begin();
    const nonce = new URL(url).searchParams.get("nonce");
    const good = {
      iss: `${ms.directoryUrl}/${TENANT}/v2.0`,
      aud: new URL(url).searchParams.get("client_id"),
      exp: Math.floor(Date.now() / 1_000) + 600,
      tid: TENANT,
      oid: "11111111-1111-4111-8111-111111111111",
      preferred_username: "olivia@contoso.example",
      nonce,
    };
    const payload = Buffer.from(JSON.stringify({ ...good, ...changed })).toString("base64url");
    const body = {
      token_type: "Bearer",
      expires_in: 3_600,
      access_token: "a",
      refresh_token: "r",
      id_token: `e30.${payload}.x`,
    };
    ms.fault({ route: "/oauth2/v2.0/token", answer: { status: 200, body } });
    const response = await comeBack(owner, `/api/azure/callback?state=${state}&code=abc`);
    expect(outcomeOf(response)).toEqual({ azure: "refused" });
    expect(await pendingOf(id)).toMatchObject({ sealed_tokens: null });
  });

  test("[M3] an identity as it should be is taken: the check above fails for its reason", async () => {
    const { url, state } = await begin();
    const query = new URL(url).searchParams;
    const good = {
      iss: `${ms.directoryUrl}/${TENANT}/v2.0`,
      aud: query.get("client_id"),
      exp: Math.floor(Date.now() / 1_000) + 600,
      tid: TENANT,
      oid: "x",
      nonce: query.get("nonce"),
    };
    const id_token = `e30.${Buffer.from(JSON.stringify(good)).toString("base64url")}.x`;
    const body = { token_type: "Bearer", expires_in: 60, access_token: "a", refresh_token: "r", id_token };
    ms.fault({ route: "/oauth2/v2.0/token", answer: { status: 200, body } });
    const iss = encodeURIComponent(good.iss);
    const response = await comeBack(owner, `/api/azure/callback?state=${state}&code=abc&iss=${iss}`);
    expect(outcomeOf(response)).toHaveProperty("consent");
  });

  test("[M3] mix-up: a code of another authority is not even shown to ours", async () => {
    const back = await choose((await begin()).url, "olivia");
    back.searchParams.set("iss", "https://evil.example/v2.0");
    const asked = ms.asked.length;
    expect(outcomeOf(await comeBack(owner, back))).toEqual({ azure: "refused" });
    expect(ms.asked.slice(asked)).toEqual([]);
  });

  test("[M3] mix-up: the issuer the browser brought is not the one the tokens are of", async () => {
    const back = await choose((await begin()).url, "olivia");
    back.searchParams.set("iss", `${ms.directoryUrl}/${OTHER_TENANT}/v2.0`);
    expect(outcomeOf(await comeBack(owner, back))).toEqual({ azure: "refused" });
  });

  test.each([
    ["no JSON", { status: 200, body: "<html>" }],
    ["no tokens", { status: 200, body: {} }],
    [
      "a token of another type",
      { status: 200, body: { token_type: "mac", access_token: "a", expires_in: 1 } },
    ],
    ["a redirect", { status: 302, headers: { location: "http://127.0.0.1:1/" }, body: "" }],
    [
      "a refusal of our application",
      { status: 401, body: { error: "invalid_client", error_codes: [7000222] } },
    ],
  ] as const)("[M3] an authority that answers with %s leaves nothing behind", async (_what, answer) => {
    const { state, id } = await begin();
    ms.fault({ route: "/oauth2/v2.0/token", answer });
    const response = await comeBack(owner, `/api/azure/callback?state=${state}&code=abc`);
    expect(outcomeOf(response)).toEqual({ azure: "refused" });
    expect(await pendingOf(id)).toMatchObject({ sealed_tokens: null });
  });

  test("[M3] an authority that is away is told from one that refuses", async () => {
    const { state } = await begin();
    ms.fault({ route: "/oauth2/v2.0/token", times: 10, answer: { status: 503 } });
    const response = await comeBack(owner, `/api/azure/callback?state=${state}&code=abc`);
    expect(outcomeOf(response)).toEqual({ azure: "unreachable" });
  });
});

describe("secrets at rest", () => {
  test("[M4] a ciphertext in another row, column or organization does not open", async () => {
    const [ours, twin] = [await connectAs("olivia"), await connectAs("olivia")];
    const before = await sealedOf(twin.id);
    const { jobId } = await jobOn(twin);
    await run(
      "update storage_connections set sealed_secret = ? where id = ?",
      await sealedOf(ours.id),
      twin.id,
    );
    expect((await askGrant(jobId)).status).toBe(500);
    await run("update storage_connections set sealed_secret = ? where id = ?", before, twin.id);
    expect((await askGrant(jobId)).status).toBe(200);

    const others = await makeOrganization();
    const foreign = await connectAs("olivia", "devstoreaccount1", others.people.owner);
    await run(
      "update storage_connections set sealed_secret = ? where id = ?",
      await sealedOf(ours.id),
      foreign.id,
    );
    const path = `/api/storage-connections/${foreign.id}/containers`;
    expect((await others.people.owner.json("GET", path)).status).toBe(500);
  });

  test("[M4] tokens of a consent do not open in another one, nor a verifier as tokens", async () => {
    const [one, two] = [await consentAs("olivia"), await consentAs("olivia")];
    await run(
      "update oauth_states set sealed_tokens = (select sealed_tokens from oauth_states where id = ?) where id = ?",
      one,
      two,
    );
    expect((await owner.json("GET", `/api/azure/consents/${two}`)).status).toBe(500);
    await run("update oauth_states set sealed_tokens = sealed_verifier where id = ?", two);
    expect((await owner.json("GET", `/api/azure/consents/${two}`)).status).toBe(500);
    const { url, id } = await begin();
    await run(
      "update oauth_states set sealed_verifier = (select sealed_verifier from oauth_states where id = ?) where id = ?",
      one,
      id,
    );
    expect((await comeBack(owner, await choose(url, "olivia"))).status).toBe(500);
  });

  test("[M4] nothing of a token or a verifier is in the database in clear", async () => {
    await connectAs("olivia");
    const rows = await plane.database
      .prepare("select sealed_secret as sealed from storage_connections where kind = 'oauth'")
      .bind()
      .all<{ sealed: string }>();
    for (const { sealed } of rows.results) expect(sealed).toMatch(/^k1\.[\w-]{16}\.[\w-]+$/);
    const { results } = await plane.database
      .prepare("select details from audit_log where org_id = ? and action like 'storage.%'")
      .bind(org.orgId)
      .all();
    expect(JSON.stringify(results)).not.toMatch(/refresh|verifier|token/i);
  });
});

describe("grants", () => {
  const client = (grant: Grant) => new ContainerClient(`${grant.containerUrl}?${grant.sas}`);

  test("[M7] a grant is a user delegation SAS of at most 60 minutes, begun 15 minutes back", async () => {
    const { jobId, container } = await jobOn(await connectAs("olivia"));
    const grant = await grantFor(jobId);
    const sas = new URLSearchParams(grant.sas);
    expect(Object.fromEntries(sas)).toMatchObject({
      sr: "c",
      sp: "rcwl",
      sv: "2023-11-03",
      sks: "b",
      sktid: TENANT,
      skoid: "11111111-1111-4111-8111-111111111111",
    });
    const lifeMs = Date.parse(sas.get("se") as string) - Date.now();
    expect(lifeMs).toBeGreaterThan(58 * 60_000);
    expect(lifeMs).toBeLessThanOrEqual(60 * 60_000);
    expect(Date.now() - Date.parse(sas.get("st") as string)).toBeGreaterThanOrEqual(15 * 60_000 - 1_000);
    expect(grant.containerUrl).toBe(`${ms.blobUrl}/devstoreaccount1/${container}`);
    const entry = await first<{ details: string }>(
      "select details from audit_log where org_id = ? and action = 'grant.made' and object_id = ?",
      org.orgId,
      jobId,
    );
    expect(entry?.details).toContain('"permissions":"rcwl"');
    expect(entry?.details).not.toContain("sig");
  });

  test("[M7] with it blobs are written, listed and read, and nothing else is done", async () => {
    const { jobId } = await jobOn(await connectAs("olivia"));
    const container = client(await grantFor(jobId));
    const blob = container.getBlockBlobClient("a/ü b.txt");
    await blob.upload("hello", 5, { conditions: { ifNoneMatch: "*" } });
    await blob.stageBlock(Buffer.from("block-01").toString("base64"), "world", 5);
    await blob.commitBlockList([Buffer.from("block-01").toString("base64")]);
    expect((await blob.downloadToBuffer()).toString()).toBe("world");
    const names: string[] = [];
    for await (const { name } of container.listBlobsFlat({ prefix: "a/" })) names.push(name);
    expect(names).toEqual(["a/ü b.txt"]);
    await expect(blob.delete()).rejects.toMatchObject({ statusCode: 403 });
    await expect(container.delete()).rejects.toMatchObject({ statusCode: 403 });
    await expect(container.setMetadata({ a: "b" })).rejects.toMatchObject({ statusCode: 403 });
    const elsewhere = new ContainerClient(container.url.replace(container.containerName, "c-elsewhere"));
    await expect(elsewhere.getBlockBlobClient("a").upload("x", 1)).rejects.toMatchObject({ statusCode: 403 });
  });

  test.each([
    "sp=rcwdl",
    "se=2099-01-01T00:00:00Z",
    "sr=b",
    "skoid=11111111-1111-4111-8111-111111111112",
    "sig=AAAA",
  ])("[M7] a grant that was tampered with (%s) is refused", async (change) => {
    const { jobId } = await jobOn(await connectAs("olivia"));
    const grant = await grantFor(jobId);
    const sas = new URLSearchParams(grant.sas);
    const [name = "", value = ""] = change.split("=");
    sas.set(name, value);
    const blob = client({ ...grant, sas: sas.toString() }).getBlockBlobClient("a");
    await expect(blob.upload("x", 1)).rejects.toMatchObject({ statusCode: 403 });
  });

  test("[M7] a job that has to delete gets a grant that does", async () => {
    const { jobId } = await jobOn(await connectAs("olivia"), {}, { archived: "replace" });
    const grant = await grantFor(jobId);
    expect(new URLSearchParams(grant.sas).get("sp")).toBe("rcwdl");
    const blob = client(grant).getBlockBlobClient("a");
    await blob.upload("x", 1);
    await blob.delete();
  });

  test("[M8] at an account with folders a grant opens the job's folder only", async () => {
    const { jobId } = await jobOn(await connectAs("olivia", "emulatedlake"), { prefix: "acme/files" });
    const grant = await grantFor(jobId);
    const sas = new URLSearchParams(grant.sas);
    expect([sas.get("sr"), sas.get("sdd")]).toEqual(["d", "2"]);
    const container = client(grant);
    await container.getBlockBlobClient("acme/files/a/b.txt").upload("x", 1);
    const names: string[] = [];
    for await (const { name } of container.listBlobsFlat({ prefix: "acme/files/" })) names.push(name);
    expect(names).toEqual(["acme/files/a/b.txt"]);
    for (const name of ["acme/other/b.txt", "acme/filesX/b.txt", "acme", "b.txt"]) {
      const outside = container.getBlockBlobClient(name);
      await expect(outside.upload("x", 1), name).rejects.toMatchObject({ statusCode: 403 });
    }
    await expect(container.listBlobsFlat().next()).rejects.toMatchObject({ statusCode: 403 });
  });

  test("[M8] without a prefix, or without folders, it is the container's", async () => {
    const lake = await jobOn(await connectAs("olivia", "emulatedlake"));
    const flat = await jobOn(await connectAs("olivia"), { prefix: "acme/files" });
    for (const { jobId } of [lake, flat]) {
      expect(new URLSearchParams((await grantFor(jobId)).sas).get("sr")).toBe("c");
    }
  });

  test("[M9] an access token is used while it is good, and refreshed before it ends", async () => {
    const connection = await connectAs("olivia");
    const { jobId } = await jobOn(connection);
    const tokenCalls = () => ms.asked.filter((line) => line.endsWith("/oauth2/v2.0/token")).length;
    let before = tokenCalls();
    await grantFor(jobId);
    expect(tokenCalls()).toBe(before);
    ms.tokenSeconds = SHORT_SECONDS;
    const short = await jobOn(await connectAs("olivia"));
    before = tokenCalls();
    await grantFor(short.jobId);
    await grantFor(short.jobId);
    expect(tokenCalls()).toBe(before + 2);
  });

  test("[M9] a refresh token that was replaced is kept, and when it was used last is true", async () => {
    ms.strictRotation = true;
    ms.tokenSeconds = SHORT_SECONDS;
    const connection = await connectAs("olivia");
    const { jobId } = await jobOn(connection);
    await run("update storage_connections set refreshed_at = 1 where id = ?", connection.id);
    for (let count = 0; count < 3; count++) await grantFor(jobId);
    const shown = await owner.get<Connection>(`/api/storage-connections/${connection.id}`);
    expect(Date.parse(shown.consent?.refreshedAt ?? "")).toBeGreaterThan(Date.now() - 60_000);
    expect(shown.consent?.refusedAt).toBeNull();
  });

  test("[M9] many who refresh at once, at an authority that takes a token once, all get their grant", async () => {
    ms.strictRotation = true;
    ms.tokenSeconds = SHORT_SECONDS;
    const connection = await connectAs("olivia");
    const { jobId } = await jobOn(connection);
    ms.tokenSeconds = 3_600;
    const answers = await Promise.all(Array.from({ length: 4 }, () => askGrant(jobId)));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    const shown = await owner.get<Connection>(`/api/storage-connections/${connection.id}`);
    expect(shown.consent?.refusedAt).toBeNull();
  });

  test("[M9] an access token the service does not take, though it is not old, is replaced once", async () => {
    const connection = await connectAs("olivia");
    const { jobId } = await jobOn(connection);
    const refusal = { status: 401, headers: { "x-ms-error-code": "InvalidAuthenticationInfo" }, body: "" };
    ms.fault({ route: "comp=userdelegationkey", answer: refusal });
    await grantFor(jobId);
    ms.fault({ route: "comp=userdelegationkey", times: 2, answer: refusal });
    expect(await askGrant(jobId)).toMatchObject({ status: 409, body: { code: "STORAGE_DENIED" } });
  });

  test.each([
    [
      "a busy account",
      "comp=userdelegationkey",
      { status: 503, headers: { "x-ms-error-code": "ServerBusy" } },
    ],
    ["an account that breaks off", "comp=userdelegationkey", "reset"],
    ["a key that is none", "comp=userdelegationkey", { status: 200, body: "<UserDelegationKey/>" }],
    ["a busy authority", "/oauth2/v2.0/token", { status: 429, headers: { "retry-after": "60" } }],
    ["an authority that breaks off", "/oauth2/v2.0/token", "reset"],
  ] as const)(
    "[M9] %s is for the agent to ask again, and refuses no connection",
    async (_what, route, answer) => {
      ms.tokenSeconds = SHORT_SECONDS;
      const { jobId } = await jobOn(await connectAs("olivia"));
      ms.fault({ route, times: 10, answer });
      expect(await askGrant(jobId)).toMatchObject({ status: 502, body: { code: "STORAGE_UNREACHABLE" } });
      ms.clearFaults();
      await grantFor(jobId);
    },
  );

  test("[M9] a role that was taken away is said, and is no matter of signing in again", async () => {
    const connection = await connectAs("olivia");
    const { jobId } = await jobOn(connection);
    const denied = {
      status: 403,
      headers: { "x-ms-error-code": "AuthorizationPermissionMismatch" },
      body: "",
    };
    ms.fault({ route: "comp=userdelegationkey", answer: denied });
    expect(await askGrant(jobId)).toMatchObject({
      status: 409,
      body: { code: "STORAGE_DENIED", error: expect.stringContaining("Storage Blob Data Contributor") },
    });
    await grantFor(jobId);
  });
});

describe("credentials that expired", () => {
  const revoked = async () => {
    ms.tokenSeconds = SHORT_SECONDS;
    const connection = await connectAs("olivia");
    const job = await jobOn(connection);
    await grantFor(job.jobId);
    ms.revoke("olivia");
    return { connection, ...job };
  };

  test("[M10] invalid_grant marks the connection, its projects need a sign-in, and after Reconnect they go on", async () => {
    const { connection, jobId, projectId } = await revoked();
    expect(await projectStatus(projectId)).toBe("planning");
    expect(await askGrant(jobId)).toMatchObject({
      status: 403,
      body: {
        code: "AZURE_AUTH_EXPIRED",
        error: "Azure credentials expired — re-authenticate via dashboard",
      },
    });
    expect(await projectStatus(projectId)).toBe("auth_required");
    const shown = await owner.get<Connection>(`/api/storage-connections/${connection.id}`);
    expect(shown.consent?.refusedAt).not.toBeNull();
    // Nobody is asked again until somebody has signed in.
    const asked = ms.asked.length;
    expect((await askGrant(jobId)).status).toBe(403);
    expect((await owner.json("GET", `/api/storage-connections/${connection.id}/containers`)).status).toBe(
      403,
    );
    expect(ms.asked.length).toBe(asked);

    expect(await reconnectAs("olivia", connection.id)).toEqual({ connected: connection.id });
    expect(await projectStatus(projectId)).toBe("planning");
    await grantFor(jobId);
    const entries = await plane.database
      .prepare(
        "select action, actor_kind as kind from audit_log where org_id = ? and object_id = ? order by id",
      )
      .bind(org.orgId, connection.id)
      .all<{ action: string; kind: string }>();
    const actions = entries.results.map(({ action, kind }) => `${kind} ${action}`);
    expect(actions.filter((one) => one.includes("refused"))).toEqual(["system storage.refused"]);
    expect(actions.at(-1)).toBe("user storage.reconnected");
  });

  test.each<[string[], string]>([
    [["completed"], "completed"],
    [["running"], "auth_required"],
    [["completed", "failed"], "auth_required"],
    [["created"], "auth_required"],
  ])("[M10] a project with jobs %j is %s while its connection is refused", async (statuses, status) => {
    const { connection, jobId, projectId } = await revoked();
    for (const [index, one] of statuses.entries()) {
      const id = index === 0 ? jobId : (await makeJob(owner, { projectId, agentId: org.agentId })).id;
      await run("update jobs set status = ? where id = ?", one, id);
    }
    await owner.json("GET", `/api/storage-connections/${connection.id}/containers`);
    expect(await projectStatus(projectId)).toBe(status);
    const list = await owner.get<{ items: { id: string; status: string }[] }>(
      `/api/projects?clientId=${org.clientId}&limit=200`,
    );
    expect(list.items.find(({ id }) => id === projectId)?.status).toBe(status);
  });

  test.each(["interaction_required", "consent_required", "invalid_grant"])(
    "[M10] %s asks for a new sign-in",
    async (error) => {
      ms.tokenSeconds = SHORT_SECONDS;
      const { jobId } = await jobOn(await connectAs("olivia"));
      ms.fault({
        route: "/oauth2/v2.0/token",
        answer: { status: 400, body: { error, error_codes: [50076] } },
      });
      expect(await askGrant(jobId)).toMatchObject({ status: 403, body: { code: "AZURE_AUTH_EXPIRED" } });
    },
  );

  test("[M10] what is wrong with our own application is for the operator, and refuses no connection", async () => {
    ms.tokenSeconds = SHORT_SECONDS;
    const connection = await connectAs("olivia");
    const { jobId } = await jobOn(connection);
    const body = { error: "invalid_client", error_codes: [7_000_222] };
    ms.fault({ route: "/oauth2/v2.0/token", answer: { status: 401, body } });
    expect(await askGrant(jobId)).toMatchObject({ status: 503, body: { code: "NOT_CONFIGURED" } });
    await grantFor(jobId);
  });

  test("[M11] Reconnect takes another person of the same tenant, and nobody of another one", async () => {
    const { connection, jobId } = await revoked();
    await askGrant(jobId);
    const { url } = await begin(owner, connection.id);
    expect(url.startsWith(`${ms.directoryUrl}/${TENANT}/`)).toBe(true);
    expect(await reconnectAs("zoe", connection.id)).toEqual({ azure: "refused" });
    expect(await reconnectAs("nick", connection.id)).toEqual({ azure: "storage_denied" });
    expect(await reconnectAs("", connection.id)).toEqual({ azure: "declined" });
    expect((await askGrant(jobId)).status).toBe(403);
    expect(await reconnectAs("bob", connection.id)).toEqual({ connected: connection.id });
    const shown = await owner.get<Connection>(`/api/storage-connections/${connection.id}`);
    expect(shown.consent).toMatchObject({ principal: "bob@contoso.example", refusedAt: null });
    expect(new URLSearchParams((await grantFor(jobId)).sas).get("skoid")).toMatch(/2$/);
  });

  test("[M11] an identity of another tenant than the connection's is refused, though all else fits", async () => {
    const connection = await connectAs("olivia");
    const { url, state } = await begin(owner, connection.id);
    const query = new URL(url).searchParams;
    const claims = {
      iss: `${ms.directoryUrl}/${OTHER_TENANT}/v2.0`,
      aud: query.get("client_id"),
      exp: Math.floor(Date.now() / 1_000) + 600,
      tid: OTHER_TENANT,
      oid: "x",
      nonce: query.get("nonce"),
    };
    const id_token = `e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.x`;
    const body = { token_type: "Bearer", expires_in: 60, access_token: "a", refresh_token: "r", id_token };
    ms.fault({ route: "/oauth2/v2.0/token", answer: { status: 200, body } });
    const response = await comeBack(owner, `/api/azure/callback?state=${state}&code=abc`);
    expect(outcomeOf(response)).toEqual({ azure: "wrong_tenant" });
  });

  test("[M11] a connection that was pasted cannot be connected by signing in", async () => {
    expect(await owner.json("POST", "/api/azure/consents", { connectionId: org.connectionId })).toMatchObject(
      {
        status: 400,
        body: { details: { fields: { connectionId: expect.any(String) } } },
      },
    );
  });

  test("[M11] a sign-in meant for one connection is no consent for a new one", async () => {
    const connection = await connectAs("olivia");
    const { url, id } = await begin(owner, connection.id);
    outcomeOf(await comeBack(owner, await choose(url, "olivia")));
    expect((await owner.json("GET", `/api/azure/consents/${id}`)).status).toBe(404);
  });
});

describe("the deployment", () => {
  /** Sealed as the Worker seals, under the older key of the ring. */
  function sealOlder(id: string, text: string): string {
    const [kid = "", key = ""] = (SECRETS_KEYS.split(",")[1] ?? "").split(":");
    const iv = randomBytes(12);
    const cipher = createCipheriv("aes-256-gcm", Buffer.from(key, "base64"), iv);
    cipher.setAAD(Buffer.from(["storage_connections", org.orgId, id, "sealed_secret", kid].join("/")));
    const sealed = Buffer.concat([cipher.update(text), cipher.final(), cipher.getAuthTag()]);
    return [kid, iv.toString("base64url"), sealed.toString("base64url")].join(".");
  }

  test("[M12] a secret sealed under an older key opens, and is sealed under the newest when it is read", async () => {
    const connection = await connectAs("olivia");
    const { jobId } = await jobOn(connection);
    const text = JSON.stringify({
      kind: "oauth",
      refreshToken: await refreshTokenOf("olivia"),
      access: null,
    });
    await run(
      "update storage_connections set sealed_secret = ? where id = ?",
      sealOlder(connection.id, text),
      connection.id,
    );
    // Reading alone is enough: a question the account breaks off changes nothing else.
    ms.fault({ route: "/oauth2/v2.0/token", times: 10, answer: "reset" });
    expect((await askGrant(jobId)).status).toBe(502);
    expect(await sealedOf(connection.id)).toMatch(/^k1\./);
    ms.clearFaults();
    await grantFor(jobId);
  });

  /** A refresh token the emulator knows, got the way every client gets one. */
  async function refreshTokenOf(person: string): Promise<string> {
    const verifier = randomBytes(32).toString("base64url");
    const query = new URL((await begin()).url).searchParams;
    query.set("code_challenge", createHash("sha256").update(verifier).digest("base64url"));
    const back = await choose(`${ms.directoryUrl}/organizations/oauth2/v2.0/authorize?${query}`, person);
    const answer = await fetch(`${ms.directoryUrl}/organizations/oauth2/v2.0/token`, {
      method: "POST",
      body: new URLSearchParams({
        grant_type: "authorization_code",
        code: back.searchParams.get("code") ?? "",
        code_verifier: verifier,
        redirect_uri: query.get("redirect_uri") ?? "",
        client_id: ms.variables["AZURE_CLIENT_ID"] ?? "",
        client_secret: ms.variables["AZURE_CLIENT_SECRET"] ?? "",
        scope: "offline_access https://storage.azure.com/user_impersonation",
      }),
    });
    return ((await answer.json()) as { refresh_token: string }).refresh_token;
  }

  test("[M12] without an application the way is closed, and other hosts do not hold in production", async () => {
    const production = await startControlPlane({
      env: "production",
      secrets: { AZURE_CLIENT_ID: "x", AZURE_AUTHORITY_URL: ms.directoryUrl },
    });
    try {
      const health = await production.fetch("/api/health");
      expect(await health.json()).toMatchObject({ status: "misconfigured" });
      expect(production.logs().join("\n")).toContain("AZURE_AUTHORITY_URL must not be set in production");
    } finally {
      await production.close();
    }
  });
});
