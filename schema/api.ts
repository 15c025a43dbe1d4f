/**
 * The HTTP API: what a request may hold and what an answer holds. Requests are strict: an unknown key is refused.
 * Lists are paged by cursor, newest first; times are ISO strings in UTC; bytes are integers.
 */
import * as z from "zod";
import { connectionKind } from "./connector.ts";
import {
  agentId,
  clientId,
  connectionId,
  jobId,
  organizationId,
  projectId,
  registrationCodeId,
  userId,
} from "./ids.ts";
import {
  accessTier,
  bandwidthSchedule,
  blobPrefix,
  containerName,
  desiredState,
  fileFailure,
  jobConfig,
  jobError,
  jobPreview,
  jobReport,
  jobSource,
  jobStatus,
  jobTotals,
  projectType,
  quarantineCheck,
  runnableJobType,
  transferOptions,
} from "./job.ts";
import { agentConnection } from "./protocol.ts";

const time = z.iso.datetime();
const name = z.string().trim().min(1, "Give a name").max(200);
const optionalText = z.string().trim().max(2_000).nullable();

/** Sent with every POST that makes something, so that a repeat after a lost answer makes nothing new. */
export const IDEMPOTENCY_HEADER = "Idempotency-Key";
export const idempotencyKey = z.string().min(8).max(128);

export const LIST_LIMIT_DEFAULT = 50;
export const LIST_LIMIT_MAX = 200;

export const listQuery = z.strictObject({
  cursor: z.string().max(64).optional(),
  limit: z.coerce.number().int().min(1).max(LIST_LIMIT_MAX).default(LIST_LIMIT_DEFAULT),
});
/** `activity` = changed, seen or moved last. */
export const SORTS = ["created", "name", "activity", "status"] as const;
export type Sort = (typeof SORTS)[number];
export const SEARCH_LENGTH_MAX = 100;
/** Of lists that can be searched and sorted. A cursor holds for the sort it came with. */
const sortedQuery = listQuery.extend({
  cursor: z
    .string()
    .regex(/^[a-z]{3}_[0-9a-z]{26}(~.{0,400})?$/su, "Not a cursor of this list")
    .optional(),
  /** A part of the name; the case of letters does not count. */
  search: z.string().trim().max(SEARCH_LENGTH_MAX).optional(),
  /** Newest first, of `name` and `status` in their order, unless `order` says otherwise. */
  sort: z.enum(SORTS).optional(),
  order: z.enum(["ascending", "descending"]).optional(),
});
export const clientListQuery = sortedQuery.extend({ status: z.enum(["active", "archived"]).optional() });
export const projectListQuery = sortedQuery.extend({ clientId: clientId.optional() });
export const jobListQuery = sortedQuery.extend({
  projectId: projectId.optional(),
  agentId: agentId.optional(),
  /** `active` = not final. */
  state: z.enum(["active", "final"]).optional(),
  status: jobStatus.optional(),
});

/** A page of a list; `nextCursor` is null on the last one. */
export function pageOf<Item extends z.ZodType>(item: Item) {
  return z.object({ items: z.array(item), nextCursor: z.string().nullable() });
}
export interface Page<Item> {
  items: Item[];
  nextCursor: string | null;
}

// --- session -----------------------------------------------------------------------------------------------------

export const role = z.enum(["owner", "admin", "member", "viewer"]);
export type Role = z.infer<typeof role>;

export const session = z.object({
  user: z.object({ id: userId, name: z.string(), email: z.string(), role }),
  organization: z.object({ id: organizationId, name: z.string() }),
  hubUrl: z.string(),
  expiresAt: time,
});
export type Session = z.infer<typeof session>;

export const overviewQuery = z.strictObject({
  /** The day in UTC that counts as today, because it begins nearest to when the reader's own did; the present one when it is left out. */
  today: z.iso.date().optional(),
});
/** What was uploaded, and which jobs ended. */
export const movedTotals = z.object({
  bytes: z.int(),
  files: z.int(),
  jobsCompleted: z.int(),
  jobsFailed: z.int(),
});
export type MovedTotals = z.infer<typeof movedTotals>;
/** The set-up checklist and the counts of the dashboard's first page. */
export const overview = z.object({
  agents: z.object({ total: z.int(), online: z.int() }),
  connections: z.int(),
  clients: z.int(),
  projects: z.int(),
  jobs: z.object({ active: z.int(), completed: z.int(), failed: z.int(), cancelled: z.int() }),
  bytesCompleted: z.int(),
  filesCompleted: z.int(),
  /** Since the day that was asked for began, and of the seven days it ends. */
  today: movedTotals,
  week: movedTotals,
});
export type Overview = z.infer<typeof overview>;

