import type { JobReport, TransferOptions } from "../../schema/job.ts";
import { Badge } from "../components/badge.tsx";
import { Facts, Figures } from "../components/figures.tsx";
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
import { removedText, successText } from "./job-sentences.ts";

/** The end of a run, as the agent told it: what an MSP hands to its customer. */
export function JobReportCard({ report, options }: { report: JobReport; options: TransferOptions }) {
  const { totals } = report;
  const failed = { title: "Failed", value: formatCount(totals.filesFailed), testId: "report-failed" };
  return (
    <Card
      title="Report"
      testId="report"
      actions={<Badge words={JOB_STATUS_WORDS[report.outcome]} testId="report-outcome" />}
    >
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
          ...(options.deletion
            ? [
                {
                  title: "Removed at source",
                  value: removedText(totals.filesDeleted, options.deletion),
                  testId: "report-deleted",
                },
              ]
            : []),
          { title: "Skipped", value: formatCountOf(totals.filesSkipped, "file"), testId: "report-skipped" },
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

/** Over the time spent working: pauses and the agent's absence would say nothing about the line. */
function averageSpeed(report: JobReport): string {
  return report.activeMs === 0 ? NOTHING : formatSpeed((report.totals.bytesSent * 1_000) / report.activeMs);
}
