/** The OpenAPI 3.1 document of the API, made of the policy table, the descriptions and the shapes the routes parse with. */
import * as z from "zod";
import { idempotencyKey, IDEMPOTENCY_HEADER } from "../../schema/api.ts";
import { errorBody, type ApiCode } from "../../schema/errors.ts";
import { VERSION } from "../../schema/version.ts";
import { isForPeopleOnly, POLICIES, type Policy } from "../auth/policy.ts";
import { STATUS } from "../problems.ts";
import { DESCRIBED, type Answered, type Described } from "./routes.ts";

export type JsonSchema = Readonly<Record<string, unknown>>;

export interface Operation {
  readonly operationId: string;
  readonly tags: readonly string[];
  readonly summary: string;
  readonly description: string;
  readonly security: readonly Record<string, readonly string[]>[];
  readonly parameters: readonly Parameter[];
  readonly requestBody?: { readonly required: boolean; readonly content: Content };
  readonly responses: Readonly<Record<string, { readonly description: string; readonly content?: Content }>>;
}

export interface Parameter {
  readonly name: string;
  readonly in: "path" | "query" | "header";
  readonly required: boolean;
  readonly schema: JsonSchema;
}

type Content = Readonly<Record<string, { readonly schema: JsonSchema }>>;

export interface OpenApiDocument {
  readonly openapi: "3.1.0";
  readonly info: { readonly title: string; readonly version: string; readonly description: string };
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: {
    readonly schemas: Readonly<Record<string, JsonSchema>>;
    readonly securitySchemes: JsonSchema;
  };
}

const ABOUT =
  "Lists are paged by cursor, newest first. Times are ISO 8601 in UTC, sizes are bytes. Every refused request has one body: " +
  "a sentence, a code, and details. A request with an unknown field is refused. Requests are limited, 100 per minute for all " +
  "API keys of an organization together: each answer says in X-RateLimit-Limit, X-RateLimit-Remaining and X-RateLimit-Reset " +
  "(seconds since 1970) how many there are, how many are left, and when all are there again; a refused one says in " +
  "Retry-After how many seconds to wait. What changes something may be sent again after a lost answer, with the same " +
  "Idempotency-Key where one is taken: it is done once, and answered alike; what was removed is then not found.";

let made: OpenApiDocument | undefined;

/** Made when it is first asked for, and then the same. */
export function openApiDocument(): OpenApiDocument {
  return (made ??= makeDocument());
}

/** Whether a route belongs to the public API: not the agents' own, not sockets, not the pages around signing in. */
export function isPublicApi(route: string): boolean {
  const [, path = ""] = route.split(" ");
  return path.startsWith("/api/") && !path.startsWith("/api/agent/") && path !== "/api/live";
}

function makeDocument(): OpenApiDocument {
  const paths: Record<string, Record<string, Operation>> = {};
  for (const [route, policy] of Object.entries(POLICIES)) {
    const described = DESCRIBED[route];
    if (!isPublicApi(route) || described === undefined) continue;
    const [method = "", path = ""] = route.split(" ");
    const place = path.replace(":id", "{id}");
    paths[place] = { ...paths[place], [method.toLowerCase()]: operationOf(route, policy, described) };
  }
  return {
    openapi: "3.1.0",
    info: { title: "The One Migrate", version: VERSION, description: ABOUT },
    paths,
    components: {
      schemas: { Error: schemaOf(errorBody, "output") },
      securitySchemes: {
        apiKey: { type: "http", scheme: "bearer", bearerFormat: "mig_api1_…" },
        session: { type: "apiKey", in: "cookie", name: "__Host-mig_s" },
      },
    },
  };
}

function operationOf(route: string, policy: Policy, described: Described): Operation {
  const [method = "", path = ""] = route.split(" ");
  const { summary, body, optionalBody, answer } = described;
  return {
    operationId: `${method.toLowerCase()}${path
      .replace("/api", "")
      .replaceAll(/[/.-]+([a-z:])/g, (_all, first: string) => first.toUpperCase())
      .replaceAll(":", "By_")}`.replaceAll(/[^A-Za-z0-9_]/g, ""),
    tags: [path.split("/")[2] ?? ""],
    summary,
    description: audienceOf(route, policy),
    security: securityOf(route, policy),
    parameters: parametersOf(path, described),
    ...(body === undefined
      ? {}
      : { requestBody: { required: optionalBody !== true, content: contentOf(schemaOf(body, "input")) } }),
    responses: { ...answerOf(answer), ...errorsOf(route, policy, described) },
  };
}

function audienceOf(route: string, policy: Policy): string {
  if (policy === "public") return "Open to anybody.";
  const people = isForPeopleOnly(route) ? " For people who are signed in, not for API keys." : "";
  return `Needs the role "${policy}" or a higher one.${people}`;
}

function securityOf(route: string, policy: Policy): Record<string, readonly string[]>[] {
  if (policy === "public") return [];
  return isForPeopleOnly(route) ? [{ session: [] }] : [{ apiKey: [] }, { session: [] }];
}

function parametersOf(path: string, { query, makesOnce }: Described): Parameter[] {
  const parameters: Parameter[] = [];
  if (path.includes(":id"))
    parameters.push({ name: "id", in: "path", required: true, schema: { type: "string" } });
  if (makesOnce === true) {
    const schema = schemaOf(idempotencyKey, "input");
    parameters.push({ name: IDEMPOTENCY_HEADER, in: "header", required: false, schema });
  }
  if (query !== undefined) {
    const { properties = {}, required = [] } = schemaOf(query, "input") as {
      properties?: Record<string, JsonSchema>;
      required?: string[];
    };
    for (const [name, schema] of Object.entries(properties)) {
      parameters.push({ name, in: "query", required: required.includes(name), schema });
    }
  }
  return parameters;
}

function answerOf(answer: Answered): Operation["responses"] {
  switch (answer.kind) {
    case "json":
      return {
        [answer.status]: {
          description: answer.status === 201 ? "Made" : "OK",
          content: contentOf(schemaOf(answer.shape, "output")),
        },
      };
    case "nothing":
      return { 204: { description: "Done" } };
    case "file":
      return { 200: { description: "OK", content: { [answer.type]: { schema: { type: "string" } } } } };
  }
}

/** The codes a route may refuse with, by the status they come with. */
function errorsOf(
  route: string,
  policy: Policy,
  { body, query, errors = [] }: Described,
): Operation["responses"] {
  const codes = new Set<ApiCode>(errors);
  if (body !== undefined || query !== undefined) codes.add("VALIDATION_ERROR");
  if (route.includes(":id")) codes.add("NOT_FOUND");
  if (policy !== "public")
    for (const code of ["UNAUTHORIZED", "FORBIDDEN", "RATE_LIMIT_EXCEEDED"] as const) codes.add(code);
  codes.add("INTERNAL_ERROR");
  const byStatus = new Map<number, ApiCode[]>();
  for (const code of codes) byStatus.set(STATUS[code], [...(byStatus.get(STATUS[code]) ?? []), code]);
  const content = contentOf({ $ref: "#/components/schemas/Error" });
  return Object.fromEntries(
    Array.from(byStatus, ([status, names]) => [status, { description: names.join(", "), content }]),
  );
}

function contentOf(schema: JsonSchema): Content {
  return { "application/json": { schema } };
}

function schemaOf(shape: z.ZodType, io: "input" | "output"): JsonSchema {
  // `any`: what JSON Schema cannot say, such as a time zone that exists, is left to the answer 400.
  const { $schema: _dialect, ...schema } = z.toJSONSchema(shape, { io, unrepresentable: "any" });
  return schema;
}
