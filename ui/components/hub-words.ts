/** The sentences of the search and of the notifications. */
import type { Notification } from "../../schema/notifications.ts";
import { formatAgo, formatCountOf, formatDate } from "../format.ts";
import type { SearchHit } from "../models/search.ts";
import type { Rights } from "../models/session.ts";
import {
  AGENT_STATUS_WORDS,
  CLIENT_STATUS_WORDS,
  JOB_STATUS_WORDS,
  jobErrorSentence,
  PROJECT_STATUS_WORDS,
  type Tone,
} from "../words.ts";
import type { IconName } from "./icon.tsx";
import { hubWords as texts } from "../texts/hub.ts";

export const SEARCH_GROUP_WORDS: Readonly<Record<SearchHit["kind"], { title: string; more: string }>> = {
  client: { title: texts.clients, more: texts.thereMoreClientsType },
  project: { title: texts.projects, more: texts.thereMoreProjectsType },
  job: { title: texts.jobs, more: texts.thereMoreJobsType },
  agent: { title: texts.agents, more: texts.thereMoreAgentsType },
};

/** What stands beside a name, to tell apart what is called alike. */
export function hitDetails({ kind, item }: SearchHit): readonly string[] {
  switch (kind) {
    case "client":
      return item.status === "active"
        ? [formatCountOf(item.projectCount, "project")]
        : [CLIENT_STATUS_WORDS[item.status].text];
    case "project":
      return [item.clientName, PROJECT_STATUS_WORDS[item.status].text];
    case "job":
      return [item.clientName, JOB_STATUS_WORDS[item.status].text];
    case "agent":
      return [item.host, AGENT_STATUS_WORDS[item.status].text];
  }
}

export interface Told {
  readonly icon: IconName;
  readonly tone: Tone;
  readonly title: string;
  /** Since when, where that is known. */
  readonly when: string | null;
  /** Of what the title tells. */
  readonly name: string;
  readonly text: string;
  /** The next step, or who takes it. */
  readonly next: string;
}

export function tell(item: Notification, rights: Rights, nowMs: number): Told {
  const byAdmin = (own: string, others: string) => (rights.administer ? own : others);
  switch (item.kind) {
    case "connection_refused":
      return {
        icon: "cloud",
        tone: "danger",
        title: texts.microsoftAsksNewSign,
        when: formatAgo(item.at, nowMs),
        name: item.name,
        text:
          item.projectCount === 0
            ? texts.noProjectWaits
            : item.projectCount === 1
              ? texts.projectWaits
              : texts.waitForIt(formatCountOf(item.projectCount, "project")),
        next: byAdmin(texts.connectItAnew, texts.adminConnectsAnew),
      };
    case "connection_lapses": {
      const isOver = Date.parse(item.at) <= nowMs;
      return {
        icon: "cloud",
        tone: isOver ? "danger" : "warning",
        title: isOver ? texts.storageConnectionHasLapsed : texts.storageConnectionLapsesSoon,
        when: null,
        name: item.name,
        text: isOver ? texts.itWasGoodUntil(formatDate(item.at)) : texts.itIsGoodUntil(formatDate(item.at)),
        next: byAdmin(texts.connectTheStorageAnew, texts.adminConnectsStorageAnew),
      };
    }
    case "agent":
      return { icon: "agent", name: item.name, ...tellAgent(item, byAdmin, nowMs) };
    case "job_failed":
      return {
        icon: "job",
        tone: "danger",
        title: texts.aJobFailed,
        when: formatAgo(item.at, nowMs),
        name: item.name,
        text: item.error === null ? item.clientName : `${jobErrorSentence(item.error)}.`,
        next: rights.write ? texts.seeWhyThenRetry : texts.seeWhy,
      };
  }
}

type AgentItem = Extract<Notification, { kind: "agent" }>;

function tellAgent(
  { status, activeJobCount, lastSeenAt }: AgentItem,
  byAdmin: (own: string, others: string) => string,
  nowMs: number,
): Pick<Told, "tone" | "title" | "when" | "text" | "next"> {
  switch (status) {
    case "pending":
      return {
        tone: "warning",
        title: texts.agentWaitsApproval,
        when: null,
        text: texts.doesNothingUntilSomebody,
        next: byAdmin(texts.approveOrRefuseIt, texts.anAdminApprovesIt),
      };
    case "locked":
      return {
        tone: "danger",
        title: texts.anAgentIsLocked,
        when: null,
        text: texts.identityUsedFromTwo,
        next: byAdmin(texts.findOutWhichRight, texts.anAdminUnlocksIt),
      };
    case "offline":
      return {
        tone: "warning",
        title: texts.anAgentIsOffline,
        when: lastSeenAt === null ? null : formatAgo(lastSeenAt, nowMs),
        text: activeJobCount === 1 ? texts.jobWaits : texts.waitForIt2(formatCountOf(activeJobCount, "job")),
        next: texts.startMachine,
      };
  }
}
