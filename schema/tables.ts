/**
 * The tables of D1. Imported only by `worker/` and `durable-objects/` (the tidy test sees to it).
 *
 * Every row belongs to an organization: the key of each table begins with `org_id`, and a reference to a parent is the
 * pair `(org_id, parent_id)`, so that a row that points into another organization cannot be stored at all.
 * Times are milliseconds since 1970 in UTC; instead of a boolean that may change there is a moment that may be null.
 */
import {
  foreignKey,
  index,
  integer,
  primaryKey,
  sqliteTable,
  text,
  uniqueIndex,
} from "drizzle-orm/sqlite-core";
import { sql } from "drizzle-orm";
import type { BandwidthSchedule, JobConfig, JobError, JobPreview, JobReport } from "./job.ts";

export const organizations = sqliteTable(
  "organizations",
  {
    orgId: text("org_id").primaryKey(),
    issuer: text("issuer").notNull(),
    hubTenantId: text("hub_tenant_id").notNull(),
    slug: text("slug"),
    name: text("name").notNull(),
    createdAt: integer("created_at").notNull(),
  },
  (table) => [uniqueIndex("organizations_hub").on(table.issuer, table.hubTenantId)],
);

export const users = sqliteTable(
  "users",
  {
    orgId: text("org_id")
      .notNull()
      .references(() => organizations.orgId),
    id: text("id").notNull(),
    issuer: text("issuer").notNull(),
    hubUserId: text("hub_user_id").notNull(),
    name: text("name").notNull(),
    email: text("email").notNull(),
    role: text("role", { enum: ["owner", "admin", "member", "viewer"] }).notNull(),
    createdAt: integer("created_at").notNull(),
    updatedAt: integer("updated_at").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.orgId, table.id] }),
    uniqueIndex("users_hub").on(table.orgId, table.issuer, table.hubUserId),
  ],
);

/** A browser's session. Only the SHA-256 of the cookie is kept. */
export const sessions = sqliteTable(
  "sessions",
  {
    orgId: text("org_id").notNull(),
    id: text("id").notNull(),
    userId: text("user_id").notNull(),
    tokenHash: text("token_hash").notNull(),
    /** Where it was begun, as its user is shown it. */
    address: text("address"),
    userAgent: text("user_agent"),
    createdAt: integer("created_at").notNull(),
    lastSeenAt: integer("last_seen_at").notNull(),
    expiresAt: integer("expires_at").notNull(),
    revokedAt: integer("revoked_at"),
  },
  (table) => [
    primaryKey({ columns: [table.orgId, table.id] }),
    uniqueIndex("sessions_token").on(table.tokenHash),
    index("sessions_user").on(table.orgId, table.userId, table.id),
    foreignKey({ columns: [table.orgId, table.userId], foreignColumns: [users.orgId, users.id] }),
  ],
);

/** Sign-in tokens that were used, by the hash of their `jti`; before there is an organization to belong to. */
export const usedTokens = sqliteTable(
  "used_tokens",
  {
    jtiHash: text("jti_hash").primaryKey(),
    expiresAt: integer("expires_at").notNull(),
  },
  (table) => [index("used_tokens_expiry").on(table.expiresAt)],
);

/** Refused sign-ins with their reason, which the person is never told; likewise outside of any organization. */
export const signInRefusals = sqliteTable("sign_in_refusals", {
  id: text("id").primaryKey(),
  at: integer("at").notNull(),
  reason: text("reason").notNull(),
  jtiHash: text("jti_hash"),
  address: text("address"),
});

