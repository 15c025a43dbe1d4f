/**
 * Every route of the public API in words and shapes: what it is for, what it takes, what it answers. The shapes are those
 * the routes parse with; a test sees to it that every route of the policy table stands here.
 */
import * as z from "zod";
import { apiKey, apiKeyCreate, apiKeyMade } from "../../schema/api-keys.ts";
import {
  agent,
  agentListQuery,
  agentUpdate,
  client,
  clientCreate,
  clientListQuery,
  clientUpdate,
  connection,
  connectionCreate,
  containerCreate,
  containerList,
  job,
  jobCreate,
  jobDuplicate,
  jobFailures,
  jobListQuery,
  jobRetry,
  jobUpdate,
  listQuery,
  overview,
  overviewQuery,
  pageOf,
  project,
  projectCreate,
  projectListQuery,
  projectUpdate,
  registrationCode,
  registrationCodeCreate,
  registrationCodeMade,
  registrationCodeUpdate,
  session,
} from "../../schema/api.ts";
import { auditPage, auditQuery } from "../../schema/audit.ts";
import {
  azureAccountQuery,
  azureAccounts,
  azureContainerQuery,
  azureContainers,
  azurePageQuery,
  azureSubscriptions,
  consent,
  consentBegin,
  consentBegun,
  consentFinish,
} from "../../schema/azure.ts";
import type { ApiCode } from "../../schema/errors.ts";
import { health } from "../../schema/health.ts";
import { jobLog, jobLogQuery } from "../../schema/job-log.ts";
import { notifications } from "../../schema/notifications.ts";
import {
  filesQuery,
  jobReportDocument,
  jobsReportDocument,
  manifestDownloadQuery,
  tableQuery,
  usage,
} from "../../schema/reports.ts";
import { executableQuery, releaseQuery, releaseShown } from "../../schema/release.ts";
import { webhook, webhookCreate, webhookMade, webhookTested } from "../../schema/webhooks.ts";
import { memberPage, sessionPage, sessionQuery, sessionsRevoked } from "../../schema/sessions.ts";

export interface Described {
  readonly summary: string;
  readonly query?: z.ZodType;
  readonly body?: z.ZodType;
  /** The body may be left out. */
  readonly optionalBody?: true;
  readonly answer: Answered;
  /** It makes something, and makes it once for each `Idempotency-Key`. */
  readonly makesOnce?: true;
  /** Refusals besides those that every route of its kind may answer with. */
  readonly errors?: readonly ApiCode[];
}

export type Answered =
  | { readonly kind: "json"; readonly status: 200 | 201; readonly shape: z.ZodType }
  | { readonly kind: "nothing" }
  | { readonly kind: "file"; readonly type: string };

const shows = (shape: z.ZodType): Answered => ({ kind: "json", status: 200, shape });
const makes = (shape: z.ZodType): Answered => ({ kind: "json", status: 201, shape });
const NOTHING: Answered = { kind: "nothing" };
const text = (type: string): Answered => ({ kind: "file", type });

const STORAGE_ERRORS = ["STORAGE_DENIED", "STORAGE_UNREACHABLE", "NOT_CONFIGURED"] as const;

