import type { Job } from "../../schema/api.ts";
import type { Deletion, JobReport } from "../../schema/job.ts";
import { Badge } from "../components/badge.tsx";
import { Facts, Figures } from "../components/figures.tsx";
import { FileName } from "../components/file-name.tsx";
import { Icon } from "../components/icon.tsx";
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
import { filesOf } from "./job-files.ts";
import { successText, wasTried } from "./job-sentences.ts";
import { noteWords, quarantineFolder, removalText, skippedText, stayTexts } from "./report-words.ts";
import { jobReport as texts } from "../texts/job-report.ts";

/** The end of a run, as the agent told it: what an MSP hands to its customer. */
export function JobReportCard({ report, job }: { report: JobReport; job: Job }) {
  const { totals } = report;
  const { options } = job.config;
  const failed = { title: texts.failed, value: formatCount(totals.filesFailed), testId: "report-failed" };
  return (
    <Card
      title={texts.report}
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
          { title: texts.filesMoved, value: formatCount(totals.filesCompleted), testId: "report-files" },
          { title: texts.size, value: formatBytes(totals.bytesCompleted), testId: "report-bytes" },
          { title: texts.duration, value: formatDuration(report.activeMs), testId: "report-duration" },
          { title: texts.speed, value: averageSpeed(report), testId: "report-speed" },
          totals.filesFailed > 0 ? { ...failed, tone: "danger" } : failed,
          ...(wasTried(totals)
            ? [{ title: texts.successRate, value: successText(totals), testId: "report-success" }]
            : []),
        ]}
      />
      <Facts
        facts={[
          ...(totals.filesCompleted === 0
            ? []
            : [
                {
                  title: texts.verified,
                  value: (
                    <>
                      <span data-testid="report-verified">{formatCount(totals.filesVerified)}</span>
                      {texts.of} {formatCountOf(totals.filesCompleted, "file")}.{" "}
                      {VERIFICATION_WORDS[report.verification]}.
                    </>
                  ),
                },
              ]),
          ...(totals.filesReadBack > 0 || (options.readbackPercent > 0 && totals.filesCompleted > 0)
            ? [
                {
                  title: texts.readBack,
                  value: texts.readBackOf(
                    formatCount(totals.filesReadBack),
                    formatCountOf(totals.filesVerified, "verifiedFile"),
                  ),
                  testId: "report-read-back",
                },
              ]
            : []),
          ...(options.deletion ? removalFacts(report, job, options.deletion) : []),
          {
            title: texts.skipped,
            value: skippedText(totals.filesSkipped, job.preview),
            testId: "report-skipped",
          },
          { title: texts.sent, value: formatBytes(totals.bytesSent), testId: "report-sent" },
          { title: texts.from, value: formatDateTime(report.startedAt) },
          { title: texts.to, value: formatDateTime(report.finishedAt) },
          {
            title: texts.manifest,
            value:
              report.manifest === null ? (
                NOTHING
              ) : (
                <>
                  {formatCountOf(report.manifest.rows, "line")}
                  {texts.sha256}{" "}
                  <code class="digest" data-testid="report-manifest">
                    {report.manifest.sha256}
                  </code>
                </>
              ),
          },
        ]}
      />
      <Downloads report={report} job={job} />
    </Card>
  );
}

/** The lists of all files come a moment after the report, when the agent has brought them. */
function Downloads({ report, job }: { report: JobReport; job: Job }) {
  const files = filesOf(job.id);
  return (
    <div class="report-links">
      <a class="button button-plain" href={files.print} data-testid="print-report">
        <Icon name="file" size={16} />
        {texts.printableReport}
      </a>
      <a class="button button-quiet" href={files.reportCsv} download="">
        {texts.csv}
      </a>
      <a class="button button-quiet" href={files.reportJson} download="">
        {texts.json}
      </a>
      {report.manifest !== null && (
        <>
          <a class="button button-quiet" href={files.filesCsv} download="">
            {texts.allFilesCsv}
          </a>
          <a class="button button-quiet" href={files.manifest} download="">
            {texts.manifest}
          </a>
        </>
      )}
    </div>
  );
}

/** Where the source's files are now; of a run that did not come so far, only how many had left. */
function removalFacts({ removal, totals }: JobReport, job: Job, deletion: Deletion) {
  const title = texts.removedAtSource;
  if (!removal) {
    const value = deletion.dryRun ? texts.nothingDryRun : formatCountOf(totals.filesDeleted, "file");
    return [{ title, value, testId: "report-deleted" }];
  }
  const folder = quarantineFolder(removal, { id: job.id, sourcePath: job.config.source.path });
  const stays = stayTexts(removal.stays);
  return [
    { title, value: removalText(removal, deletion), testId: "report-deleted" },
    ...(folder === null
      ? []
      : [{ title: texts.quarantine, value: <FileName name={folder} />, testId: "report-quarantine" }]),
    ...(stays.length === 0
      ? []
      : [
          {
            title: deletion.dryRun ? texts.wouldStay : texts.stayAtSource,
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
