/** What a job will do, as sentences a person can check before pressing the button. What cannot be taken back is marked. */
import type { Agent, Project } from "../../schema/api.ts";
import type { AccessTier, ArchivedRule, ExistingRule } from "../../schema/job.ts";
import type { RunnableJobType } from "../contract.ts";
import { formatCount, formatCountOf, formatDuration, formatMegabits } from "../format.ts";
import { type Destination, effectiveSwitches, type JobValues, linesOf } from "../models/job-form.ts";
import { megabitsOf } from "../models/megabits.ts";
import { visibleText } from "../plain-text.ts";
import { destinationText } from "./job-sentences.ts";
import { jobPlan as texts } from "../texts/job-form.ts";

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
  skip_identical: texts.whatAlreadyThereIdentical,
  overwrite: texts.whatAlreadyThereUnder,
  fail: texts.fileWhoseNameAlready,
};

/** A sync keeps up to date what it wrote, so there the rule is for what others wrote. */
const OTHERS_SENTENCES: Readonly<Record<ExistingRule, string>> = {
  skip_identical: texts.whatOthersPutThere,
  overwrite: texts.whatOthersPutThereUnder,
  fail: texts.fileWhoseNameOthers,
};

const ARCHIVED_SENTENCES: Readonly<Record<ArchivedRule, string>> = {
  skip: texts.whatLiesThereArchive,
  replace: texts.whatLiesThereArchiveTier,
  new_name: texts.whatLiesThereArchiveTierStays,
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
  const isOnline = agent.status === "online";
  const copiesAll = isOnline ? texts.copiesAll : texts.copiesAllOnceOnline;
  const copiesSome = isOnline ? texts.copiesSome : texts.copiesSomeOnceOnline;
  const lines: (PlanLine | null)[] = [
    plain(
      filters === ""
        ? copiesAll(agent.name, path, destinationText(destination))
        : copiesSome(agent.name, path, destinationText(destination), filters),
    ),
    repetitionLine(values, effective.repeats),
    effective.removesVanished ? warning(texts.whatGoneFromSource) : null,
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
    effective.deletes ? deletionLine(values) : plain(texts.sourceOnlyRead),
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
  return plain(
    Number.isFinite(minutes) && minutes > 0
      ? texts.repeatsAfter(formatDuration(minutes * 60_000))
      : texts.repeatsAfterAWhile,
  );
}

function lineLine(values: JobValues, project: Project | null): PlanLine {
  const limit = megabitsOf(values.bandwidthMbps);
  if (typeof limit === "number") {
    return plain(texts.lineUsedUpAll(formatMegabits(limit)));
  }
  return plain(project?.bandwidthSchedule ? texts.lineUsedAsProjects : texts.lineUsedAsFast);
}

function proofLines(
  values: JobValues,
  { percent, tier }: { percent: number; tier: AccessTier },
): readonly PlanLine[] {
  if (!values.verify) return [warning(texts.whatArrivedNotChecked)];
  const asked = plain(texts.afterwardsStorageServiceAsked);
  if (percent === 0) return [asked];
  return [
    asked,
    plain(percent === 100 ? texts.allReadBack : texts.someReadBack(formatCount(percent))),
    ...(tier === "Archive" ? [plain(texts.filesReadBackFirst)] : []),
  ];
}

function deletionLine(values: JobValues): PlanLine {
  const most = values.deletionFilesMax.trim();
  /** Null = all. */
  const some =
    most === "" || !Number.isInteger(Number(most)) ? null : formatCountOf(Number(most), "sourceFile");
  if (values.deletionDryRun) return plain(some === null ? texts.allListed : texts.someListed(some));
  const days = Number(values.retentionDays) || 0;
  if (days === 0) return warning(some === null ? texts.allDeleted : texts.someDeleted(some));
  const stay = formatCountOf(days, "day");
  return warning(some === null ? texts.allQuarantined(stay) : texts.someQuarantined(stay, some));
}

function filterText(values: JobValues): string {
  const include = linesOf(values.include).length;
  const exclude = linesOf(values.exclude).length;
  const parts = [
    include > 1 ? texts.matchOneOfPatterns(include) : include === 1 ? texts.matchThePattern : "",
    exclude > 0 ? texts.matchNoneExcludedPatterns : "",
    values.modifiedAfter === "" ? "" : texts.modifiedOnOrAfter(values.modifiedAfter),
    values.modifiedBefore === "" ? "" : texts.modifiedBefore(values.modifiedBefore),
    values.sizeMin.trim() === "" ? "" : texts.ofAtLeastMb(values.sizeMin),
    values.sizeMax.trim() === "" ? "" : texts.ofAtMostMb(values.sizeMax),
  ].filter((part) => part !== "");
  return parts.join(", ");
}
