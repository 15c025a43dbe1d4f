/** Where a job's report and lists are, to be taken along. */
import { pathOf } from "../models/router.ts";

export interface JobFiles {
  readonly print: string;
  readonly reportCsv: string;
  readonly reportJson: string;
  readonly filesCsv: string;
  readonly manifest: string;
}

export function filesOf(jobId: string): JobFiles {
  const id = encodeURIComponent(jobId);
  return {
    print: pathOf({ page: "job-print", id: jobId }),
    // With the mark by which Excel knows UTF-8.
    reportCsv: `/api/jobs/${id}/report.csv?bom=1`,
    reportJson: `/api/jobs/${id}/report.json`,
    filesCsv: `/api/jobs/${id}/files.csv?bom=1`,
    manifest: `/api/jobs/${id}/manifest`,
  };
}
