/**
 * Secrets, planted wherever somebody can put one, and then looked for wherever one must not be: logs, rows in clear, the
 * audit log's export, answers, and addresses.
 */
import { beforeAll, expect, test } from "vitest";
import {
  asMachine,
  azurite,
  Browser,
  controlPlane,
  DEV_HUB_SECRET,
  hubToken,
  makeOrganization,
  MACHINE,
  signIn,
  SSO_SECRET,
  unique,
  upgrade,
  type ControlPlane,
  type Organization,
} from "./harness.ts";

let plane: ControlPlane;
let org: Organization;

interface Plant {
  readonly what: string;
  readonly secret: string;
  /** Where it stands as what it was given as: a name is kept and shown as one, and must be nowhere else. */
  readonly keptAs: "nothing" | "name";
}
const PLANTS: Plant[] = [];
/** What came back, with the plants that stand in it as names taken out by whoever asked. */
const answers: { readonly what: string; readonly text: string }[] = [];

/** A new secret, in base64 as keys are. */
function plant(what: string, keptAs: Plant["keptAs"] = "nothing"): string {
  const secret = Buffer.from(crypto.getRandomValues(new Uint8Array(30))).toString("base64url");
  PLANTS.push({ what, secret, keptAs });
  return secret;
}
const known = (what: string, secret: string) => void PLANTS.push({ what, secret, keptAs: "nothing" });

async function say(what: string, browser: Browser, path: string, init: RequestInit = {}): Promise<Response> {
  const response = await browser.fetch(path, init);
  const text = await response.clone().text();
  const headers = [...response.headers].filter(([name]) => name !== "set-cookie");
  answers.push({ what, text: `${JSON.stringify(headers)}\n${text}` });
  return response;
}

const json = (method: string, body: unknown): RequestInit => ({
  method,
  body: typeof body === "string" ? body : JSON.stringify(body),
  headers: { "content-type": "application/json" },
});

beforeAll(async () => {
  plane = await controlPlane();
  org = await makeOrganization();
  await plantInStorage();
  await plantInRequests();
  await plantInSignIns();
  await plantInNames();
  await plantInAgents();
  await plane.sweep();
});

async function plantInStorage(): Promise<void> {
  const { owner } = org.people;
  const { connectionString } = await azurite();
  known(
    "the account's key in a connection string that works",
    /AccountKey=([^;]+)/.exec(connectionString)?.[1] ?? "",
  );
  const strings: readonly (readonly [string, (secret: string) => string])[] = [
    [
      "a key of the wrong length",
      (s) =>
        `DefaultEndpointsProtocol=https;AccountName=acme;AccountKey=${s};EndpointSuffix=core.windows.net`,
    ],
    ["a key without a name", (s) => `AccountKey=${s}`],
    [
      "a SAS of an account",
      (s) => `BlobEndpoint=https://acme.blob.core.windows.net;SharedAccessSignature=sv=2024&sig=${s}`,
    ],
    [
      "a password in the endpoint",
      (s) => `AccountName=acme;AccountKey=eA==;BlobEndpoint=https://u:${s}@acme.blob.core.windows.net`,
    ],
    ["a database's string", (s) => `Server=tcp:db;User ID=sa;Password=${s}`],
    ["the secret alone", (s) => s],
    ["an address with the key in its query", (s) => `https://acme.blob.core.windows.net/c?code=${s}`],
  ];
  for (const [what, make] of strings) {
    const body = {
      kind: "connection_string",
      name: "x",
      connectionString: make(plant(`connection string: ${what}`)),
    };
    await say(what, owner, "/api/storage-connections", json("POST", body));
  }
  const sases: readonly (readonly [string, (secret: string) => string])[] = [
    [
      "of an account that is not there",
      (s) => `https://acme.blob.core.windows.net/c?sv=2024-01-01&sr=c&sp=rcwl&sig=${s}`,
    ],
    ["of a foreign host", (s) => `https://evil.example/c?sv=2024-01-01&sr=c&sp=rcwl&sig=${s}`],
    ["with a name and password", (s) => `https://user:${s}@acme.blob.core.windows.net/c?sig=x`],
    ["without a container", (s) => `https://acme.blob.core.windows.net/?sig=${s}`],
    ["by http", (s) => `http://acme.blob.core.windows.net/c?sr=c&sig=${s}`],
  ];
  for (const [what, make] of sases) {
    const body = { kind: "container_sas", name: "x", sasUrl: make(plant(`SAS: ${what}`)) };
    await say(what, owner, "/api/storage-connections", json("POST", body));
    await say(
      what,
      owner,
      "/api/storage-connections",
      json("POST", { ...body, sasUrl: undefined, url: body.sasUrl }),
    );
  }
  const container = `https://x.blob.core.windows.net/?sig=${plant("a container's name")}`;
  await say(
    "container",
    owner,
    `/api/storage-connections/${org.connectionId}/containers`,
    json("POST", { name: container }),
  );
  // A secret that can no longer be opened: the error must not tell what is in it.
  const broken = await owner.post<{ id: string }>("/api/storage-connections", {
    kind: "connection_string",
    name: "broken",
    connectionString,
  });
  await plane.database
    .prepare("update storage_connections set sealed_secret = ? where id = ?")
    .bind(`k1.AAAA.${"A".repeat(40)}`, broken.id)
    .run();
  await say("a sealed secret that does not open", owner, `/api/storage-connections/${broken.id}/containers`);
}