export const clients = sqliteTable(
  "clients",
  {
    orgId: text("org_id")
      .notNull()
      .references(() => organizations.orgId),
    id: text("id").notNull(),
    name: text("name").notNull(),
    /** What lists are searched and sorted by. Computed, so that whoever writes the name writes it too. */
    nameKey: text("name_key").generatedAlwaysAs(sql`lower("name")`, { mode: "virtual" }),
    contactName: text("contact_name"),
    contactEmail: text("contact_email"),
    psaCompanyId: text("psa_company_id"),
    status: text("status", { enum: ["active", "archived"] }).notNull(),
    createdBy: text("created_by").notNull(),
    createdAt: integer("created_at").notNull(),
    updatedAt: integer("updated_at").notNull(),
    idempotencyKey: text("idempotency_key"),
  },
  (table) => [
    primaryKey({ columns: [table.orgId, table.id] }),
    uniqueIndex("clients_idempotency").on(table.orgId, table.idempotencyKey),
    index("clients_created").on(table.orgId, table.id, table.status, table.nameKey),
    index("clients_name").on(table.orgId, table.nameKey, table.id, table.status),
    index("clients_activity").on(table.orgId, table.updatedAt, table.id, table.status, table.nameKey),
    index("clients_status").on(table.orgId, table.status, table.id, table.nameKey),
    foreignKey({ columns: [table.orgId, table.createdBy], foreignColumns: [users.orgId, users.id] }),
  ],
);

/** `sealedSecret` is AES-GCM, bound to this row (`worker/secrets.ts`). */
export const storageConnections = sqliteTable(
  "storage_connections",
  {
    orgId: text("org_id")
      .notNull()
      .references(() => organizations.orgId),
    id: text("id").notNull(),
    name: text("name").notNull(),
    kind: text("kind", { enum: ["connection_string", "container_sas", "oauth"] }).notNull(),
    account: text("account").notNull(),
    blobEndpoint: text("blob_endpoint").notNull(),
    container: text("container"),
    /** Of an OAuth connection the refresh token. */
    sealedSecret: text("sealed_secret").notNull(),
    expiresAt: integer("expires_at"),
    /** Of an OAuth connection: the Microsoft Entra tenant, who consented, and whether the account has a hierarchical namespace. */
    tenantId: text("tenant_id"),
    principal: text("principal"),
    hierarchical: integer("hierarchical", { mode: "boolean" }),
    /** Since when the consent is refused; null while it is good. */
    refusedAt: integer("refused_at"),
    /** When the refresh token was used last: it dies after 90 idle days. */
    refreshedAt: integer("refreshed_at"),
    createdBy: text("created_by").notNull(),
    createdAt: integer("created_at").notNull(),
    idempotencyKey: text("idempotency_key"),
  },
  (table) => [
    primaryKey({ columns: [table.orgId, table.id] }),
    uniqueIndex("storage_connections_idempotency").on(table.orgId, table.idempotencyKey),
    foreignKey({ columns: [table.orgId, table.createdBy], foreignColumns: [users.orgId, users.id] }),
  ],
);

export const projects = sqliteTable(
  "projects",
  {
    orgId: text("org_id")
      .notNull()
      .references(() => organizations.orgId),
    id: text("id").notNull(),
    clientId: text("client_id").notNull(),
    type: text("type", {
      enum: ["file_migration", "mailbox_migration", "archive", "full_migration", "rockrms_import"],
    }).notNull(),
    name: text("name").notNull(),
    /** What lists are searched and sorted by. Computed, so that whoever writes the name writes it too. */
    nameKey: text("name_key").generatedAlwaysAs(sql`lower("name")`, { mode: "virtual" }),
    description: text("description"),
    psaTicketId: text("psa_ticket_id"),
    psaProjectId: text("psa_project_id"),
    connectionId: text("connection_id"),
    container: text("container"),
    tier: text("tier", { enum: ["Hot", "Cool", "Cold", "Archive"] }),
    prefix: text("prefix"),
    defaultDestination: text("default_destination", { mode: "json" }).$type<unknown>(),
    bandwidthSchedule: text("bandwidth_schedule", { mode: "json" }).$type<BandwidthSchedule>(),
    cancelledAt: integer("cancelled_at"),
    createdBy: text("created_by").notNull(),
    createdAt: integer("created_at").notNull(),
    updatedAt: integer("updated_at").notNull(),
    idempotencyKey: text("idempotency_key"),
  },
  (table) => [
    primaryKey({ columns: [table.orgId, table.id] }),
    uniqueIndex("projects_idempotency").on(table.orgId, table.idempotencyKey),
    index("projects_created").on(table.orgId, table.id, table.nameKey),
    index("projects_name").on(table.orgId, table.nameKey, table.id),
    index("projects_activity").on(table.orgId, table.updatedAt, table.id, table.nameKey),
    // What a project's status is derived from, as far as it stands here.
    index("projects_status").on(
      table.orgId,
      table.id,
      table.cancelledAt,
      table.connectionId,
      table.nameKey,
      table.clientId,
    ),
    index("projects_client").on(table.orgId, table.clientId, table.id, table.nameKey),
    index("projects_connection").on(table.orgId, table.connectionId, table.id),
    foreignKey({ columns: [table.orgId, table.clientId], foreignColumns: [clients.orgId, clients.id] }),
    foreignKey({
      columns: [table.orgId, table.connectionId],
      foreignColumns: [storageConnections.orgId, storageConnections.id],
    }),
    foreignKey({ columns: [table.orgId, table.createdBy], foreignColumns: [users.orgId, users.id] }),
  ],
);