// --- clients -----------------------------------------------------------------------------------------------------

export const clientCreate = z.strictObject({
  name,
  contactName: optionalText.default(null),
  contactEmail: z.email("Not an e-mail address").nullable().default(null),
  psaCompanyId: optionalText.default(null),
});
export type ClientCreate = z.input<typeof clientCreate>;
export const clientUpdate = z
  .strictObject({
    name,
    contactName: optionalText,
    contactEmail: z.email("Not an e-mail address").nullable(),
    psaCompanyId: optionalText,
    status: z.enum(["active", "archived"]),
  })
  .partial();
export type ClientUpdate = z.input<typeof clientUpdate>;
export const client = z.object({
  id: clientId,
  name: z.string(),
  contactName: z.string().nullable(),
  contactEmail: z.string().nullable(),
  psaCompanyId: z.string().nullable(),
  status: z.enum(["active", "archived"]),
  projectCount: z.int(),
  createdAt: time,
  updatedAt: time,
});
export type Client = z.infer<typeof client>;

// --- storage connections -----------------------------------------------------------------------------------------

export const connectionCreate = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("connection_string"),
    name,
    connectionString: z.string().trim().min(1, "Paste the connection string").max(4_096),
  }),
  z.strictObject({
    kind: z.literal("container_sas"),
    name,
    containerSasUrl: z.string().trim().min(1, "Paste the container's SAS URL").max(4_096),
  }),
]);
export type ConnectionCreate = z.input<typeof connectionCreate>;
/** A connection as it is shown; its secret is never in an answer. */
export const connection = z.object({
  id: connectionId,
  name: z.string(),
  kind: connectionKind,
  account: z.string(),
  blobEndpoint: z.string(),
  /** The one container of a container SAS; null where the account's containers are open. */
  container: z.string().nullable(),
  /** When a container SAS lapses. */
  expiresAt: time.nullable(),
  /** Whose Microsoft sign-in it works with; only of the kind `oauth`. */
  consent: z
    .object({
      tenantId: z.string(),
      principal: z.string(),
      hierarchical: z.boolean().nullable(),
      /** Since when Microsoft asks for a new sign-in; its projects are `auth_required` until it is connected anew. */
      refusedAt: time.nullable(),
      refreshedAt: time.nullable(),
    })
    .optional(),
  createdAt: time,
});
export type Connection = z.infer<typeof connection>;
export const containerCreate = z.strictObject({ name: containerName });
export const containerList = z.object({ containers: z.array(z.string()) });
export type ContainerList = z.infer<typeof containerList>;

// --- projects ----------------------------------------------------------------------------------------------------

export const projectStorage = z.strictObject({
  connectionId,
  container: containerName,
  tier: accessTier.default("Hot"),
  prefix: blobPrefix.default(""),
});
export const projectCreate = z.strictObject({
  clientId,
  type: projectType,
  name,
  description: optionalText.default(null),
  psaTicketId: optionalText.default(null),
  psaProjectId: optionalText.default(null),
  storage: projectStorage.nullable().default(null),
  bandwidthSchedule: bandwidthSchedule.nullable().default(null),
});
export type ProjectCreate = z.input<typeof projectCreate>;
export const projectUpdate = z
  .strictObject({
    name,
    description: optionalText,
    psaTicketId: optionalText,
    psaProjectId: optionalText,
    storage: projectStorage,
    /** Holds at once for the project's jobs that are not final; null = no limit of the line. */
    bandwidthSchedule: bandwidthSchedule.nullable(),
  })
  .partial();
export type ProjectUpdate = z.input<typeof projectUpdate>;
export const projectStatus = z.enum(["planning", "in_progress", "completed", "cancelled", "auth_required"]);
export const project = z.object({
  id: projectId,
  clientId,
  clientName: z.string(),
  type: projectType,
  name: z.string(),
  description: z.string().nullable(),
  psaTicketId: z.string().nullable(),
  psaProjectId: z.string().nullable(),
  storage: z
    .object({
      connectionId,
      connectionName: z.string(),
      account: z.string(),
      container: z.string(),
      tier: accessTier,
      prefix: z.string(),
    })
    .nullable(),
  bandwidthSchedule: bandwidthSchedule.nullable(),
  /** Derived from the jobs, never set by hand. */
  status: projectStatus,
  jobCount: z.int(),
  failedJobCount: z.int(),
  createdAt: time,
  updatedAt: time,
});
export type Project = z.infer<typeof project>;