async function plantInRequests(): Promise<void> {
  const { owner } = org.people;
  const queries = ["token", "sig", "password", "access_token", "api_key", "cursor", "limit"];
  for (const name of queries) {
    const path = `/api/clients?${name}=${plant(`query ${name}`)}${"x".repeat(40)}`;
    await say(`query ${name}`, owner, path);
  }
  await say("path", owner, `/api/clients/${plant("an id in a path")}`);
  await say("path", owner, `/api/nothing/${plant("an address nobody serves")}`);
  await say("path", owner, `/sso/${plant("an address below the sign-in")}`);
  await say("audit", owner, `/api/audit?actor=${plant("a filter of the audit log")}`);
  await say("session", owner, `/api/sessions/${plant("a session's id")}/revoke`, { method: "POST" });
  await say(
    "half JSON",
    owner,
    "/api/clients",
    json("POST", `{"name":"x","password":"${plant("half a body")}`),
  );
  await say("wrong type", owner, "/api/clients", json("POST", { name: [plant("a value of a wrong type")] }));
  await say(
    "wrong e-mail",
    owner,
    "/api/clients",
    json("POST", { name: "x", contactEmail: plant("an e-mail that is none") }),
  );
  await say(
    "wrong job",
    owner,
    "/api/jobs",
    json("POST", { projectId: plant("a reference"), agentId: plant("another reference") }),
  );
  await say(
    "wrong path",
    owner,
    "/api/jobs",
    json("POST", {
      projectId: org.projectId,
      agentId: org.agentId,
      name: "x",
      type: "migrate_files",
      source: { kind: "local", path: `smb://user:${plant("a password in a source")}@host/share` },
    }),
  );
  const headers: Record<string, string> = {
    "x-api-key": plant("header X-Api-Key"),
    referer: `https://example.com/?token=${plant("header Referer")}`,
    "x-request-id": plant("header X-Request-Id"),
    "x-forwarded-for": plant("header X-Forwarded-For"),
    "accept-language": plant("header Accept-Language"),
    cookie: `${owner.cookieHeader}; other=${plant("somebody else's cookie")}`,
  };
  await say("headers", owner, "/api/clients", { headers });
  for (const scheme of ["Basic", "Bearer", "Digest"]) {
    const authorization = `${scheme} ${plant(`header Authorization: ${scheme}`)}`;
    await say(scheme, new Browser(plane.origin), "/api/clients", { headers: { authorization } });
    await say(scheme, new Browser(plane.origin), "/api/agent/grants", {
      ...json("POST", {}),
      headers: { authorization },
    });
  }
  await upgrade(`/api/live?job=${plant("a job of the live socket")}`, {
    cookie: owner.cookieHeader,
    origin: plane.origin,
  });
}

