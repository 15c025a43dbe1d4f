import type { FileFailure } from "../../schema/job.ts";
import { FileName } from "../components/file-name.tsx";
import { MoreButton } from "../components/more-button.tsx";
import { Card } from "../components/page.tsx";
import { formatCountOf } from "../format.ts";
import { failureSentence } from "../words.ts";

/** The files that were not moved, each with its reason. */
export function JobFailures(props: {
  failures: readonly FileFailure[];
  total: number;
  hasMore: boolean;
  onMore: () => void;
}) {
  if (props.total === 0) return null;
  return (
    <Card title={`${formatCountOf(props.total, "file")} not moved`} testId="failures" flush>
      <ul class="failures">
        {props.failures.map((failure) => (
          <li key={failure.path} data-testid="failure">
            <span class="failure-path">
              <FileName name={failure.path} />
            </span>
            <span class="muted">
              {failureSentence(failure.code, failure.message)}.{" "}
              {failure.message !== failureSentence(failure.code, failure.message) && (
                <span class="failure-detail">
                  <FileName name={failure.message} />
                </span>
              )}
            </span>
          </li>
        ))}
      </ul>
      <MoreButton hasMore={props.hasMore} busy={false} onMore={props.onMore} />
    </Card>
  );
}
