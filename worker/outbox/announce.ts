/**
 * A happening becomes what each of those who want to know is told: an event for the Bus, one for every webhook that asked for
 * it, a mail for the creator of a job that ended. What is said is settled here, once: every later try says the same words.
 */
import { and, asc, eq, gt, isNull, sql } from "drizzle-orm";
import { EVERYBODY, type Happening, type ReportedEnd } from "../../durable-objects/happenings.ts";
import type { ScopedDb, Write } from "../../schema/scoped-db.ts";
import {
  agents,
  clients,
  jobs,
  organizations,
  outbox,
  projects,
  storageConnections,
  users,
  webhooks,
} from "../../schema/tables.ts";
import { WEBHOOKS_MAX } from "../../schema/webhooks.ts";
import type { BusEvent } from "./bus.ts";
import { writeEntry, type DueEntry, type NewEntry } from "./entries.ts";
import { jobEndedMail, plain } from "./mail-texts.ts";
import type { OutboxSettings } from "./settings.ts";
import { webhookBody, webhookData } from "./webhook.ts";

/** Of one connection, at once; each is told to the Bus and to every webhook. */
const PROJECTS_AT_ONCE = 20;

export function isHappening(entry: Pick<DueEntry, "kind" | "target">): boolean {
  return entry.kind === "bus" && entry.target === EVERYBODY;
}

/**
 * The writes that turn a happening into what is told, to be carried out with the one that says it is done. `next` is what
 * is left of it, to be taken up again.
 */
export async function announce(
  db: ScopedDb,
  settings: OutboxSettings,
  entry: DueEntry,
  nowMs: number,
): Promise<{ writes: Write[]; next: Happening | null }> {
  const happening = entry.payload as Happening;
  const { told, next } = await describe(db, settings, happening);
  const listeners = await listWebhooks(db, happening.type);
  const entries = told.flatMap(({ event, about, mail }): NewEntry[] => {
    const key = about === null ? entry.key : `${entry.key}/${about}`;
    // The same for all who are told, so that they can tell it from another one.
    const whole = { ...event, metadata: { event_id: key, ...event.metadata } };
    const body = webhookBody(happening.type, happening.atMs, webhookData(whole));
    return [
      // The happening has the key itself.
      ...(settings.bus === null
        ? []
        : [{ kind: "bus" as const, key: `bus/${key}`, target: null, payload: whole }]),
      ...listeners.map((id) => ({
        kind: "webhook" as const,
        key: `${id}/${key}`,
        target: id,
        payload: { body },
      })),
      ...(mail === null ? [] : [{ kind: "mail" as const, key, target: mail.userId, payload: mail.mail }]),
    ];
  });
  return { writes: entries.map((one) => writeEntry(db, one, nowMs)), next };
}

async function listWebhooks(db: ScopedDb, type: Happening["type"]): Promise<string[]> {
  const wants = sql`exists (select 1 from json_each(${webhooks.events}) e where e.value = ${type})`;
  const where = and(isNull(webhooks.disabledAt), wants);
  const rows = await db.select({ id: webhooks.id }, webhooks, {
    where,
    orderBy: asc(webhooks.id),
    limit: WEBHOOKS_MAX,
  });
  return rows.map(({ id }) => id);
}

interface Told {
  readonly event: BusEvent;
  /** Where one happening is about several things: which one this is. */
  readonly about: string | null;
  readonly mail: { readonly userId: string; readonly mail: NewEntryMail } | null;
}
type NewEntryMail = Extract<NewEntry, { kind: "mail" }>["payload"];

async function describe(
  db: ScopedDb,
  settings: OutboxSettings,
  happening: Happening,
): Promise<{ told: Told[]; next: Happening | null }> {
  switch (happening.type) {
    case "agent.online":
    case "agent.offline":
      return { told: await describeAgent(db, settings, happening), next: null };
    case "job.started":
    case "job.completed":
    case "job.failed":
    case "job.cancelled":
    case "project.completed":
      return { told: await describeJob(db, settings, happening), next: null };
    case "project.auth_required":
      return await describeProjects(db, settings, happening);
  }
}

const ORGANIZATION = { table: organizations, on: sql`1` } as const;
const TENANT = { tenantId: sql<string>`${organizations.hubTenantId}` };

type OfAgent = Extract<Happening, { readonly agentId: string }>;
type OfJob = Extract<Happening, { readonly jobId: string }>;
type JobEnd = Extract<Happening, { readonly end: ReportedEnd }>;
type OfConnection = Extract<Happening, { readonly connectionId: string }>;

