/** The files that were not moved, by cause: how many, what to do, and which ones. */
import type { FileFailure } from "../../schema/job.ts";
import { FileName } from "../components/file-name.tsx";
import { Card } from "../components/page.tsx";
import { formatCount, formatCountOf } from "../format.ts";
import { type Cause, causesOf, detailOf } from "./job-causes.ts";
import { jobFailures as texts } from "../texts/job.ts";

/** So few are shown at once without being asked for. */
const OPEN_MAX = 5;

export function JobFailures(props: {
  failures: readonly FileFailure[];
  total: number;
  /** Where the table of the failed files is, once the run is over. */
  tablePath: string | null;
}) {
  if (props.total === 0) return null;
  const { failures, total } = props;
  const causes = causesOf(failures);
  return (
    <Card
      title={texts.notMoved(formatCountOf(total, "file"))}
      testId="failures"
      flush
      actions={
        props.tablePath !== null && (
          <a class="button button-quiet" href={props.tablePath} download="" data-testid="failures-csv">
            {texts.exportCsv}
          </a>
        )
      }
    >
      <ul class="causes">
        {causes.map((cause) => (
          <CauseItem key={cause.code} cause={cause} isOpen={failures.length <= OPEN_MAX} />
        ))}
      </ul>
      {failures.length > 0 && total > failures.length && (
        <p class="causes-rest muted">
          {texts.theseAreTheFirst}
          {formatCount(failures.length)}
          {texts.listAllFilesReport}
        </p>
      )}
    </Card>
  );
}

function FailureDetail({ text, title }: { text: string; title: string }) {
  if (text === "" || text === title) return null;
  return (
    <span class="failure-detail muted">
      <FileName name={text} />
    </span>
  );
}

function CauseItem({ cause, isOpen }: { cause: Cause; isOpen: boolean }) {
  const { title, next, failures } = cause;
  return (
    <li class="cause" data-testid="cause">
      <div class="cause-head">
        <strong>{title}</strong>
        <span class="cause-count numbers">{formatCountOf(failures.length, "file")}</span>
      </div>
      <p class="cause-next">{next}</p>
      <details open={isOpen} class="cause-paths">
        <summary>{failures.length === 1 ? texts.whichFile : texts.whichFiles}</summary>
        <ul class="failures">
          {failures.map(({ path, message }) => (
            <li key={path} data-testid="failure">
              <span class="failure-path">
                <FileName name={path} />
              </span>
              <FailureDetail text={detailOf({ path, message })} title={title} />
            </li>
          ))}
        </ul>
      </details>
    </li>
  );
}