// --- agents, registration codes ----------------------------------------------------------------------------------

/** `pending` = registered, and waits for an admin to approve it; `locked` = its identity was used from two places. */
export const agentStatus = z.enum(["online", "offline", "revoked", "updating", "pending", "locked"]);
export const agentListQuery = sortedQuery.extend({ status: agentStatus.optional() });
export const agent = z.object({
  id: agentId,
  name: z.string(),
  host: z.string(),
  os: z.string(),
  arch: z.string(),
  version: z.string(),
  label: z.string().nullable(),
  clientId: clientId.nullable(),
  status: agentStatus,
  lastSeenAt: time.nullable(),
  freeDiskBytes: z.int().nullable(),
  /** How it is connected, or was last; null = it did not say. */
  connection: agentConnection.nullable(),
  activeJobCount: z.int(),
  createdAt: time,
});
export type Agent = z.infer<typeof agent>;
export const agentUpdate = z
  .strictObject({ name, label: optionalText, clientId: clientId.nullable() })
  .partial();
export type AgentUpdate = z.input<typeof agentUpdate>;

export const CODE_LENGTH = 8;
export const CODE_MINUTES = [15, 60, 1_440] as const;
export const registrationCodeCreate = z.strictObject({
  label: optionalText.default(null),
  validMinutes: z.literal([...CODE_MINUTES]).default(1_440),
});
export type RegistrationCodeCreate = z.input<typeof registrationCodeCreate>;
export const registrationCodeUpdate = z.strictObject({ label: optionalText });
export const registrationCode = z.object({
  id: registrationCodeId,
  label: z.string().nullable(),
  status: z.enum(["open", "used", "expired", "revoked"]),
  agentId: agentId.nullable(),
  expiresAt: time,
  createdAt: time,
});
export type RegistrationCode = z.infer<typeof registrationCode>;
/** The only answer that ever holds the code itself, written as `XXXX-XXXX`. */
export const registrationCodeMade = registrationCode.extend({ code: z.string() });
export type RegistrationCodeMade = z.infer<typeof registrationCodeMade>;

// --- jobs --------------------------------------------------------------------------------------------------------

const jobCreateFields = z.strictObject({
  projectId,
  agentId,
  name,
  type: runnableJobType,
  source: jobSource,
  /** What differs from the project's storage. */
  destination: z.strictObject({ prefix: blobPrefix.optional(), tier: accessTier.optional() }).default({}),
  options: transferOptions.prefault({}),
  /** Whoever lets source files be removed writes the source's path a second time. */
  confirmDeletionOf: z.string().max(4_096).optional(),
  /** The agent hears of the job only then; null, or a time that is over = at once. */
  startAt: time.nullable().default(null),
});
export const jobCreate = jobCreateFields.superRefine((body, context) => {
  for (const [place, message] of optionFaults(body)) {
    context.addIssue({ code: "custom", path: place.split("."), message });
  }
});

/** What each field takes, but not together with the others. */
function optionFaults(body: z.output<typeof jobCreateFields>): [place: string, message: string][] {
  const { verify, readbackPercent, repetition, deletion } = body.options;
  const repeats = body.type === "sync";
  const faults: [place: string, message: string][] = [];
  if (repetition !== null && !repeats) {
    faults.push(["options.repetition", 'Only a job of type "sync" repeats itself; leave this out']);
  }
  if (readbackPercent > 0 && !verify) {
    faults.push([
      "options.readbackPercent",
      "Reading back is a part of verification; switch that on, or choose 0",
    ]);
  }
  if (deletion === null) return faults;
  if (repeats) {
    faults.push([
      "options.deletion",
      'A job of type "sync" needs its source as it is; leave this out, or choose another type',
    ]);
  } else if (!verify) {
    faults.push([
      "options.deletion",
      "Source files are removed only once they are proved to have arrived; switch verification on",
    ]);
  }
  if (body.confirmDeletionOf !== body.source.path) {
    faults.push([
      "confirmDeletionOf",
      "Files will be removed at the source; write its path here a second time, exactly as in the source",
    ]);
  }
  return faults;
}

