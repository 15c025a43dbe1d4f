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
import { jobDetails as texts } from "../texts/job.ts";

/** What was asked for. Nothing of it but the limit of the line changes while the job runs. */
export function JobDetails({ job }: { job: Job }) {
  const { config } = job;
  const { options } = config;
  return (
    <Card title={texts.details}>
      <Facts
        facts={[
          { title: texts.source, value: <FileName name={config.source.path} />, testId: "job-source-path" },
          {
            title: texts.destination,
            value: upperFirst(destinationText(config.destination)),
            testId: "job-destination",
          },
          {
            title: texts.agent,
            value: <a href={pathOf({ page: "agent", id: job.agentId })}>{job.agentName}</a>,
          },
          { title: texts.type, value: JOB_TYPE_WORDS[config.type] },
          ...(options.repetition ? [{ title: texts.passes, value: repetitionText(options.repetition) }] : []),
          // Until the end it stands with the progress, where it can be changed.
          ...(isFinal(job.status) ? [{ title: texts.line, value: lineText(config) }] : []),
          { title: texts.streams, value: texts.inChunksOf(options.concurrency, options.chunkSizeMiB) },
          { title: texts.verification, value: verificationText(options) },
          { title: texts.alreadyThere, value: EXISTING_WORDS[options.existing] },
          ...((options.existing === "overwrite" || options.repetition) && options.archived
            ? [{ title: texts.thereInArchive, value: ARCHIVED_WORDS[options.archived] }]
            : []),
          ...(options.deletion ? [{ title: texts.sourceFiles, value: deletionText(options.deletion) }] : []),
          ...filterFacts(job),
          { title: texts.run, value: String(job.epoch) },
          { title: texts.created, value: formatDateTime(job.createdAt) },
          ...(job.startedAt === null ? [] : [{ title: texts.started, value: formatDateTime(job.startedAt) }]),
          ...(job.finishedAt === null
            ? []
            : [{ title: texts.finished, value: formatDateTime(job.finishedAt) }]),
        ]}
      />
    </Card>
  );
}

function lineText({ options, schedule }: JobConfig): string {
  if (options.bandwidthMbps) return texts.atMost(formatMegabits(options.bandwidthMbps));
  return schedule ? scheduleText(schedule) : texts.noLimit;
}

function verificationText({ verify, readbackPercent }: TransferOptions): string {
  if (!verify) return texts.off;
  return readbackPercent > 0 ? texts.filesReadBack(readbackPercent) : texts.on;
}

function filterFacts(job: Job) {
  const { filters } = job.config.options;
  return [
    ...(filters.include.length === 0
      ? []
      : [{ title: texts.only, value: <Patterns patterns={filters.include} /> }]),
    ...(filters.exclude.length === 0
      ? []
      : [{ title: texts.not, value: <Patterns patterns={filters.exclude} /> }]),
    ...(filters.modifiedAfter === null
      ? []
      : [{ title: texts.modifiedOnOrAfter, value: formatDate(filters.modifiedAfter) }]),
    ...(filters.modifiedBefore === null
      ? []
      : [{ title: texts.modifiedBefore, value: formatDate(filters.modifiedBefore) }]),
    ...(filters.sizeBytesMin === null
      ? []
      : [{ title: texts.atLeast, value: formatBytes(filters.sizeBytesMin) }]),
    ...(filters.sizeBytesMax === null
      ? []
      : [{ title: texts.atMost2, value: formatBytes(filters.sizeBytesMax) }]),
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