/** The agent's key hash is not here but in its Durable Object, so that a reconnect never asks D1. */
export const agents = sqliteTable(
  "agents",
  {
    orgId: text("org_id")
      .notNull()
      .references(() => organizations.orgId),
    id: text("id").notNull(),
    name: text("name").notNull(),
    /** What lists are searched and sorted by. Computed, so that whoever writes the name writes it too. */
    nameKey: text("name_key").generatedAlwaysAs(sql`lower("name")`, { mode: "virtual" }),
    host: text("host").notNull(),
    os: text("os").notNull(),
    arch: text("arch").notNull(),
    version: text("version").notNull(),
    label: text("label"),
    clientId: text("client_id"),
    /** `pending` = registered, and nothing else until an admin approves it; `locked` = until an admin unlocks it. */
    status: text("status", {
      enum: ["online", "offline", "revoked", "updating", "pending", "locked"],
    }).notNull(),
    lastSeenAt: integer("last_seen_at"),
    /** When it was seen last, or made. */
    activeAt: integer("active_at").generatedAlwaysAs(sql`coalesce("last_seen_at", "created_at")`, {
      mode: "virtual",
    }),
    freeDiskBytes: integer("free_disk_bytes"),
    /** How it was connected last; null = it did not say. */
    connection: text("connection", { enum: ["websocket", "long_poll"] }),
    allowedRoots: text("allowed_roots", { mode: "json" }).$type<string[]>(),
    createdAt: integer("created_at").notNull(),
    revokedAt: integer("revoked_at"),
  },
  (table) => [
    primaryKey({ columns: [table.orgId, table.id] }),
    index("agents_created").on(table.orgId, table.id, table.status, table.nameKey),
    index("agents_name").on(table.orgId, table.nameKey, table.id, table.status),
    index("agents_activity").on(table.orgId, table.activeAt, table.id, table.status, table.nameKey),
    index("agents_status").on(table.orgId, table.status, table.id, table.nameKey),
    index("agents_client").on(table.orgId, table.clientId, table.id),
    // The sweep's question, over all organizations.
    index("agents_online")
      .on(table.lastSeenAt)
      .where(sql`"status" = 'online'`),
    foreignKey({ columns: [table.orgId, table.clientId], foreignColumns: [clients.orgId, clients.id] }),
  ],
);

/** Only the keyed hash of a code is kept (HMAC-SHA-256 with a pepper that is not in the database). */
export const registrationCodes = sqliteTable(
  "registration_codes",
  {
    orgId: text("org_id")
      .notNull()
      .references(() => organizations.orgId),
    id: text("id").notNull(),
    codeHash: text("code_hash").notNull(),
    label: text("label"),
    expiresAt: integer("expires_at").notNull(),
    usedAt: integer("used_at"),
    agentId: text("agent_id"),
    revokedAt: integer("revoked_at"),
    createdBy: text("created_by").notNull(),
    createdAt: integer("created_at").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.orgId, table.id] }),
    uniqueIndex("registration_codes_hash").on(table.codeHash),
    index("registration_codes_agent").on(table.orgId, table.agentId),
    foreignKey({ columns: [table.orgId, table.agentId], foreignColumns: [agents.orgId, agents.id] }),
    foreignKey({ columns: [table.orgId, table.createdBy], foreignColumns: [users.orgId, users.id] }),
  ],
);