async function plantInSignIns(): Promise<void> {
  const jti = plant("a token's jti");
  const browser = new Browser(plane.origin);
  await browser.fetch("/sso/start");
  const token = await hubToken({ tenantId: org.tenantId, hub_user_id: `owner-${org.canary}`, jti });
  known("a sign-in token that was used", token.split(".")[2] ?? "");
  const userAgent = `Agent/1 Bearer ${plant("a token in User-Agent")} password=${plant("a password in User-Agent")}`;
  const response = await say("signed in", browser, `/sso?token=${token}`, {
    headers: { "user-agent": userAgent },
  });
  expect(response.status).toBe(303);
  known("a session's cookie", browser.cookies.get("__Host-mig_s") ?? "");
  await browser.fetch("/sso/start");
  await say("used again", browser, `/sso?token=${token}`);
  const header = Buffer.from('{"alg":"HS256"}').toString("base64url");
  await say("bad", browser, `/sso?token=${header}.${plant("a bad token")}.${plant("its signature")}`);
  const form = new URLSearchParams({ token: plant("a token in a form") });
  await say("bad", browser, "/sso", { method: "POST", body: form });
  await say("hub", browser, `/dev/hub/sign-in?secret=${plant("a wrong development secret")}`);
  known("the development Hub's secret", DEV_HUB_SECRET);
  await browser.fetch(`/dev/hub/sign-in?secret=${DEV_HUB_SECRET}&tenant=${unique()}`);
  known("the Hub's secret", SSO_SECRET);
  known("the key ring", "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=");
  known("the pepper of codes", "contract-code-pepper-0123456789-0123456789");
}

async function plantInNames(): Promise<void> {
  const { owner } = org.people;
  const secretly = (what: string) => `AccountKey=${plant(what, "name")}; for Bob`;
  const made = await owner.post<{ id: string }>("/api/clients", {
    name: secretly("a client's name"),
    contactName: secretly("a contact"),
    psaCompanyId: secretly("a company's number"),
  });
  await owner.patch(`/api/clients/${made.id}`, { name: secretly("a client's new name") });
  const project = await owner.post<{ id: string }>("/api/projects", {
    clientId: made.id,
    type: "file_migration",
    name: secretly("a project's name"),
    description: secretly("a project's description"),
    storage: { connectionId: org.connectionId, container: org.container },
  });
  await owner.patch(`/api/projects/${project.id}`, { name: secretly("a project's new name") });
  const agent = { projectId: project.id, agentId: org.agentId };
  await owner.post("/api/jobs", {
    ...agent,
    name: secretly("a job's name"),
    type: "migrate_files",
    source: { kind: "local", path: `/srv/${secretly("a source's path")}` },
    destination: { prefix: "beside" },
    options: { filters: { include: [secretly("a filter")] } },
  });
  await owner.patch(`/api/agents/${org.agentId}`, { name: secretly("an agent's name") });
  await owner.post("/api/registration-codes", { label: secretly("a code's label") });
  await signIn({ tenantId: org.tenantId, name: secretly("a person's name"), orgRole: "viewer" });
}

async function plantInAgents(): Promise<void> {
  const { owner } = org.people;
  const { code } = await owner.post<{ code: string }>("/api/registration-codes", { label: null });
  known("a registration code", code);
  const answer = await asMachine("POST", "/api/agent/register", { code, ...MACHINE, name: "agent" });
  known("an agent's key", (answer.body as { key: string }).key);
  const wrong = await asMachine("POST", "/api/agent/register", {
    code: plant("a code that is none"),
    ...MACHINE,
  });
  answers.push({ what: "registration refused", text: wrong.text });
  known("an agent's key that calls", org.agentKey);
  const grant = await asMachine("POST", "/api/agent/grants", { jobId: org.jobId, epoch: 1 }, org.agentKey);
  expect(grant.status).toBe(200);
  known("a grant's signature", new URLSearchParams((grant.body as { sas: string }).sas).get("sig") ?? "");
  const foreign = org.agentKey.slice(0, -12) + plant("the end of an agent's key").slice(0, 12);
  answers.push({ what: "wrong key", text: (await asMachine("POST", "/api/agent/grants", {}, foreign)).text });
}

/** As it may stand encoded somewhere. */
function formsOf(secret: string): string[] {
  const forms = [
    secret,
    encodeURIComponent(secret),
    JSON.stringify(secret).slice(1, -1),
    btoa(secret).replaceAll("=", ""),
  ];
  return [...new Set(forms)];
}

