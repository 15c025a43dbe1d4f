import type { Job } from "../../schema/api.ts";
import { Facts } from "../components/figures.tsx";
import { FileName } from "../components/file-name.tsx";
import { Card } from "../components/page.tsx";
import { formatBytes, formatDate, formatDateTime } from "../format.ts";
import { pathOf } from "../models/router.ts";
import { EXISTING_WORDS, JOB_TYPE_WORDS } from "../words.ts";
import { destinationText } from "./job-sentences.ts";

/** What was asked for. It does not change while the job runs. */
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
          { title: "Streams", value: `${options.concurrency}, in chunks of ${options.chunkSizeMiB} MiB` },
          { title: "Verification", value: options.verify ? "On" : "Off" },
          { title: "Already there", value: EXISTING_WORDS[options.existing] },
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

function upperFirst(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
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
