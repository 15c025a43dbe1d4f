/**
 * The tables of D1. Imported only by `worker/` and `durable-objects/` (the tidy test sees to it).
 *
 * Every row belongs to an organization: the key of each table begins with `org_id`, and a reference to a parent is the
 * pair `(org_id, parent_id)`, so that a row that points into another organization cannot be stored at all.
 * Times are milliseconds since 1970 in UTC; booleans do not occur, a moment that is null does.
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
import type { BandwidthSchedule, JobConfig, JobError, JobReport } from "./job.ts";

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
    createdAt: integer("created_at").notNull(),
    lastSeenAt: integer("last_seen_at").notNull(),
    expiresAt: integer("expires_at").notNull(),
    revokedAt: integer("revoked_at"),
  },
  (table) => [
    primaryKey({ columns: [table.orgId, table.id] }),
    uniqueIndex("sessions_token").on(table.tokenHash),
    foreignKey({ columns: [table.orgId, table.userId], foreignColumns: [users.orgId, users.id] }),
  ],
);

/** Sign-in tokens that were used, by the hash of their `jti`; before there is an organization to belong to. */
export const usedTokens = sqliteTable("used_tokens", {
  jtiHash: text("jti_hash").primaryKey(),
  expiresAt: integer("expires_at").notNull(),
});

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
    kind: text("kind", { enum: ["connection_string", "container_sas"] }).notNull(),
    account: text("account").notNull(),
    blobEndpoint: text("blob_endpoint").notNull(),
    container: text("container"),
    sealedSecret: text("sealed_secret").notNull(),
    expiresAt: integer("expires_at"),
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
    index("projects_client").on(table.orgId, table.clientId, table.id),
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
    host: text("host").notNull(),
    os: text("os").notNull(),
    arch: text("arch").notNull(),
    version: text("version").notNull(),
    label: text("label"),
    clientId: text("client_id"),
    status: text("status", { enum: ["online", "offline", "revoked", "updating"] }).notNull(),
    lastSeenAt: integer("last_seen_at"),
    freeDiskBytes: integer("free_disk_bytes"),
    allowedRoots: text("allowed_roots", { mode: "json" }).$type<string[]>(),
    createdAt: integer("created_at").notNull(),
    revokedAt: integer("revoked_at"),
  },
  (table) => [
    primaryKey({ columns: [table.orgId, table.id] }),
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
    foreignKey({ columns: [table.orgId, table.agentId], foreignColumns: [agents.orgId, agents.id] }),
    foreignKey({ columns: [table.orgId, table.createdBy], foreignColumns: [users.orgId, users.id] }),
  ],
);

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
    /** Without the schedule, which is the project's. */
    config: text("config", { mode: "json" }).$type<Omit<JobConfig, "schedule">>().notNull(),
    status: text("status", {
      enum: ["created", "scanning", "ready", "running", "paused", "completed", "failed", "cancelled"],
    }).notNull(),
    desiredState: text("desired_state", { enum: ["run", "pause", "cancel", "finish"] }).notNull(),
    desiredRev: integer("desired_rev").notNull(),
    appliedRev: integer("applied_rev").notNull(),
    epoch: integer("epoch").notNull(),
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
    error: text("error", { mode: "json" }).$type<JobError>(),
    report: text("report", { mode: "json" }).$type<JobReport>(),
    createdBy: text("created_by").notNull(),
    createdAt: integer("created_at").notNull(),
    updatedAt: integer("updated_at").notNull(),
    startedAt: integer("started_at"),
    finishedAt: integer("finished_at"),
    idempotencyKey: text("idempotency_key"),
  },
  (table) => [
    primaryKey({ columns: [table.orgId, table.id] }),
    uniqueIndex("jobs_idempotency").on(table.orgId, table.idempotencyKey),
    index("jobs_project").on(table.orgId, table.projectId, table.id),
    index("jobs_agent").on(table.orgId, table.agentId, table.id),
    index("jobs_status").on(table.orgId, table.status, table.id),
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
    actorKind: text("actor_kind", { enum: ["user", "agent", "system"] }).notNull(),
    actorId: text("actor_id"),
    address: text("address"),
    action: text("action").notNull(),
    objectId: text("object_id"),
    details: text("details", { mode: "json" }).$type<Record<string, unknown>>(),
  },
  (table) => [primaryKey({ columns: [table.orgId, table.id] })],
);
