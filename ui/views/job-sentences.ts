/** What a job will do, and what a finished one did, as sentences a person can check before pressing the button. */
import type { Agent } from "../../schema/api.ts";
import type { ExistingRule, JobTotals } from "../../schema/job.ts";
import { formatPercent } from "../format.ts";
import { type Destination, type JobValues, linesOf } from "../models/job-form.ts";
import { visibleText } from "../plain-text.ts";

const EXISTING_SENTENCES: Readonly<Record<ExistingRule, string>> = {
  skip_identical: "What is already there and identical is skipped; nothing different is overwritten.",
  overwrite: "What is already there under the same name is overwritten.",
  fail: "A file whose name is already taken there counts as failed.",
};

export function destinationText({ account, container, prefix, tier }: Destination): string {
  const place =
    prefix === "" ? `container ${container}` : `folder ${visibleText(prefix)} of container ${container}`;
  return `${place}, storage account ${account}, ${tier} tier`;
}

export function planSentence(
  values: JobValues,
  { agent, destination }: { agent: Agent | null; destination: Destination | null },
): string {
  if (agent === null || destination === null || values.path.trim() === "") {
    return "Choose a project, an agent and a source folder; what will happen is then written here.";
  }
  const path = visibleText(values.path.trim());
  const filters = filterText(values);
  const when = agent.status === "online" ? "" : " as soon as it is back online";
  return [
    `${agent.name} copies ${filters === "" ? "every file" : `the files ${filters}`} under ${path} to ${destinationText(destination)}${when}.`,
    "The source is only read.",
    EXISTING_SENTENCES[values.existing],
    values.verify
      ? "Afterwards the storage service is asked what it holds, and every file is compared."
      : "What arrived is not checked afterwards.",
  ].join(" ");
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

/** Of the files that were tried, how many arrived; skipped ones were not tried. */
export function successText(totals: JobTotals): string {
  const tried = totals.filesCompleted + totals.filesFailed;
  return tried === 0 ? "Nothing to move" : formatPercent(totals.filesCompleted / tried);
}