async function describeAgent(
  db: ScopedDb,
  { appUrl }: OutboxSettings,
  { type, agentId, atMs }: OfAgent,
): Promise<Told[]> {
  const fields = {
    ...TENANT,
    name: agents.name,
    host: agents.host,
    clientId: agents.clientId,
    clientName: sql<string | null>`${clients.name}`,
  };
  const row = await db.first(fields, agents, {
    join: [ORGANIZATION, { table: clients, on: eq(clients.id, agents.clientId), kind: "left" }],
    where: eq(agents.id, agentId),
  });
  // It was deleted meanwhile: there is nothing left to be told of.
  if (row === null) return [];
  const isOnline = type === "agent.online";
  const event: BusEvent = {
    source: "migrate",
    type,
    tenant_id: row.tenantId,
    severity: isOnline ? "info" : "warning",
    title: `Agent "${plain(row.name)}" is ${isOnline ? "online" : "offline"}`,
    detail: isOnline
      ? `The agent on ${plain(row.host)} is connected.`
      : `The agent on ${plain(row.host)} has not been heard of since ${iso(atMs)}; its jobs go on when it is back.`,
    entity_id: agentId,
    entity_url: `${appUrl}/agents/${agentId}`,
    actor_id: null,
    client_id: row.clientId,
    client_name: row.clientName,
    metadata: { at: iso(atMs), agent_name: row.name, host: row.host },
  };
  return [{ event, about: null, mail: null }];
}

const JOB_FIELDS = {
  ...TENANT,
  name: jobs.name,
  projectId: jobs.projectId,
  projectName: sql<string>`${projects.name}`,
  clientId: sql<string>`${clients.id}`,
  clientName: sql<string>`${clients.name}`,
  agentId: jobs.agentId,
  agentName: sql<string>`${agents.name}`,
  createdBy: jobs.createdBy,
  personName: sql<string>`${users.name}`,
  email: sql<string>`${users.email}`,
};
const JOB_JOIN = [
  ORGANIZATION,
  { table: projects, on: eq(projects.id, jobs.projectId) },
  { table: clients, on: eq(clients.id, projects.clientId) },
  { table: agents, on: eq(agents.id, jobs.agentId) },
  { table: users, on: eq(users.id, jobs.createdBy) },
] as const;

async function describeJob(db: ScopedDb, settings: OutboxSettings, happening: OfJob): Promise<Told[]> {
  const { jobId, epoch, atMs } = happening;
  const row = await db.first(JOB_FIELDS, jobs, { join: JOB_JOIN, where: eq(jobs.id, jobId) });
  if (row === null) return [];
  const isProject = happening.type === "project.completed";
  const path = isProject ? `projects/${row.projectId}` : `jobs/${jobId}`;
  const event: BusEvent = {
    source: "migrate",
    type: happening.type,
    tenant_id: row.tenantId,
    ...wordsOfJob(happening, plain(row.name), plain(row.projectName)),
    entity_id: isProject ? row.projectId : jobId,
    entity_url: `${settings.appUrl}/${path}`,
    actor_id: happening.type === "job.cancelled" ? happening.actorId : row.createdBy,
    client_id: row.clientId,
    client_name: row.clientName,
    metadata: {
      at: iso(atMs),
      project_id: row.projectId,
      project_name: row.projectName,
      ...(isProject ? {} : { job_name: row.name, run: epoch, agent_id: row.agentId }),
      ...("end" in happening ? numbersOf(happening.end) : {}),
    },
  };
  const mail = "end" in happening ? await mailOf(settings, happening, row) : null;
  return [{ event, about: null, mail }];
}

function wordsOfJob(
  happening: OfJob,
  job: string,
  project: string,
): Pick<BusEvent, "severity" | "title" | "detail"> {
  switch (happening.type) {
    case "job.started":
      return {
        severity: "info",
        title: `Job "${job}" has started`,
        detail: `Its agent looks through the source.`,
      };
    case "job.completed": {
      const { filesCompleted, filesFailed, filesSkipped, bytesSent } = happening.end.totals;
      return {
        severity: filesFailed > 0 ? "warning" : "success",
        title: `Job "${job}" has completed`,
        detail: `${filesCompleted} files moved, ${filesFailed} failed, ${filesSkipped} skipped; ${bytesSent} bytes sent.`,
      };
    }
    case "job.failed": {
      const { error, totals } = happening.end;
      return {
        severity: "error",
        title: `Job "${job}" has failed`,
        detail: `${error === null ? "The agent gave no reason" : plain(error.message)}. ${totals.filesCompleted} files were moved before.`,
      };
    }
    case "job.cancelled":
      return {
        severity: "info",
        title: `Job "${job}" was cancelled`,
        detail: "What was uploaded stays; the job can be retried.",
      };
    case "project.completed":
      return {
        severity: "success",
        title: `Project "${project}" is complete`,
        detail: "All of its jobs have completed.",
      };
  }
}

