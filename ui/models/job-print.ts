/**
 * A job's report as it is printed: the document that the API makes, kept to the byte, so that its digest on the paper is the
 * digest of the file that can be saved beside it.
 */
import { computed, type ReadonlySignal } from "@preact/signals";
import type { Job } from "../../schema/api.ts";
import type { JobReportDocument } from "../../schema/reports.ts";
import type { Api } from "../api.ts";
import { createRemote, type Remote } from "./remote.ts";

export interface PrintedReport {
  readonly document: JobReportDocument;
  readonly job: Job;
  /** The document as it came. */
  readonly text: string;
  /** SHA-256 of that; null where the browser will not say, as on a plain http page. */
  readonly sha256: string | null;
  /** The site's, where the job has a schedule; else the reader's. */
  readonly timeZone: string;
}

export interface JobPrintModel {
  readonly remote: ReadonlySignal<Remote<PrintedReport>>;
  readonly report: ReadonlySignal<PrintedReport | null>;
  reload(): Promise<void>;
  open(): void;
  close(): void;
}

export interface JobPrintWorld {
  readonly api: Api;
  readonly timeZone: string;
}

export function createJobPrint(
  { api, timeZone }: JobPrintWorld,
  jobId: string,
  digest: (text: string) => Promise<string | null>,
): JobPrintModel {
  const told = createRemote<PrintedReport>(async (abort) => {
    const [job, text] = await Promise.all([api.jobs.get(jobId, abort), api.jobs.reportText(jobId, abort)]);
    return {
      document: JSON.parse(text) as JobReportDocument,
      job,
      text,
      sha256: await digest(text),
      timeZone: job.config.schedule?.timeZone ?? timeZone,
    };
  });
  return {
    remote: told.remote,
    report: computed(() => told.value.value),
    reload: told.reload,
    open: () => void told.reload(),
    close: told.close,
  };
}

/** Of a text in UTF-8, as lower-case hexadecimal; null where there is no such function, as outside of secure contexts. */
export async function sha256Hex(text: string): Promise<string | null> {
  const subtle: SubtleCrypto | undefined = globalThis.crypto.subtle;
  if (subtle === undefined) return null;
  const digest = await subtle.digest("SHA-256", new TextEncoder().encode(text));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
