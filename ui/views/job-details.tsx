import type { Job } from "../../schema/api.ts";
import type { JobConfig, TransferOptions } from "../../schema/job.ts";
import { Facts } from "../components/figures.tsx";
import { FileName } from "../components/file-name.tsx";
import { Card } from "../components/page.tsx";
import { isFinal } from "../contract.ts";
import { formatBytes, formatDate, formatDateTime, formatMegabits } from "../format.ts";
import { pathOf } from "../models/router.ts";
import { ARCHIVED_WORDS, EXISTING_WORDS, JOB_TYPE_WORDS } from "../words.ts";
import { deletionText, destinationText, repetitionText, upperFirst } from "./job-sentences.ts";
import { scheduleText } from "./schedule-text.ts";

/** What was asked for. Nothing of it but the limit of the line changes while the job runs. */
export function JobDetails({ job }: { job: Job }) {
  const { config } = job;
  const { options } = config;
  return (
    <Card title="Details">
      <Facts
        facts={[
          { title: "Source", value: <FileName name={config.source.path} />, testId: "job-source-path" },
          {
            title: "Destination",
            value: upperFirst(destinationText(config.destination)),
            testId: "job-destination",
          },
          { title: "Agent", value: <a href={pathOf({ page: "agent", id: job.agentId })}>{job.agentName}</a> },
          { title: "Type", value: JOB_TYPE_WORDS[config.type] },
          ...(options.repetition ? [{ title: "Passes", value: repetitionText(options.repetition) }] : []),
          // Until the end it stands with the progress, where it can be changed.
          ...(isFinal(job.status) ? [{ title: "Line", value: lineText(config) }] : []),
          { title: "Streams", value: `${options.concurrency}, in chunks of ${options.chunkSizeMiB} MiB` },
          { title: "Verification", value: verificationText(options) },
          { title: "Already there", value: EXISTING_WORDS[options.existing] },
          ...((options.existing === "overwrite" || options.repetition) && options.archived
            ? [{ title: "There in Archive", value: ARCHIVED_WORDS[options.archived] }]
            : []),
          ...(options.deletion ? [{ title: "Source files", value: deletionText(options.deletion) }] : []),
          ...filterFacts(job),
          { title: "Run", value: String(job.epoch) },
          { title: "Created", value: formatDateTime(job.createdAt) },
          ...(job.startedAt === null ? [] : [{ title: "Started", value: formatDateTime(job.startedAt) }]),
          ...(job.finishedAt === null ? [] : [{ title: "Finished", value: formatDateTime(job.finishedAt) }]),
        ]}
      />
    </Card>
  );
}

function lineText({ options, schedule }: JobConfig): string {
  if (options.bandwidthMbps) return `At most ${formatMegabits(options.bandwidthMbps)}`;
  return schedule ? scheduleText(schedule) : "No limit";
}

function verificationText({ verify, readbackPercent }: TransferOptions): string {
  if (!verify) return "Off";
  return readbackPercent > 0 ? `On, ${readbackPercent}% of the files read back` : "On";
}

function filterFacts(job: Job) {
  const { filters } = job.config.options;
  return [
    ...(filters.include.length === 0
      ? []
      : [{ title: "Only", value: <Patterns patterns={filters.include} /> }]),
    ...(filters.exclude.length === 0
      ? []
      : [{ title: "Not", value: <Patterns patterns={filters.exclude} /> }]),
    ...(filters.modifiedAfter === null
      ? []
      : [{ title: "Modified on or after", value: formatDate(filters.modifiedAfter) }]),
    ...(filters.modifiedBefore === null
      ? []
      : [{ title: "Modified before", value: formatDate(filters.modifiedBefore) }]),
    ...(filters.sizeBytesMin === null
      ? []
      : [{ title: "At least", value: formatBytes(filters.sizeBytesMin) }]),
    ...(filters.sizeBytesMax === null
      ? []
      : [{ title: "At most", value: formatBytes(filters.sizeBytesMax) }]),
  ];
}

function Patterns({ patterns }: { patterns: readonly string[] }) {
  return (
    <span class="patterns">
      {patterns.map((pattern, index) => (
        <code key={index}>
          <FileName name={pattern} />
        </code>
      ))}
    </span>
  );
}