export const agentKeys = sqliteTable(
  "agent_keys",
  {
    orgId: text("org_id")
      .notNull()
      .references(() => organizations.orgId),
    id: text("id").notNull(),
    name: text("name").notNull(),
    keyHash: text("key_hash").notNull(),
    agentId: text("agent_id"),
    createdBy: text("created_by").notNull(),
    createdAt: integer("created_at").notNull(),
    revokedAt: integer("revoked_at"),
  },
  (table) => [
    primaryKey({ columns: [table.orgId, table.id] }),
    uniqueIndex("agent_keys_hash").on(table.keyHash),
    index("agent_keys_agent").on(table.orgId, table.agentId),
    foreignKey({ columns: [table.orgId, table.agentId], foreignColumns: [agents.orgId, agents.id] }),
    foreignKey({ columns: [table.orgId, table.createdBy], foreignColumns: [users.orgId, users.id] }),
  ],
);

/** The guard is for a row whose config is no JSON: it could not even be read otherwise. */
const DESTINATION = sql`case when json_valid("config") then json_extract("config", '$.destination.account') || '/' || json_extract("config", '$.destination.container') || '/' || case json_extract("config", '$.destination.prefix') when '' then '' else json_extract("config", '$.destination.prefix') || '/' end end`;

/**
 * A job: what is wanted (`desired_*`, `epoch`, `config`), and what the agent last proved (the rest).
 * `progress_seq` guards the totals: an older frame never overwrites a newer one.
 */
export const jobs = sqliteTable(
  "jobs",
  {
    orgId: text("org_id")
      .notNull()
      .references(() => organizations.orgId),
    id: text("id").notNull(),
    projectId: text("project_id").notNull(),
    agentId: text("agent_id").notNull(),
    name: text("name").notNull(),
    /** What lists are searched and sorted by. Computed, so that whoever writes the name writes it too. */
    nameKey: text("name_key").generatedAlwaysAs(sql`lower("name")`, { mode: "virtual" }),
    /** Without the schedule, which is the project's. */
    config: text("config", { mode: "json" }).$type<Omit<JobConfig, "schedule" | "only">>().notNull(),
    /** Account, container and folders, each with a slash behind it: what begins alike lies in one another. */
    destination: text("destination").generatedAlwaysAs(DESTINATION, { mode: "virtual" }),
    status: text("status", {
      enum: ["created", "scanning", "ready", "running", "paused", "completed", "failed", "cancelled"],
    }).notNull(),
    desiredState: text("desired_state", { enum: ["run", "pause", "cancel", "finish"] }).notNull(),
    desiredRev: integer("desired_rev").notNull(),
    appliedRev: integer("applied_rev").notNull(),
    epoch: integer("epoch").notNull(),
    /** The epoch whose failed files are all that this one moves; null = everything. */
    onlyFailedOf: integer("only_failed_of"),
    progressSeq: integer("progress_seq").notNull(),
    filesTotal: integer("files_total").notNull(),
    filesCompleted: integer("files_completed").notNull(),
    filesFailed: integer("files_failed").notNull(),
    filesSkipped: integer("files_skipped").notNull(),
    filesVerified: integer("files_verified").notNull(),
    filesReadBack: integer("files_read_back").notNull().default(0),
    filesDeleted: integer("files_deleted").notNull().default(0),
    bytesTotal: integer("bytes_total").notNull(),
    bytesCompleted: integer("bytes_completed").notNull(),
    bytesFailed: integer("bytes_failed").notNull(),
    bytesSkipped: integer("bytes_skipped").notNull(),
    bytesSent: integer("bytes_sent").notNull(),
    preview: text("preview", { mode: "json" }).$type<JobPreview>(),
    error: text("error", { mode: "json" }).$type<JobError>(),
    report: text("report", { mode: "json" }).$type<JobReport>(),
    createdBy: text("created_by").notNull(),
    createdAt: integer("created_at").notNull(),
    updatedAt: integer("updated_at").notNull(),
    /** When it is to start; null = at once. */
    startAt: integer("start_at"),
    /** Until then an agent that had it before may still be at work on it; null = no other had it. */
    heldUntil: integer("held_until"),
    startedAt: integer("started_at"),
    finishedAt: integer("finished_at"),
    idempotencyKey: text("idempotency_key"),
  },
  (table) => [
    primaryKey({ columns: [table.orgId, table.id] }),
    uniqueIndex("jobs_idempotency").on(table.orgId, table.idempotencyKey),
    index("jobs_project").on(table.orgId, table.projectId, table.status, table.id, table.nameKey),
    index("jobs_agent").on(table.orgId, table.agentId, table.status, table.id, table.nameKey),
    index("jobs_created").on(table.orgId, table.id, table.status, table.nameKey),
    index("jobs_name").on(table.orgId, table.nameKey, table.id, table.status),
    // Written anew with each row of progress anyway, so the sums of the dashboard's first page cost nothing more here.
    index("jobs_activity").on(
      table.orgId,
      table.updatedAt,
      table.id,
      table.status,
      table.nameKey,
      table.bytesCompleted,
      table.filesCompleted,
    ),
    index("jobs_status").on(table.orgId, table.status, table.id, table.nameKey),
    index("jobs_destination").on(table.orgId, table.destination, table.status, table.id),
    // The sweep's question, over all organizations.
    index("jobs_unconfirmed")
      .on(table.updatedAt)
      .where(sql`"desired_rev" > "applied_rev" and "report" is null`),
    foreignKey({ columns: [table.orgId, table.projectId], foreignColumns: [projects.orgId, projects.id] }),
    foreignKey({ columns: [table.orgId, table.agentId], foreignColumns: [agents.orgId, agents.id] }),
    foreignKey({ columns: [table.orgId, table.createdBy], foreignColumns: [users.orgId, users.id] }),
  ],
);

