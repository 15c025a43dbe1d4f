import type { Job } from "../../schema/api.ts";
import type { Deletion, JobReport } from "../../schema/job.ts";
import { Badge } from "../components/badge.tsx";
import { Facts, Figures } from "../components/figures.tsx";
import { FileName } from "../components/file-name.tsx";
import { Notice } from "../components/loaded.tsx";
import { Card } from "../components/page.tsx";
import {
  formatBytes,
  formatCount,
  formatCountOf,
  formatDateTime,
  formatDuration,
  formatSpeed,
  NOTHING,
} from "../format.ts";
import { JOB_STATUS_WORDS, VERIFICATION_WORDS } from "../words.ts";
import { successText } from "./job-sentences.ts";
import { noteWords, quarantineFolder, removalText, skippedText, stayTexts } from "./report-words.ts";

/** The end of a run, as the agent told it: what an MSP hands to its customer. */
export function JobReportCard({ report, job }: { report: JobReport; job: Job }) {
  const { totals } = report;
  const { options } = job.config;
  const failed = { title: "Failed", value: formatCount(totals.filesFailed), testId: "report-failed" };
  return (
    <Card
      title="Report"
      testId="report"
      actions={<Badge words={JOB_STATUS_WORDS[report.outcome]} testId="report-outcome" />}
    >
      {noteWords(report.notes ?? []).map(({ text, tone }) => (
        <Notice key={text} tone={tone} testId="report-note">
          {text}
        </Notice>
      ))}
      <Figures
        figures={[
          { title: "Files moved", value: formatCount(totals.filesCompleted), testId: "report-files" },
          { title: "Size", value: formatBytes(totals.bytesCompleted), testId: "report-bytes" },
          { title: "Duration", value: formatDuration(report.activeMs), testId: "report-duration" },
          { title: "Speed", value: averageSpeed(report), testId: "report-speed" },
          totals.filesFailed > 0 ? { ...failed, tone: "danger" } : failed,
          { title: "Success rate", value: successText(totals), testId: "report-success" },
        ]}
      />
      <Facts
        facts={[
          {
            title: "Verified",
            value: (
              <>
                <span data-testid="report-verified">{formatCount(totals.filesVerified)}</span> of{" "}
                {formatCountOf(totals.filesCompleted, "file")}. {VERIFICATION_WORDS[report.verification]}.
              </>
            ),
          },
          ...(totals.filesReadBack > 0 || options.readbackPercent > 0
            ? [
                {
                  title: "Read back",
                  value: `${formatCount(totals.filesReadBack)} of ${formatCountOf(totals.filesVerified, "verified file")}, whole, and hashed again`,
                  testId: "report-read-back",
                },
              ]
            : []),
          ...(options.deletion ? removalFacts(report, job, options.deletion) : []),
          {
            title: "Skipped",
            value: skippedText(totals.filesSkipped, job.preview),
            testId: "report-skipped",
          },
          { title: "Sent", value: formatBytes(totals.bytesSent), testId: "report-sent" },
          { title: "From", value: formatDateTime(report.startedAt) },
          { title: "To", value: formatDateTime(report.finishedAt) },
          {
            title: "Manifest",
            value:
              report.manifest === null ? (
                NOTHING
              ) : (
                <>
                  {formatCountOf(report.manifest.rows, "line")}, SHA-256{" "}
                  <code class="digest" data-testid="report-manifest">
                    {report.manifest.sha256}
                  </code>
                </>
              ),
          },
        ]}
      />
    </Card>
  );
}

/** Where the source's files are now; of a run that did not come so far, only how many had left. */
function removalFacts({ removal, totals }: JobReport, job: Job, deletion: Deletion) {
  const title = "Removed at source";
  if (!removal) {
    const value = deletion.dryRun ? "Nothing: it was a dry run" : formatCountOf(totals.filesDeleted, "file");
    return [{ title, value, testId: "report-deleted" }];
  }
  const folder = quarantineFolder(removal, { id: job.id, sourcePath: job.config.source.path });
  const stays = stayTexts(removal.stays);
  return [
    { title, value: removalText(removal, deletion), testId: "report-deleted" },
    ...(folder === null
      ? []
      : [{ title: "Quarantine", value: <FileName name={folder} />, testId: "report-quarantine" }]),
    ...(stays.length === 0
      ? []
      : [
          {
            title: deletion.dryRun ? "Would stay" : "Stay at source",
            value: stays.map((text) => <div key={text}>{text}</div>),
            testId: "report-stays",
          },
        ]),
  ];
}

/** Over the time spent working: pauses and the agent's absence would say nothing about the line. */
function averageSpeed(report: JobReport): string {
  return report.activeMs === 0 ? NOTHING : formatSpeed((report.totals.bytesSent * 1_000) / report.activeMs);
}
