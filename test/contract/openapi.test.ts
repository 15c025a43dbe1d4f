/** The API's description: complete, true of what is really answered, and readable. */
import { beforeAll, describe, expect, test } from "vitest";
import * as z from "zod";
import { POLICIES } from "../../worker/auth/policy.ts";
import { isPublicApi, type OpenApiDocument, type Operation } from "../../worker/openapi/document.ts";
import { DESCRIBED } from "../../worker/openapi/routes.ts";
import {
  Browser,
  controlPlane,
  makeOrganization,
  unique,
  type ControlPlane,
  type Organization,
} from "./harness.ts";

let plane: ControlPlane;
let org: Organization;
let document: OpenApiDocument;
beforeAll(async () => {
  plane = await controlPlane();
  org = await makeOrganization();
  document = (await (await fetch(`${plane.origin}/api/openapi.json`)).json()) as OpenApiDocument;
});

function operationOf(route: string): Operation {
  const [method = "", path = ""] = route.split(" ");
  const operation = document.paths[path.replace(":id", "{id}")]?.[method.toLowerCase()];
  if (operation === undefined) throw new Error(`"${route}" is not described`);
  return operation;
}

/** A schema of the document as something that can judge an answer. */
function judgeOf(schema: object): z.ZodType {
  const { $ref } = schema as { $ref?: string };
  if ($ref === undefined) return z.fromJSONSchema(schema as Parameters<typeof z.fromJSONSchema>[0]);
  const name = $ref.split("/").at(-1) ?? "";
  return judgeOf(document.components.schemas[name] ?? {});
}

describe("completeness", () => {
  test("[I10] every route of the API is described, and nothing that is none", () => {
    expect(Object.keys(DESCRIBED).sort()).toEqual(Object.keys(POLICIES).filter(isPublicApi).sort());
  });

  for (const route of Object.keys(POLICIES).filter(isPublicApi)) {
    test(`[I10] ${route} has its request, its answer and its refusals`, () => {
      const operation = operationOf(route);
      const [method = "", path = ""] = route.split(" ");
      const statuses = Object.keys(operation.responses);
      expect(statuses.filter((status) => status.startsWith("2"))).toHaveLength(1);
      expect(statuses).toContain("500");
      if (POLICIES[route] !== "public")
        for (const status of ["401", "403", "429"]) expect(statuses).toContain(status);
      if (path.includes(":id")) {
        expect(statuses).toContain("404");
        expect(operation.parameters).toContainEqual(expect.objectContaining({ name: "id", in: "path" }));
      }
      if (method === "PATCH") expect(operation.requestBody).toBeDefined();
      if (operation.requestBody !== undefined) expect(statuses).toContain("400");
      for (const { content } of Object.values(operation.responses)) {
        for (const { schema } of Object.values(content ?? {})) expect(() => judgeOf(schema)).not.toThrow();
      }
    });
  }

  test("[I10] each operation has a name of its own", () => {
    const ids = Object.values(document.paths).flatMap((methods) =>
      Object.values(methods).map(({ operationId }) => operationId),
    );
    expect(new Set(ids).size).toBe(ids.length);
    for (const id of ids) expect(id).toMatch(/^[a-z][A-Za-z_]+$/);
  });
});

describe("truth", () => {
  const idOf: Readonly<Record<string, () => string>> = {
    clients: () => org.clientId,
    "storage-connections": () => org.connectionId,
    projects: () => org.projectId,
    "registration-codes": () => org.openCodeId,
    "api-keys": () => org.apiKeyId,
    agents: () => org.agentId,
    jobs: () => org.jobId,
  };
  const BODIES: Readonly<Record<string, () => unknown>> = {
    "POST /api/clients": () => ({ name: "Acme" }),
    "PATCH /api/clients/:id": () => ({ name: "Renamed" }),
    "POST /api/projects": () => ({
      clientId: org.clientId,
      type: "file_migration",
      name: "Described",
      storage: { connectionId: org.connectionId, container: org.container },
    }),
    "PATCH /api/projects/:id": () => ({ description: "x" }),
    "POST /api/registration-codes": () => ({}),
    "POST /api/api-keys": () => ({ name: "Described", role: "member", validDays: 3 }),
    "PATCH /api/agents/:id": () => ({ label: "x" }),
    "POST /api/jobs": () => ({
      projectId: org.projectId,
      agentId: org.agentId,
      name: "Described",
      type: "migrate_files",
      source: { kind: "local", path: `/${unique()}` },
      destination: { prefix: unique() },
    }),
    "POST /api/jobs/:id/pause": () => undefined,
    "POST /api/jobs/:id/resume": () => undefined,
  };
  const READS = [
    "/api/health",
    "/api/session",
    "/api/sessions",
    "/api/members",
    "/api/audit",
    "/api/overview",
    "/api/notifications",
    ...Object.keys(idOf).flatMap((name) => [`/api/${name}`, `/api/${name}/:id`]),
    "/api/storage-connections/:id/containers",
    "/api/jobs/:id/failures",
    "/api/jobs/:id/log",
  ].map((path) => `GET ${path}`);

  for (const route of [...READS, ...Object.keys(BODIES)]) {
    test(`[I11] what ${route} answers is what the description says, and so is its refusal`, async () => {
      const [method = "", path = ""] = route.split(" ");
      const id = idOf[path.split("/")[2] ?? ""]?.() ?? "";
      const { responses } = operationOf(route);
      const good = await org.people.owner.json(method, path.replace(":id", id), BODIES[route]?.());
      const nobody = await new Browser(plane.origin).json(method, path.replace(":id", id), BODIES[route]?.());
      const missing = await org.people.owner.json(
        method,
        path.replace(":id", `${id.slice(0, 4)}${"0".repeat(26)}`),
        method === "GET" ? undefined : {},
      );
      expect(good.status, good.text).toBeLessThan(300);
      for (const { status, body } of [good, nobody, missing]) {
        const schema = responses[status]?.content?.["application/json"]?.schema;
        expect(schema, `status ${status}`).toBeDefined();
        expect(judgeOf(schema ?? {}).safeParse(body).error?.issues ?? []).toEqual([]);
      }
    });
  }

  test("[I11] a body that the description refuses is refused, one with a default left out is taken", async () => {
    const body = operationOf("POST /api/clients").requestBody?.content["application/json"]?.schema ?? {};
    for (const value of [{ name: "Acme" }, {}, { name: 1 }, { name: "Acme", surprise: 1 }]) {
      const isTaken = judgeOf(body).safeParse(value).success;
      const { status } = await org.people.owner.json("POST", "/api/clients", value);
      expect([value, status]).toEqual([value, isTaken ? 201 : 400]);
    }
  });
});

test("[I10] the page for people names every route, and holds no script", async () => {
  const response = await fetch(`${plane.origin}/api/docs`);
  const text = await response.text();
  expect(response.status).toBe(200);
  expect(response.headers.get("content-security-policy")).toMatch(/default-src 'none'; style-src 'nonce-/);
  expect(text).not.toMatch(/<script|javascript:|\son\w+=/i);
  for (const route of Object.keys(POLICIES).filter(isPublicApi)) {
    expect(text).toContain(`<b>${route.replace(":id", "{id}")}</b>`);
  }
});