/** The first failures of an epoch, numbered from 0 by the agent, so that a repeated event adds nothing. */
export const jobFailures = sqliteTable(
  "job_failures",
  {
    orgId: text("org_id").notNull(),
    jobId: text("job_id").notNull(),
    epoch: integer("epoch").notNull(),
    number: integer("number").notNull(),
    path: text("path").notNull(),
    code: text("code").notNull(),
    message: text("message").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.orgId, table.jobId, table.epoch, table.number] }),
    foreignKey({ columns: [table.orgId, table.jobId], foreignColumns: [jobs.orgId, jobs.id] }),
  ],
);

/** What was done, by whom; only ever added to. `details` never holds a secret. */
export const auditLog = sqliteTable(
  "audit_log",
  {
    orgId: text("org_id")
      .notNull()
      .references(() => organizations.orgId),
    id: text("id").notNull(),
    at: integer("at").notNull(),
    actorKind: text("actor_kind", { enum: ["user", "agent", "api_key", "system"] }).notNull(),
    actorId: text("actor_id"),
    address: text("address"),
    action: text("action").notNull(),
    objectId: text("object_id"),
    details: text("details", { mode: "json" }).$type<Record<string, unknown>>(),
    /** Its place in the organization's chain and what binds it to the entry before; null until it is sealed. */
    number: integer("number"),
    hash: text("hash"),
  },
  (table) => [
    primaryKey({ columns: [table.orgId, table.id] }),
    uniqueIndex("audit_log_number").on(table.orgId, table.number),
  ],
);

/** A consent that was begun: from leaving for Microsoft's page to coming back. Only the hash of `state` is kept. */
export const oauthStates = sqliteTable(
  "oauth_states",
  {
    orgId: text("org_id").notNull(),
    id: text("id").notNull(),
    stateHash: text("state_hash").notNull(),
    sessionId: text("session_id").notNull(),
    /** The connection that is connected anew; null = a new one. */
    connectionId: text("connection_id"),
    sealedVerifier: text("sealed_verifier").notNull(),
    /** The tokens between coming back and the choice of an account. */
    sealedTokens: text("sealed_tokens"),
    createdAt: integer("created_at").notNull(),
    expiresAt: integer("expires_at").notNull(),
    usedAt: integer("used_at"),
  },
  (table) => [
    primaryKey({ columns: [table.orgId, table.id] }),
    uniqueIndex("oauth_states_state").on(table.stateHash),
    // By the time they were made, over all organizations: the sweep removes the old ones.
    index("oauth_states_made").on(table.id),
    foreignKey({ columns: [table.orgId, table.sessionId], foreignColumns: [sessions.orgId, sessions.id] }),
  ],
);

