/**
 * The only place that calls `fetch`. One function per route; answers are typed by `schema/api.ts` and trusted, since
 * they come from our own origin. Whatever is refused becomes an {@link ApiError} with a sentence to show. The routes of the
 * settings stand in `settings-api.ts`, which the first view does not need.
 */
import type {
  Agent,
  AgentUpdate,
  Client,
  ClientCreate,
  ClientUpdate,
  Connection,
  ConnectionCreate,
  ContainerList,
  Job,
  JobCreate,
  JobDuplicate,
  JobRetried,
  JobUpdate,
  Overview,
  Page,
  Project,
  ProjectCreate,
  ProjectUpdate,
  RegistrationCode,
  RegistrationCodeCreate,
  RegistrationCodeMade,
  Session,
  Sort,
} from "../schema/api.ts";
import type { ErrorBody } from "../schema/errors.ts";
import type { FileFailure } from "../schema/job.ts";
import type { JobLog } from "../schema/job-log.ts";
import type { ReleaseShown } from "../schema/release.ts";
import type { Usage } from "../schema/reports.ts";
import { IDEMPOTENCY_HEADER } from "./contract.ts";
import { api as texts } from "./texts/frame.ts";

/** A request that gets no answer for this long is given up; the person may try again. */
const ANSWER_MS_MAX = 30_000;

export interface ListQuery {
  readonly cursor?: string;
  readonly limit?: number;
}
/** Of lists that are searched and sorted by the server. */
export interface SortedQuery extends ListQuery {
  readonly search?: string;
  readonly sort?: Sort;
  readonly order?: "ascending" | "descending";
  readonly status?: string;
}
export interface ProjectQuery extends SortedQuery {
  readonly clientId?: string;
}
export interface JobQuery extends SortedQuery {
  readonly projectId?: string;
  readonly agentId?: string;
  readonly state?: "active" | "final";
}
export type JobAction = "pause" | "resume" | "cancel" | "finish" | "retry";
export type FieldErrors = Readonly<Record<string, string>>;

export class ApiError extends Error {
  /** A code of `schema/errors.ts`, or `NETWORK` when no answer came. */
  readonly code: string;
  /** 0 when no answer came. */
  readonly status: number;
  /** Messages by dotted path of the field, where the server found fault with some. */
  readonly fields: FieldErrors;

  constructor(
    told: { code: string; status: number; message: string; fields?: FieldErrors },
    options?: ErrorOptions,
  ) {
    super(told.message, options);
    this.name = "ApiError";
    this.code = told.code;
    this.status = told.status;
    this.fields = told.fields ?? {};
  }
}

export type Api = ReturnType<typeof createApi>;
export type Fetch = (path: string, init: RequestInit) => Promise<Response>;

