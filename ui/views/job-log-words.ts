/** What happened to a job, in plain words. */
import type { JobLogEntry, JobLogEvent } from "../../schema/job-log.ts";
import { formatCount, formatCountOf, formatDateTime, formatMegabits, type Reader } from "../format.ts";
import { jobLogWords as texts } from "../texts/job.ts";

type Say = (entry: JobLogEntry, reader: Reader) => string;

const EVENTS: Readonly<Record<JobLogEvent, Say>> = {
  "job.created": () => texts.jobCreated,
  "job.changed": changeText,
  "job.moved": ({ details: { from, to } }) =>
    texts.movedFromTo(from ?? texts.agentGone, to ?? texts.agentGone),
  "job.started": ({ epoch }) => (epoch === null || epoch === 1 ? texts.started : texts.runStarted(epoch)),
  "job.pause": () => texts.pauseAskedFor,
  "job.resume": () => texts.resumed,
  "job.finish": () => texts.askedFinishPass,
  "job.cancel": () => texts.cancelled,
  "job.retry": ({ details: { moves } }) =>
    moves === "failed" ? texts.failedFilesStartedAgain : texts.startedAgainFromBeginning,
  "job.completed": () => texts.completed,
  "job.failed": () => texts.failed,
  "job.cancelled": () => texts.cancelled,
  "job.refused_by_agent": ({ details: { message } }) =>
    message ? texts.theAgentRefused(message) : texts.agentRefusedWhatWanted,
  "job.sources_removed": ({ details: { files } }, reader) =>
    files === undefined
      ? texts.sourceFilesRemoved
      : texts.removed(formatCountOf(files, "sourceFile", reader)),
  "job.quarantine_checked": ({ details: { filesLeft = 0, filesPurged = 0 } }, reader) =>
    texts.quarantineGoneGoodLeft(formatCountOf(filesPurged, "file", reader), formatCount(filesLeft, reader)),
  "manifest.stored": ({ details: { rows } }, reader) =>
    rows === undefined
      ? texts.listAllFilesArrived
      : texts.listAllFilesArrived2(formatCountOf(rows, "line", reader)),
  "agent.offline": () => texts.agentWentOffline,
  "agent.online": () => texts.agentCameOnline,
};

/** An event that is newer than this page stands for itself. */
export function logText(entry: JobLogEntry, reader: Reader = {}): string {
  const { event } = entry;
  return Object.hasOwn(EVENTS, event) ? EVENTS[event as JobLogEvent](entry, reader) : event;
}

function changeText({ details }: JobLogEntry, reader: Reader): string {
  const { bandwidthMbps, startAt, fields = [] } = details;
  if (typeof bandwidthMbps === "number") return texts.limitSetTo(formatMegabits(bandwidthMbps, reader));
  if (bandwidthMbps === null) return texts.limitOwnRemoved;
  if (typeof startAt === "string") return texts.startSetTo(formatDateTime(startAt, reader));
  if (startAt === null) return texts.startSetOnce;
  return fields.includes("name") ? texts.renamed : texts.changed;
}

/** Who did it; empty where nobody did. */
export function logActorText({ actor }: JobLogEntry): string {
  switch (actor?.kind) {
    case "user":
      return actor.name ?? texts.aFormerMember;
    case "agent":
      return actor.name === null ? texts.theAgent : texts.agent(actor.name);
    case "api_key":
      return texts.anApiKey;
    case "system":
    case undefined:
      return "";
  }
}