function findIn(text: string, plants: readonly Plant[]): string[] {
  return plants
    .filter(({ secret }) => formsOf(secret).some((form) => text.includes(form)))
    .map(({ what }) => what);
}

/** Tables in which people's own words are kept and shown as such. */
const NAMED = ["users", "clients", "projects", "agents", "registration_codes", "jobs", "storage_connections"];

async function rowsOf(): Promise<Map<string, string>> {
  const { results } = await plane.database
    .prepare(
      "select name from sqlite_master where type = 'table' and name not like '\\_%' escape '\\' and name not like 'sqlite%'",
    )
    .bind()
    .all<{ name: string }>();
  const tables = new Map<string, string>();
  for (const { name } of results) {
    const rows = await plane.database.prepare(`select * from ${name}`).bind().all<Record<string, unknown>>();
    tables.set(name, JSON.stringify(rows.results));
  }
  return tables;
}

test("[V8] at least forty secrets are planted, each another", () => {
  expect(PLANTS.length).toBeGreaterThanOrEqual(40);
  expect(new Set(PLANTS.map(({ secret }) => secret)).size).toBe(PLANTS.length);
  for (const { what, secret } of PLANTS) expect(secret.length, what).toBeGreaterThanOrEqual(8);
});

test("[V8] none is in the logs, in which each request has its line", async () => {
  const { owner } = org.people;
  await owner.get("/api/session");
  await new Promise((done) => setTimeout(done, 200));
  const text = plane.logs().join("\n");
  expect(text).toContain(`"orgId":"${org.orgId}"`);
  expect(text).toContain('"event":"request_failed"');
  expect(findIn(text, PLANTS)).toEqual([]);
});

test("[V8] none is in clear in any row; a name is kept as a name and nowhere else", async () => {
  const tables = await rowsOf();
  const found: string[] = [];
  for (const [table, text] of tables) {
    const plants = NAMED.includes(table) ? PLANTS.filter(({ keptAs }) => keptAs === "nothing") : PLANTS;
    found.push(...findIn(text, plants).map((what) => `${what}, in ${table}`));
  }
  expect(found).toEqual([]);
  // The search finds what is there: names are.
  const names = PLANTS.filter(({ what }) => what === "a client's new name" || what === "a job's name");
  expect(findIn(`${tables.get("clients")}${tables.get("jobs")}`, names)).toHaveLength(2);
  expect([...tables.keys()]).toEqual(
    expect.arrayContaining(["sessions", "audit_log", "sign_in_refusals", "outbox"]),
  );
});

test("[V8] none is in the objects' own storage", async () => {
  const agents = await plane.objectRows(
    org.agentId,
    "select name from sqlite_master where type = 'table' and name not glob '_*'",
  );
  let text = "";
  for (const { name } of agents as { name: string }[])
    text += JSON.stringify(await plane.objectRows(org.agentId, `select * from "${name}"`));
  expect(text.length).toBeGreaterThan(50);
  // What the agent is to do is there as it was typed.
  expect(
    findIn(
      text,
      PLANTS.filter(({ keptAs }) => keptAs === "nothing"),
    ),
  ).toEqual([]);
});

test("[V8] none is in the audit log's export or pages", async () => {
  const { owner } = org.people;
  const page = await owner.json("GET", "/api/audit?limit=200");
  const file = await owner.json("GET", "/api/audit/export");
  expect(file.text).toContain("client.created");
  expect(findIn(page.text + file.text, PLANTS)).toEqual([]);
});

test("[V8] none comes back in an answer, an error or an address, nor in the lists of connections and sessions", async () => {
  const { owner } = org.people;
  for (const path of [
    "/api/storage-connections",
    "/api/sessions?all=1",
    "/api/registration-codes",
    "/api/health",
  ])
    answers.push({ what: path, text: (await owner.json("GET", path)).text });
  const found = answers.flatMap(({ what, text }) =>
    findIn(
      text,
      PLANTS.filter(({ keptAs }) => keptAs === "nothing"),
    ).map((plant) => `${plant}, answered to ${what}`),
  );
  expect(found).toEqual([]);
  expect(answers.length).toBeGreaterThan(40);
});