function numbersOf({ totals, activeMs, verification, error }: ReportedEnd) {
  return {
    files_total: totals.filesTotal,
    files_completed: totals.filesCompleted,
    files_failed: totals.filesFailed,
    files_skipped: totals.filesSkipped,
    bytes_transferred: totals.bytesSent,
    active_seconds: Math.round(activeMs / 1_000),
    verification,
    error_code: error?.code ?? null,
  };
}

async function mailOf(
  { mail, appUrl }: OutboxSettings,
  happening: JobEnd,
  row: {
    readonly name: string;
    readonly projectName: string;
    readonly clientName: string;
    readonly agentName: string;
    readonly createdBy: string;
    readonly personName: string;
    readonly email: string;
  },
): Promise<Told["mail"]> {
  if (mail.kind === "off" || !row.email.includes("@")) return null;
  const text = await jobEndedMail({
    to: row.email,
    personName: row.personName,
    jobName: row.name,
    projectName: row.projectName,
    clientName: row.clientName,
    agentName: row.agentName,
    outcome: happening.type === "job.completed" ? "completed" : "failed",
    end: happening.end,
    url: `${appUrl}/jobs/${happening.jobId}`,
  });
  return { userId: row.createdBy, mail: text };
}

/** A page of the projects that use the connection, in the order of their ids. */
async function describeProjects(
  db: ScopedDb,
  { appUrl }: OutboxSettings,
  happening: OfConnection,
): Promise<{ told: Told[]; next: Happening | null }> {
  const { connectionId, atMs, after } = happening;
  const fields = {
    ...TENANT,
    id: projects.id,
    name: projects.name,
    clientId: sql<string>`${clients.id}`,
    clientName: sql<string>`${clients.name}`,
    connectionName: sql<string>`${storageConnections.name}`,
    account: sql<string>`${storageConnections.account}`,
  };
  const rows = await db.select(fields, projects, {
    join: [
      ORGANIZATION,
      { table: clients, on: eq(clients.id, projects.clientId) },
      { table: storageConnections, on: eq(storageConnections.id, projects.connectionId) },
    ],
    where: and(
      eq(projects.connectionId, connectionId),
      isNull(projects.cancelledAt),
      after === undefined ? undefined : gt(projects.id, after),
    ),
    orderBy: asc(projects.id),
    limit: PROJECTS_AT_ONCE + 1,
  });
  const shown = rows.slice(0, PROJECTS_AT_ONCE);
  const told = shown.map((row): Told => {
    const event: BusEvent = {
      source: "migrate",
      type: "project.auth_required",
      tenant_id: row.tenantId,
      severity: "error",
      title: `Project "${plain(row.name)}" needs its Azure connection renewed`,
      detail: `Azure credentials of "${plain(row.connectionName)}" expired; re-authenticate via dashboard.`,
      entity_id: row.id,
      entity_url: `${appUrl}/projects/${row.id}`,
      actor_id: null,
      client_id: row.clientId,
      client_name: row.clientName,
      metadata: {
        at: iso(atMs),
        project_name: row.name,
        connection_id: connectionId,
        storage_account: row.account,
      },
    };
    return { event, about: row.id, mail: null };
  });
  const last = shown.at(-1);
  const isMore = rows.length > PROJECTS_AT_ONCE && last !== undefined;
  return { told, next: isMore ? { ...happening, after: last.id } : null };
}

/** What says that a happening was told of, or what is left of it. */
export function settled(db: ScopedDb, id: string, next: Happening | null, nowMs: number): Write {
  const set =
    next === null ? { dueAt: null, sentAt: nowMs, lastError: null } : { payload: next, dueAt: nowMs };
  return db.update(outbox, set, and(eq(outbox.id, id), isNull(outbox.sentAt)));
}

function iso(atMs: number): string {
  return new Date(atMs).toISOString();
}