export const DESCRIBED: Readonly<Record<string, Described>> = {
  "GET /api/health": { summary: "Whether the control plane is well", answer: shows(health) },
  "GET /api/openapi.json": {
    summary: "This description",
    answer: shows(z.looseObject({ openapi: z.literal("3.1.0") })),
  },
  "GET /api/docs": { summary: "This description, to be read by people", answer: text("text/html") },

  "GET /api/session": { summary: "Who is signed in", answer: shows(session) },
  "DELETE /api/session": { summary: "Sign out", answer: NOTHING },
  "GET /api/sessions": {
    summary: "Sessions: your own, or those of everybody",
    query: sessionQuery,
    answer: shows(sessionPage),
  },
  "POST /api/sessions/revoke-others": {
    summary: "End all your sessions but this one",
    answer: shows(sessionsRevoked),
  },
  "POST /api/sessions/:id/revoke": { summary: "End a session", answer: NOTHING },
  "GET /api/members": {
    summary: "Members of the organization",
    query: listQuery,
    answer: shows(memberPage),
  },
  "GET /api/audit": {
    summary: "The audit log, newest first",
    query: auditQuery,
    answer: shows(auditPage),
  },
  "GET /api/audit/export": {
    summary: "The whole audit log as a file that can be verified",
    answer: text("application/x-ndjson"),
  },
  "GET /api/overview": {
    summary: "Counts of the organization's things",
    query: overviewQuery,
    answer: shows(overview),
  },
  "GET /api/notifications": { summary: "What needs a person now", answer: shows(notifications) },

  "GET /api/clients": { summary: "Clients", query: clientListQuery, answer: shows(pageOf(client)) },
  "POST /api/clients": {
    summary: "Make a client",
    body: clientCreate,
    makesOnce: true,
    answer: makes(client),
  },
  "DELETE /api/clients/:id": {
    summary: "Delete a client without projects",
    answer: NOTHING,
    errors: ["CONFLICT"],
  },
  "GET /api/clients/:id/report.json": {
    summary: "The report of a client's jobs",
    answer: shows(jobsReportDocument),
  },
  "GET /api/clients/:id/report.csv": {
    summary: "The report of a client's jobs, as a table",
    query: tableQuery,
    answer: text("text/csv"),
  },
  "GET /api/clients/:id/usage": { summary: "What a client used", answer: shows(usage) },
  "GET /api/clients/:id": { summary: "A client", answer: shows(client) },
  "PATCH /api/clients/:id": { summary: "Change a client", body: clientUpdate, answer: shows(client) },

  "GET /api/storage-connections": {
    summary: "Storage connections",
    query: listQuery,
    answer: shows(pageOf(connection)),
  },
  "POST /api/storage-connections": {
    summary: "Connect a storage account; what is given is tried first",
    body: connectionCreate,
    makesOnce: true,
    answer: makes(connection),
    errors: STORAGE_ERRORS,
  },
  "GET /api/storage-connections/:id": { summary: "A storage connection", answer: shows(connection) },
  "DELETE /api/storage-connections/:id": {
    summary: "Delete a storage connection that no project uses",
    answer: NOTHING,
    errors: ["CONFLICT"],
  },
  "GET /api/storage-connections/:id/containers": {
    summary: "Containers that a connection opens",
    answer: shows(containerList),
    errors: STORAGE_ERRORS,
  },
  "POST /api/storage-connections/:id/containers": {
    summary: "Make a container; one that is there already is fine",
    body: containerCreate,
    answer: makes(containerList),
    errors: STORAGE_ERRORS,
  },

  "POST /api/azure/consents": {
    summary: "Begin to connect Azure Storage by signing in with Microsoft",
    body: consentBegin,
    answer: makes(consentBegun),
    errors: STORAGE_ERRORS,
  },
  "GET /api/azure/callback": {
    summary: "Where Microsoft sends the browser back to",
    answer: text("text/html"),
  },
  "GET /api/azure/consents/:id": { summary: "A consent that came back", answer: shows(consent) },
  "GET /api/azure/consents/:id/subscriptions": {
    summary: "Subscriptions that a consent sees",
    query: azurePageQuery,
    answer: shows(azureSubscriptions),
    errors: STORAGE_ERRORS,
  },
  "GET /api/azure/consents/:id/accounts": {
    summary: "Storage accounts of a subscription",
    query: azureAccountQuery,
    answer: shows(azureAccounts),
    errors: STORAGE_ERRORS,
  },
  "GET /api/azure/consents/:id/containers": {
    summary: "Containers of a storage account",
    query: azureContainerQuery,
    answer: shows(azureContainers),
    errors: STORAGE_ERRORS,
  },
  "POST /api/azure/consents/:id/connection": {
    summary: "Make a storage connection of a consent",
    body: consentFinish,
    makesOnce: true,
    answer: makes(connection),
    errors: ["CONFLICT", ...STORAGE_ERRORS],
  },

  "GET /api/projects": { summary: "Projects", query: projectListQuery, answer: shows(pageOf(project)) },
  "POST /api/projects": {
    summary: "Make a project",
    body: projectCreate,
    makesOnce: true,
    answer: makes(project),
  },
  "POST /api/projects/:id/cancel": {
    summary: "Cancel a project, with its jobs",
    answer: shows(project),
    errors: ["CONFLICT"],
  },
  "POST /api/projects/:id/reopen": {
    summary: "Reopen a cancelled project",
    answer: shows(project),
    errors: ["CONFLICT"],
  },
  "DELETE /api/projects/:id": {
    summary: "Delete a project without jobs",
    answer: NOTHING,
    errors: ["CONFLICT"],
  },
  "GET /api/projects/:id/report.json": {
    summary: "The report of a project's jobs",
    answer: shows(jobsReportDocument),
  },
  "GET /api/projects/:id/report.csv": {
    summary: "The report of a project's jobs, as a table",
    query: tableQuery,
    answer: text("text/csv"),
  },
  "GET /api/projects/:id/usage": { summary: "What a project used", answer: shows(usage) },
  "GET /api/projects/:id": { summary: "A project", answer: shows(project) },
  "PATCH /api/projects/:id": {
    summary: "Change a project; a changed schedule holds at once for its jobs",
    body: projectUpdate,
    answer: shows(project),
  },

  "GET /api/registration-codes": {
    summary: "Registration codes, without the codes themselves",
    query: listQuery,
    answer: shows(pageOf(registrationCode)),
  },
  "POST /api/registration-codes": {
    summary: "Make a registration code; this answer alone holds it",
    body: registrationCodeCreate,
    makesOnce: true,
    answer: makes(registrationCodeMade),
    errors: ["NOT_CONFIGURED"],
  },
  "GET /api/registration-codes/:id": { summary: "A registration code", answer: shows(registrationCode) },
  "PATCH /api/registration-codes/:id": {
    summary: "Change the label of a registration code",
    body: registrationCodeUpdate,
    answer: shows(registrationCode),
  },
  "POST /api/registration-codes/:id/revoke": {
    summary: "Revoke a registration code that was not used",
    answer: shows(registrationCode),
    errors: ["CONFLICT"],
  },

  "GET /api/api-keys": {
    summary: "API keys, without the keys themselves",
    query: listQuery,
    answer: shows(pageOf(apiKey)),
  },
  "POST /api/api-keys": {
    summary: "Make an API key; this answer alone holds it",
    body: apiKeyCreate,
    makesOnce: true,
    answer: makes(apiKeyMade),
  },
  "GET /api/api-keys/:id": { summary: "An API key", answer: shows(apiKey) },
  "POST /api/api-keys/:id/revoke": {
    summary: "Revoke an API key, at once and for good",
    answer: shows(apiKey),
  },

  "GET /api/webhooks": {
    summary: "Webhooks, without their secrets",
    query: listQuery,
    answer: shows(pageOf(webhook)),
  },
  "POST /api/webhooks": {
    summary:
      "Have an address told of events; this answer alone holds the secret that deliveries are signed with",
    body: webhookCreate,
    answer: makes(webhookMade),
    errors: ["CONFLICT"],
  },
  "DELETE /api/webhooks/:id": { summary: "Delete a webhook", answer: NOTHING },
  "POST /api/webhooks/:id/enable": {
    summary: "Enable a webhook that was disabled because its deliveries failed",
    answer: shows(webhook),
  },
  "POST /api/webhooks/:id/test": {
    summary: "Send a delivery that tells of nothing",
    answer: shows(webhookTested),
  },

  "GET /api/agents": { summary: "Agents", query: agentListQuery, answer: shows(pageOf(agent)) },
  "DELETE /api/agents/:id": {
    summary: "Delete a revoked agent",
    answer: NOTHING,
    errors: ["CONFLICT"],
  },
  "GET /api/agents/:id": { summary: "An agent", answer: shows(agent) },
  "PATCH /api/agents/:id": { summary: "Change an agent", body: agentUpdate, answer: shows(agent) },
  "POST /api/agents/:id/revoke": {
    summary: "Revoke an agent, at once and for good",
    answer: shows(agent),
  },
  "POST /api/agents/:id/unlock": {
    summary:
      "Unlock an agent whose identity was used from two places; the one that connects next is the agent",
    answer: shows(agent),
    errors: ["CONFLICT"],
  },
  "POST /api/agents/:id/approve": {
    summary: "Approve an agent that waits",
    answer: shows(agent),
    errors: ["CONFLICT"],
  },
  "POST /api/agents/:id/refuse": {
    summary: "Refuse an agent that waits for approval",
    answer: shows(agent),
    errors: ["CONFLICT"],
  },

  "GET /api/jobs": { summary: "Jobs", query: jobListQuery, answer: shows(pageOf(job)) },
  "POST /api/jobs": {
    summary: "Make a job and start it",
    body: jobCreate,
    makesOnce: true,
    answer: makes(job),
    errors: ["CONFLICT", "NO_AZURE_CONNECTION"],
  },
  "GET /api/jobs/:id": { summary: "A job", answer: shows(job) },
  "PATCH /api/jobs/:id": {
    summary: "Change a job",
    body: jobUpdate,
    answer: shows(job),
    errors: ["CONFLICT"],
  },
  "POST /api/jobs/:id/pause": { summary: "Pause a job", answer: shows(job), errors: ["CONFLICT"] },
  "POST /api/jobs/:id/resume": { summary: "Resume a job", answer: shows(job), errors: ["CONFLICT"] },
  "POST /api/jobs/:id/cancel": { summary: "Cancel a job", answer: shows(job), errors: ["CONFLICT"] },
  "POST /api/jobs/:id/finish": {
    summary: "Let a job that repeats itself end with its pass",
    answer: shows(job),
    errors: ["CONFLICT"],
  },
  "POST /api/jobs/:id/retry": {
    summary: "Begin a new run of a job that is over",
    body: jobRetry,
    optionalBody: true,
    makesOnce: true,
    answer: shows(job),
    errors: ["CONFLICT"],
  },
  "POST /api/jobs/:id/duplicate": {
    summary: "Make a job like another one",
    body: jobDuplicate,
    optionalBody: true,
    makesOnce: true,
    answer: makes(job),
    errors: ["CONFLICT", "NO_AZURE_CONNECTION"],
  },
  "GET /api/release": {
    summary: "The newest release of the agent, with its executables",
    query: releaseQuery,
    answer: shows(releaseShown),
  },
  "GET /api/release/executable": {
    summary: "An executable of the agent, by the path it has in the release",
    query: executableQuery,
    answer: text("application/octet-stream"),
  },
  "GET /api/jobs/:id/report.json": {
    summary: "The report of a job's newest run",
    answer: shows(jobReportDocument),
    errors: ["CONFLICT"],
  },
  "GET /api/jobs/:id/report.csv": {
    summary: "The report of a job's newest run, as a table",
    query: tableQuery,
    answer: text("text/csv"),
    errors: ["CONFLICT"],
  },
  "GET /api/jobs/:id/manifest": {
    summary: "The list of every file of a run, as packed lines of JSON",
    query: manifestDownloadQuery,
    answer: text("application/gzip"),
    errors: ["CONFLICT", "NOT_CONFIGURED"],
  },
  "GET /api/jobs/:id/files.csv": {
    summary: "The list of every file of a run, as a table",
    query: filesQuery,
    answer: text("text/csv"),
    errors: ["CONFLICT", "NOT_CONFIGURED"],
  },
  "GET /api/jobs/:id/failures": {
    summary: "Files that were not moved, in the agent's order",
    query: listQuery,
    answer: shows(jobFailures),
  },
  "GET /api/jobs/:id/log": {
    summary: "What happened to a job and who did it, newest first",
    query: jobLogQuery,
    answer: shows(jobLog),
  },
};