/** Keys of the public API. Only the SHA-256 is kept. */
export const apiKeys = sqliteTable(
  "api_keys",
  {
    orgId: text("org_id").notNull(),
    id: text("id").notNull(),
    name: text("name").notNull(),
    keyHash: text("key_hash").notNull(),
    /** It may do what this role may, and nothing that only people may. */
    role: text("role", { enum: ["admin", "member", "viewer"] }).notNull(),
    createdBy: text("created_by").notNull(),
    createdAt: integer("created_at").notNull(),
    expiresAt: integer("expires_at"),
    lastUsedAt: integer("last_used_at"),
    revokedAt: integer("revoked_at"),
  },
  (table) => [
    primaryKey({ columns: [table.orgId, table.id] }),
    uniqueIndex("api_keys_hash").on(table.keyHash),
    foreignKey({ columns: [table.orgId, table.createdBy], foreignColumns: [users.orgId, users.id] }),
  ],
);

/** Addresses that are told of events; `sealedSecret` signs what they get. */
export const webhooks = sqliteTable(
  "webhooks",
  {
    orgId: text("org_id").notNull(),
    id: text("id").notNull(),
    url: text("url").notNull(),
    events: text("events", { mode: "json" }).$type<string[]>().notNull(),
    sealedSecret: text("sealed_secret").notNull(),
    createdBy: text("created_by").notNull(),
    createdAt: integer("created_at").notNull(),
    disabledAt: integer("disabled_at"),
  },
  (table) => [
    primaryKey({ columns: [table.orgId, table.id] }),
    foreignKey({ columns: [table.orgId, table.createdBy], foreignColumns: [users.orgId, users.id] }),
  ],
);

/**
 * What has to reach somebody outside: an event for the Bus or a webhook, a mail, a day's usage. Written together with what
 * it tells of; `key` makes a second writing of the same thing nothing.
 */
export const outbox = sqliteTable(
  "outbox",
  {
    orgId: text("org_id").notNull(),
    id: text("id").notNull(),
    kind: text("kind", { enum: ["bus", "webhook", "mail", "billing"] }).notNull(),
    key: text("key").notNull(),
    /** The webhook's id, or whom a mail is for. */
    target: text("target"),
    payload: text("payload", { mode: "json" }).$type<unknown>().notNull(),
    createdAt: integer("created_at").notNull(),
    attempts: integer("attempts").notNull(),
    /** When it is tried next; null when it is done or given up. */
    dueAt: integer("due_at"),
    sentAt: integer("sent_at"),
    givenUpAt: integer("given_up_at"),
    lastError: text("last_error"),
  },
  (table) => [
    primaryKey({ columns: [table.orgId, table.id] }),
    uniqueIndex("outbox_key").on(table.orgId, table.kind, table.key),
    index("outbox_due").on(table.dueAt),
  ],
);

/**
 * Bytes that a job's epoch had sent by the end of a day (UTC), counted from its beginning: the day's own are the difference
 * to the day before. So a report that comes twice, or late, changes nothing.
 */
export const jobUsage = sqliteTable(
  "job_usage",
  {
    orgId: text("org_id").notNull(),
    jobId: text("job_id").notNull(),
    epoch: integer("epoch").notNull(),
    /** `2026-11-23`. */
    day: text("day").notNull(),
    bytesSent: integer("bytes_sent").notNull(),
    filesCompleted: integer("files_completed").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.orgId, table.jobId, table.epoch, table.day] }),
    index("job_usage_day").on(table.orgId, table.day),
    foreignKey({ columns: [table.orgId, table.jobId], foreignColumns: [jobs.orgId, jobs.id] }),
  ],
);

/** The list of every file of an epoch, as the agent put it into object storage. */
export const manifests = sqliteTable(
  "manifests",
  {
    orgId: text("org_id").notNull(),
    jobId: text("job_id").notNull(),
    epoch: integer("epoch").notNull(),
    objectKey: text("object_key").notNull(),
    sha256: text("sha256").notNull(),
    sizeBytes: integer("size_bytes").notNull(),
    rows: integer("rows").notNull(),
    storedAt: integer("stored_at").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.orgId, table.jobId, table.epoch] }),
    foreignKey({ columns: [table.orgId, table.jobId], foreignColumns: [jobs.orgId, jobs.id] }),
  ],
);
