/** What a job will do, as sentences a person can check before pressing the button. What cannot be taken back is marked. */
import type { Agent, Project } from "../../schema/api.ts";
import type { AccessTier, ArchivedRule, ExistingRule } from "../../schema/job.ts";
import type { RunnableJobType } from "../contract.ts";
import { formatCount, formatCountOf, formatDuration, formatMegabits } from "../format.ts";
import { type Destination, effectiveSwitches, type JobValues, linesOf } from "../models/job-form.ts";
import { megabitsOf } from "../models/megabits.ts";
import { visibleText } from "../plain-text.ts";
import { destinationText } from "./job-sentences.ts";

export interface PlanLine {
  readonly text: string;
  readonly tone: "plain" | "warning";
}

export interface PlanFacts {
  readonly agent: Agent | null;
  readonly project: Project | null;
  readonly destination: Destination | null;
  readonly type: RunnableJobType;
}

const EXISTING_SENTENCES: Readonly<Record<ExistingRule, string>> = {
  skip_identical: "What is already there and identical is skipped; nothing different is overwritten.",
  overwrite: "What is already there under the same name is overwritten.",
  fail: "A file whose name is already taken there counts as failed.",
};

/** A sync keeps up to date what it wrote, so there the rule is for what others wrote. */
const OTHERS_SENTENCES: Readonly<Record<ExistingRule, string>> = {
  skip_identical: "Of what others put there, what is identical is skipped; nothing different is overwritten.",
  overwrite: "What others put there under the same name is overwritten.",
  fail: "A file whose name others have taken there counts as failed.",
};

const ARCHIVED_SENTENCES: Readonly<Record<ArchivedRule, string>> = {
  skip: "What lies there in the Archive tier stays, and its file is skipped.",
  replace:
    "What lies there in the Archive tier is deleted and written anew; Azure charges a fee if it lay there for less than 180 days.",
  new_name:
    "What lies there in the Archive tier stays, and the new file is written beside it under another name.",
};

/** What Azure charges for deleting earlier than this, in days; Hot has no such fee. */
export const STAY_DAYS_MIN: Readonly<Record<AccessTier, number>> = {
  Hot: 0,
  Cool: 30,
  Cold: 90,
  Archive: 180,
};

/** The plan, line by line; empty until there is enough to say. */
export function planOf(values: JobValues, facts: PlanFacts): readonly PlanLine[] {
  const { agent, destination } = facts;
  if (agent === null || destination === null || values.path.trim() === "") return [];
  const effective = effectiveSwitches(values, facts.type);
  const path = visibleText(values.path.trim());
  const filters = filterText(values);
  const when = agent.status === "online" ? "" : " as soon as it is back online";
  const lines: (PlanLine | null)[] = [
    plain(
      `${agent.name} copies ${filters === "" ? "every file" : `the files ${filters}`} under ${path} to ${destinationText(destination)}${when}.`,
    ),
    repetitionLine(values, effective.repeats),
    effective.removesVanished
      ? warning(
          "What is gone from the source is removed at the destination too, with every pass; not what others put there.",
        )
      : null,
    lineLine(values, facts.project),
    {
      text: (effective.repeats ? OTHERS_SENTENCES : EXISTING_SENTENCES)[values.existing],
      tone: values.existing === "overwrite" ? "warning" : "plain",
    },
    effective.replaces
      ? {
          text: ARCHIVED_SENTENCES[effective.archived],
          tone: effective.archived === "replace" ? "warning" : "plain",
        }
      : null,
    ...proofLines(values, { percent: effective.readbackPercent ?? 0, tier: destination.tier }),
    effective.deletes ? deletionLine(values) : plain("The source is only read."),
  ];
  return lines.filter((line) => line !== null);
}

function plain(text: string): PlanLine {
  return { text, tone: "plain" };
}

function warning(text: string): PlanLine {
  return { text, tone: "warning" };
}

function repetitionLine(values: JobValues, repeats: boolean): PlanLine | null {
  if (!repeats) return null;
  const minutes = Number(values.everyMinutes);
  const pause = Number.isFinite(minutes) && minutes > 0 ? formatDuration(minutes * 60_000) : "A while";
  return plain(
    `${pause} after the end of each pass it looks again and brings up to date what is new or changed, until somebody presses Finish.`,
  );
}

function lineLine(values: JobValues, project: Project | null): PlanLine {
  const limit = megabitsOf(values.bandwidthMbps);
  if (typeof limit === "number") {
    return plain(`The line is used up to ${formatMegabits(limit)}, by all jobs of this agent together.`);
  }
  return plain(
    project?.bandwidthSchedule
      ? "The line is used as the project's schedule says."
      : "The line is used as fast as it goes.",
  );
}

function proofLines(
  values: JobValues,
  { percent, tier }: { percent: number; tier: AccessTier },
): readonly PlanLine[] {
  if (!values.verify) return [warning("What arrived is not checked afterwards.")];
  const asked = plain("Afterwards the storage service is asked what it holds, and every file is compared.");
  if (percent === 0) return [asked];
  const share = percent === 100 ? "Every file" : `${formatCount(percent)}% of the files, spread evenly,`;
  const verb = percent === 100 ? "is" : "are";
  return [
    asked,
    plain(`${share} ${verb} read back whole and hashed again.`),
    ...(tier === "Archive"
      ? [plain("Files are read back first and moved to the Archive tier afterwards.")]
      : []),
  ];
}

function deletionLine(values: JobValues): PlanLine {
  const most = values.deletionFilesMax.trim();
  const which =
    most === "" || !Number.isInteger(Number(most))
      ? "Each source file"
      : `At most ${formatCountOf(Number(most), "source file")}`;
  if (values.deletionDryRun) {
    return plain(
      `${which} that is proved to have arrived is listed as one that could be removed. Nothing is removed.`,
    );
  }
  const days = Number(values.retentionDays) || 0;
  return warning(
    days === 0
      ? `${which} that is proved to have arrived is deleted for good at the end of the job.`
      : `${which} that is proved to have arrived is moved into a quarantine on the same disk, and deleted for good after ${formatCountOf(days, "day")}.`,
  );
}

function filterText(values: JobValues): string {
  const include = linesOf(values.include).length;
  const exclude = linesOf(values.exclude).length;
  const parts = [
    include > 0 ? `that match ${include === 1 ? "the pattern" : `one of ${include} patterns`}` : "",
    exclude > 0 ? `that match none of the excluded patterns` : "",
    values.modifiedAfter === "" ? "" : `modified on or after ${values.modifiedAfter}`,
    values.modifiedBefore === "" ? "" : `modified before ${values.modifiedBefore}`,
    values.sizeMin.trim() === "" ? "" : `of at least ${values.sizeMin} MB`,
    values.sizeMax.trim() === "" ? "" : `of at most ${values.sizeMax} MB`,
  ].filter((part) => part !== "");
  return parts.join(", ");
}