export type JobCreate = z.input<typeof jobCreate>;
/** The limit of the line may be changed while the job runs. */
export const jobUpdate = z
  .strictObject({
    name,
    bandwidthMbps: transferOptions.shape.bandwidthMbps.unwrap(),
    /** Only of a job that has not begun. */
    agentId,
    /** Only of a job that has not begun; null = at once. */
    startAt: time.nullable(),
  })
  .partial();
export type JobUpdate = z.input<typeof jobUpdate>;
/** What the copy has otherwise; the rest is as it was, on the project's present storage. */
export const jobDuplicate = jobCreateFields
  .pick({ agentId: true, name: true, source: true, confirmDeletionOf: true, startAt: true })
  .extend({ destination: z.strictObject({ prefix: blobPrefix, tier: accessTier }).partial() })
  .partial();
export type JobDuplicate = z.input<typeof jobDuplicate>;
/** `failed` = only the files that failed, as far as the control plane knows them all; else everything. */
export const jobRetry = z.strictObject({ only: z.literal("failed").optional() });
/** What a run that moves only failed files asks for: their paths, and those of folders that could not be read. */
export const onlyPaths = z.object({ paths: z.array(z.string()), next: z.int().nullable() });
export type OnlyPaths = z.infer<typeof onlyPaths>;
/** `after` = `next` of the page before. */
export const onlyQuery = z.strictObject({
  /** Anything but the live epoch, and nothing at all, is of a run that is over. */
  epoch: z.coerce.number().int().optional(),
  after: z.coerce.number().int().min(-1).default(-1),
});
/** A path is at most 4,096 characters long, and an answer must stay below 1 MiB however it is written. */
export const ONLY_PAGE_PATHS = 40;
export const job = z.object({
  id: jobId,
  name: z.string(),
  projectId,
  projectName: z.string(),
  clientId,
  clientName: z.string(),
  agentId,
  agentName: z.string(),
  agentStatus,
  agentLastSeenAt: time.nullable(),
  config: jobConfig,
  status: jobStatus,
  desiredState,
  desiredRev: z.int(),
  /** Highest revision the agent has confirmed; below `desiredRev` the wish is still on its way. */
  appliedRev: z.int(),
  epoch: z.int(),
  totals: jobTotals,
  /** Null until the scan is over, and of an agent that does not say it. */
  preview: jobPreview.nullable(),
  error: jobError.nullable(),
  report: jobReport.nullable(),
  createdAt: time,
  /** Until then it is `created`, and its agent knows nothing of it. */
  startAt: time.nullable().optional(),
  startedAt: time.nullable(),
  finishedAt: time.nullable(),
});
export type Job = z.infer<typeof job>;
/** A job that was begun anew. `reason` = why everything is moved though only the failed files were asked for. */
export const jobRetried = job.extend({
  retry: z.object({ moves: z.enum(["failed", "everything"]), reason: z.string().nullable() }),
});
export type JobRetried = z.infer<typeof jobRetried>;
export const jobFailures = pageOf(fileFailure);

// --- agents' own routes ------------------------------------------------------------------------------------------

export const agentRegister = z.strictObject({
  code: z.string().min(1).max(64),
  name: z.string().trim().min(1).max(200).optional(),
  host: z.string().min(1).max(255),
  os: z.string().min(1).max(64),
  arch: z.string().min(1).max(64),
  version: z.string().min(1).max(64),
});
export type AgentRegister = z.infer<typeof agentRegister>;
export const agentRegistered = z.object({
  agentId,
  agentName: z.string(),
  organizationId,
  organizationName: z.string(),
  /** `mig_agt1_<agent id>_<secret>_<checksum>`: said once, only its hash is kept. */
  key: z.string(),
  /** Until an admin approves the agent, every request of it is refused with `AGENT_PENDING`. */
  pending: z.boolean().optional(),
});
export type AgentRegistered = z.infer<typeof agentRegistered>;
export const grantRequest = z.strictObject({ jobId, epoch: z.int().min(1) });
export type GrantRequest = z.infer<typeof grantRequest>;
/** How a job's quarantine stands, after its end. */
export const quarantineReport = z.strictObject({ epoch: z.int().min(1), ...quarantineCheck.shape });
export type QuarantineReport = z.infer<typeof quarantineReport>;