/** `onSignedOut` is called whenever an answer says that the session is over. */
export function createApi(fetch: Fetch, onSignedOut: () => void) {
  async function ask<Answer>(method: string, path: string, init: RequestInit): Promise<Answer> {
    const response = await answerTo(method, path, init);
    return (response.status === 204 ? undefined : await response.json()) as Answer;
  }

  async function answerTo(method: string, path: string, init: RequestInit): Promise<Response> {
    let response: Response;
    try {
      const signals = [AbortSignal.timeout(ANSWER_MS_MAX), ...(init.signal ? [init.signal] : [])];
      response = await fetch(path, {
        ...init,
        method,
        credentials: "same-origin",
        signal: AbortSignal.any(signals),
      });
    } catch (cause) {
      // The caller's own abort is not a failure to report.
      if (init.signal?.aborted === true) throw cause;
      throw new ApiError(
        {
          code: "NETWORK",
          status: 0,
          message: texts.serverCannotReachedCheck,
        },
        { cause },
      );
    }
    if (!response.ok) {
      if (response.status === 401) onSignedOut();
      throw await readError(response);
    }
    return response;
  }

  const read = <Answer>(path: string, signal: AbortSignal) => ask<Answer>("GET", path, { signal });
  // Writes are never aborted by leaving the page: what a person asked for is carried out.
  const write = <Answer>(method: "POST" | "PATCH" | "DELETE", path: string, body?: unknown) =>
    ask<Answer>(method, path, withBody({}, body));
  const make = <Answer>(path: string, body: unknown, key: string) =>
    ask<Answer>("POST", path, withBody({ [IDEMPOTENCY_HEADER]: key }, body));

  return {
    requests: { read, write, make },
    session: {
      get: (signal: AbortSignal) => read<Session>("/api/session", signal),
      signOut: () => write<void>("DELETE", "/api/session"),
    },
    overview: (query: { readonly today?: string }, signal: AbortSignal) =>
      read<Overview>(withQuery("/api/overview", query), signal),
    clients: {
      list: (query: SortedQuery, signal: AbortSignal) =>
        read<Page<Client>>(withQuery("/api/clients", query), signal),
      get: (id: string, signal: AbortSignal) =>
        read<Client>(`/api/clients/${encodeURIComponent(id)}`, signal),
      create: (body: ClientCreate, key: string) => make<Client>("/api/clients", body, key),
      update: (id: string, body: ClientUpdate) => write<Client>("PATCH", `/api/clients/${id}`, body),
      usage: (id: string, signal: AbortSignal) =>
        read<Usage>(`/api/clients/${encodeURIComponent(id)}/usage`, signal),
      remove: (id: string) => write<void>("DELETE", `/api/clients/${id}`),
    },
    release: (signal: AbortSignal) => read<ReleaseShown>("/api/release", signal),
    connections: {
      list: (query: ListQuery, signal: AbortSignal) =>
        read<Page<Connection>>(withQuery("/api/storage-connections", query), signal),
      create: (body: ConnectionCreate, key: string) =>
        make<Connection>("/api/storage-connections", body, key),
      remove: (id: string) => write<void>("DELETE", `/api/storage-connections/${id}`),
      containers: (id: string, signal: AbortSignal) =>
        read<ContainerList>(`/api/storage-connections/${id}/containers`, signal),
      createContainer: (id: string, name: string, key: string) =>
        make<unknown>(`/api/storage-connections/${id}/containers`, { name }, key),
    },
    projects: {
      list: (query: ProjectQuery, signal: AbortSignal) =>
        read<Page<Project>>(withQuery("/api/projects", query), signal),
      get: (id: string, signal: AbortSignal) =>
        read<Project>(`/api/projects/${encodeURIComponent(id)}`, signal),
      create: (body: ProjectCreate, key: string) => make<Project>("/api/projects", body, key),
      update: (id: string, body: ProjectUpdate) => write<Project>("PATCH", `/api/projects/${id}`, body),
      usage: (id: string, signal: AbortSignal) =>
        read<Usage>(`/api/projects/${encodeURIComponent(id)}/usage`, signal),
      cancel: (id: string) => write<Project>("POST", `/api/projects/${id}/cancel`),
      reopen: (id: string) => write<Project>("POST", `/api/projects/${id}/reopen`),
      remove: (id: string) => write<void>("DELETE", `/api/projects/${id}`),
    },
    registrationCodes: {
      list: (query: ListQuery, signal: AbortSignal) =>
        read<Page<RegistrationCode>>(withQuery("/api/registration-codes", query), signal),
      create: (body: RegistrationCodeCreate, key: string) =>
        make<RegistrationCodeMade>("/api/registration-codes", body, key),
      revoke: (id: string) => write<RegistrationCode>("POST", `/api/registration-codes/${id}/revoke`),
    },
    agents: {
      list: (query: SortedQuery, signal: AbortSignal) =>
        read<Page<Agent>>(withQuery("/api/agents", query), signal),
      get: (id: string, signal: AbortSignal) => read<Agent>(`/api/agents/${encodeURIComponent(id)}`, signal),
      update: (id: string, body: AgentUpdate) => write<Agent>("PATCH", `/api/agents/${id}`, body),
      revoke: (id: string) => write<Agent>("POST", `/api/agents/${id}/revoke`),
      unlock: (id: string) => write<Agent>("POST", `/api/agents/${id}/unlock`),
    },
    jobs: {
      list: (query: JobQuery, signal: AbortSignal) => read<Page<Job>>(withQuery("/api/jobs", query), signal),
      get: (id: string, signal: AbortSignal) => read<Job>(`/api/jobs/${encodeURIComponent(id)}`, signal),
      create: (body: JobCreate, key: string) => make<Job>("/api/jobs", body, key),
      update: (id: string, body: JobUpdate) => write<Job>("PATCH", `/api/jobs/${id}`, body),
      act: (id: string, action: JobAction) => write<Job>("POST", `/api/jobs/${id}/${action}`),
      retryFailed: (id: string) => write<JobRetried>("POST", `/api/jobs/${id}/retry`, { only: "failed" }),
      duplicate: (id: string, body: JobDuplicate, key: string) =>
        make<Job>(`/api/jobs/${id}/duplicate`, body, key),
      failures: (id: string, query: ListQuery, signal: AbortSignal) =>
        read<Page<FileFailure>>(withQuery(`/api/jobs/${encodeURIComponent(id)}/failures`, query), signal),
      log: (id: string, query: ListQuery, signal: AbortSignal) =>
        read<JobLog>(withQuery(`/api/jobs/${encodeURIComponent(id)}/log`, query), signal),
      /** To the byte, so that a digest of it can be printed and found again in the file. */
      reportText: async (id: string, signal: AbortSignal) =>
        await (await answerTo("GET", `/api/jobs/${encodeURIComponent(id)}/report.json`, { signal })).text(),
    },
  };
}

/** The sentence a person is shown for whatever was thrown. */
export function sentenceOf(error: unknown): string {
  return error instanceof ApiError ? error.message : texts.somethingWentWrongPage;
}

function withBody(headers: Record<string, string>, body: unknown): RequestInit {
  if (body === undefined) return { headers };
  return { headers: { ...headers, "Content-Type": "application/json" }, body: JSON.stringify(body) };
}

export function withQuery(path: string, query: object): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) parameters.set(name, String(value));
  }
  const text = parameters.toString();
  return text === "" ? path : `${path}?${text}`;
}

async function readError(response: Response): Promise<ApiError> {
  const body = await readErrorBody(response);
  return new ApiError({
    code: body?.code ?? "INTERNAL_ERROR",
    status: response.status,
    message: body?.error ?? texts.serverDidNotAnswer,
    fields: readFields(body?.details?.["fields"]),
  });
}

/** Something in between (a proxy, say) may answer with a page instead of our error body. */
async function readErrorBody(response: Response): Promise<ErrorBody | null> {
  try {
    const body: unknown = await response.json();
    return typeof body === "object" && body !== null && "code" in body ? (body as ErrorBody) : null;
  } catch {
    return null;
  }
}

function readFields(fields: unknown): FieldErrors {
  if (typeof fields !== "object" || fields === null) return {};
  return Object.fromEntries(Object.entries(fields).map(([path, message]) => [path, String(message)]));
}
