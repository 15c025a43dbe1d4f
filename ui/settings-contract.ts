/**
 * The few values of `schema/` that the settings need at run time, written again for the reason given in `contract.ts`;
 * `settings-contract.test.ts` holds each to its original.
 */
import type { ApiKey } from "../schema/api-keys.ts";
import type { ConsentFault } from "../schema/azure.ts";
import type { EventType } from "../schema/webhooks.ts";
import { settingsContract as texts } from "./texts/settings.ts";

export const EVENT_TYPES = [
  "job.started",
  "job.completed",
  "job.failed",
  "job.cancelled",
  "agent.online",
  "agent.offline",
  "project.auth_required",
  "project.completed",
] as const satisfies readonly EventType[];

export type ApiKeyRole = ApiKey["role"];
export const API_KEY_ROLES = ["viewer", "member", "admin"] as const satisfies readonly ApiKeyRole[];
export const API_KEY_DAYS = { min: 1, max: 3_650 } as const;
export const ACCOUNT_NAME = /^[a-z0-9]{3,24}$/;

/** Why a sign-in with Microsoft came back with nothing. */
export const CONSENT_FAULTS = {
  declined: texts.signCancelledConsentDeclined,
  consent_required: texts.administratorMicrosoftTenantHas,
  wrong_tenant: texts.accountBelongsAnotherMicrosoft,
  storage_denied: texts.accountMayNotUse,
  unreachable: texts.microsoftCouldNotReached,
  refused: texts.microsoftDidNotComplete,
} as const satisfies Readonly<Record<ConsentFault, string>>;
