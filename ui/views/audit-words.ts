/** Entries of the audit log in plain words, and the table of them for a spreadsheet. */
import type { AuditEntry } from "../../schema/audit.ts";
import type { Route } from "../models/router.ts";
import { auditWords as texts } from "../texts/audit.ts";

/** What each action is called. An action that is newer than this page stands for itself. */
export const ACTION_WORDS: Readonly<Record<string, string>> = {
  "agent.approved": texts.approvedAnAgent,
  "agent.key_rotated": texts.gaveAgentNewKey,
  "agent.locked": texts.lockedAgentWhoseIdentity,
  "agent.superseded": texts.tookOverFromAnother,
  "agent.unlocked": texts.unlockedAnAgent,
  "agent.changed": texts.changedAnAgent,
  "agent.deleted": texts.deletedAnAgent,
  "agent.refused": texts.refusedAnAgent,
  "agent.registered": texts.registered,
  "agent.revoked": texts.revokedAnAgent,
  "api_key.generated": texts.madeAnApiKey,
  "api_key.revoked": texts.revokedAnApiKey,
  "audit.exported": texts.exportedTheAuditLog,
  "client.changed": texts.changedAClient,
  "client.created": texts.madeAClient,
  "client.deleted": texts.deletedAClient,
  "code.changed": texts.changedARegistrationCode,
  "code.generated": texts.madeARegistrationCode,
  "code.refused": texts.refusedRegistrationCodeUsed,
  "code.revoked": texts.revokedARegistrationCode,
  "export.taken": texts.exportedAReport,
  "grant.made": texts.gotAccessStorageJob,
  "job.cancel": texts.cancelledAJob,
  "job.changed": texts.changedAJob,
  "job.created": texts.madeAJob,
  "job.finish": texts.askedJobFinishNext,
  "job.moved": texts.movedJobAnotherAgent,
  "job.pause": texts.pausedAJob,
  "job.quarantine_checked": texts.toldWhatLeftJobs,
  "job.refused_by_agent": texts.refusedAgentsSideWhat,
  "job.resume": texts.resumedAJob,
  "job.retry": texts.startedAJobAgain,
  "job.sources_removed": texts.removedSourceFilesMoved,
  "manifest.stored": texts.storedListJobsFiles,
  "project.cancelled": texts.cancelledAProject,
  "project.changed": texts.changedAProject,
  "project.created": texts.madeAProject,
  "project.deleted": texts.deletedAProject,
  "project.reopened": texts.openedAProjectAgain,
  "role.changed": texts.gotAnotherRoleFrom,
  "session.began": texts.signedIn,
  "session.ended": texts.signedOut,
  "session.others_revoked": texts.signedOutAllOther,
  "session.revoked": texts.endedASession,
  "storage.connected": texts.connectedStorage,
  "storage.consent_begun": texts.beganSignMicrosoft,
  "storage.consented": texts.signedInWithMicrosoft,
  "storage.container_created": texts.madeAContainer,
  "storage.deleted": texts.deletedAStorageConnection,
  "storage.reconnected": texts.connectedStorageAnew,
  "storage.refused": texts.foundMicrosoftRefusesConnection,
  "webhook.created": texts.madeAWebhook,
  "webhook.deleted": texts.deletedAWebhook,
  "webhook.disabled": texts.switchedOffWebhookKept,
  "webhook.enabled": texts.switchedOnAWebhook,
};

export function actionWords(action: string): string {
  return (Object.hasOwn(ACTION_WORDS, action) ? ACTION_WORDS[action] : null) ?? action;
}

/** Null until it is known who belongs to the organization: nobody is called a former member before. */
export type Names = ReadonlyMap<string, string> | null;

/** Who did it, as far as it is known here: a person or agent that is gone is still one. */
export function actorWords({ actorKind, actorId }: AuditEntry, names: Names): string {
  const name = actorId === null ? undefined : names?.get(actorId);
  switch (actorKind) {
    case "user":
      return name ?? (names === null ? texts.aMember : texts.aFormerMember);
    case "agent":
      return name === undefined ? texts.anAgent : texts.agent(name);
    case "api_key":
      return name === undefined ? texts.anApiKey : texts.apiKey(name);
    case "system":
      return texts.migrateItself;
  }
}

const DETAIL_TITLES: Readonly<Record<string, string>> = {
  name: "name",
  account: "account",
  container: "container",
  kind: "by",
  role: "role",
  from: "from",
  to: "to",
  host: "host",
  principal: "as",
  reason: "because",
  fields: "what",
  moves: "moves",
  status: "status",
  report: "report",
  format: "as",
  epoch: "run",
  rows: "files",
};

/** The details that mean something to a reader, `role viewer, name Acme`; ids and hashes are in the export. */
export function detailWords({ details }: AuditEntry, names: Names): string {
  const userId = details?.["userId"];
  const whose = typeof userId === "string" ? names?.get(userId) : undefined;
  const parts = Object.entries(details ?? {}).flatMap(([key, value]) => {
    const title = Object.hasOwn(DETAIL_TITLES, key) ? DETAIL_TITLES[key] : undefined;
    const text = wordsOfValue(value);
    return title === undefined || text === "" ? [] : [`${title} ${text}`];
  });
  return [...(whose === undefined ? [] : [texts.of(whose)]), ...parts].join(", ");
}

function wordsOfValue(value: unknown): string {
  if (Array.isArray(value)) return value.map(wordsOfValue).join(" and ");
  return typeof value === "string" || typeof value === "number" ? String(value).replaceAll("_", " ") : "";
}

/** The page of the thing an entry is about, where there is one. */
export function placeOf(objectId: string | null): Route | null {
  switch (objectId?.slice(0, 4)) {
    case "cli_":
      return { page: "client", id: objectId };
    case "prj_":
      return { page: "project", id: objectId };
    case "job_":
      return { page: "job", id: objectId };
    case "agt_":
      return { page: "agent", id: objectId };
    case undefined:
    default:
      return null;
  }
}

const COLUMNS = [
  texts.number,
  texts.timeUtc,
  texts.who,
  texts.what,
  texts.details,
  texts.address,
  texts.action,
  texts.object,
  texts.hash,
];

/**
 * RFC 4180, with the mark by which Excel knows UTF-8. What a spreadsheet would take for a formula gets an apostrophe in front
 * ("CSV Injection", OWASP): names in it were written by others.
 */
export function auditTable(entries: readonly AuditEntry[], names: Names): string {
  const rows = entries.map((entry) => [
    String(entry.number),
    entry.at,
    actorWords(entry, names),
    actionWords(entry.action),
    detailWords(entry, names),
    entry.address ?? "",
    entry.action,
    entry.objectId ?? "",
    entry.hash,
  ]);
  return `\ufeff${[COLUMNS, ...rows].map((row) => `${row.map(cellOf).join(",")}\r\n`).join("")}`;
}

function cellOf(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
