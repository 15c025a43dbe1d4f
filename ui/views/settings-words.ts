/** What the settings call the codes of the contract; apart from `words.ts` because the first view needs none of it. */
import type { ApiKey } from "../../schema/api-keys.ts";
import type { EventType, Webhook } from "../../schema/webhooks.ts";
import { formatCountOf } from "../format.ts";
import type { ConnectionState } from "../models/connections.ts";
import type { ApiKeyRole } from "../settings-contract.ts";
import type { Worded } from "../words.ts";
import { settingsWords as texts } from "../texts/settings.ts";

export const API_KEY_STATUS_WORDS: Readonly<Record<ApiKey["status"], Worded>> = {
  active: { text: texts.active, tone: "success" },
  expired: { text: texts.expired, tone: "neutral" },
  revoked: { text: texts.revoked, tone: "danger" },
};

export const API_KEY_ROLE_HINTS: Readonly<Record<ApiKeyRole, string>> = {
  viewer: texts.readsEverythingChangesNothing,
  member: texts.alsoMakesClientsProjects,
  admin: texts.alsoManagesAgentsStorage,
};

export const WEBHOOK_STATUS_WORDS: Readonly<Record<Webhook["status"], Worded>> = {
  active: { text: texts.active, tone: "success" },
  failing: { text: texts.failing, tone: "warning" },
  disabled: { text: texts.switchedOff, tone: "danger" },
};

export const EVENT_WORDS: Readonly<Record<EventType, string>> = {
  "job.started": texts.aJobStarts,
  "job.completed": texts.aJobIsCompleted,
  "job.failed": texts.aJobFails,
  "job.cancelled": texts.aJobIsCancelled,
  "agent.online": texts.anAgentComesOnline,
  "agent.offline": texts.anAgentGoesOffline,
  "project.auth_required": texts.projectsStorageHasReconnected,
  "project.completed": texts.aProjectIsCompleted,
};

export function connectionStateWords(state: ConnectionState): Worded {
  switch (state.kind) {
    case "active":
      return { text: texts.active, tone: "success" };
    case "lapses":
      return {
        text: state.days === 0 ? texts.expiresWithinADay : texts.expiresIn(formatCountOf(state.days, "day")),
        tone: "warning",
      };
    case "lapsed":
      return { text: texts.expired, tone: "danger" };
    case "refused":
      return { text: texts.needsReconnecting, tone: "danger" };
  }
}
