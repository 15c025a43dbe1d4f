import type { Usage } from "../../schema/reports.ts";
import { Figures } from "../components/figures.tsx";
import { Card } from "../components/page.tsx";
import { formatBytes, formatCount } from "../format.ts";
import { usageCard as texts } from "../texts/pages.ts";

/** What the jobs of a client or a project have moved, over all their runs, and the way to all of it as a table. */
export function UsageCard({ usage, path }: { usage: Usage | null; path: string }) {
  if (usage === null) return null;
  const { completed, failed, cancelled, ...going } = usage.jobs;
  const active = Object.values(going).reduce((sum, count) => sum + count, 0);
  if (active + completed + failed + cancelled === 0) return null;
  return (
    <Card
      title={texts.movedSoFar}
      testId="usage"
      actions={
        <>
          <a href={`${path}/report.csv`} download data-testid="report-csv">
            {texts.csv}
          </a>
          <a href={`${path}/report.json`} download>
            {texts.json}
          </a>
        </>
      }
    >
      <Figures
        figures={[
          { title: texts.sent, value: formatBytes(usage.bytesTransferred), testId: "usage-bytes" },
          { title: texts.files, value: formatCount(usage.filesTransferred), testId: "usage-files" },
          { title: texts.activeJobs, value: formatCount(active) },
          { title: texts.completedJobs, value: formatCount(completed), testId: "usage-completed" },
          failed > 0
            ? { title: texts.failedJobs, value: formatCount(failed), tone: "danger" }
            : { title: texts.failedJobs, value: "0" },
        ]}
      />
    </Card>
  );
}
