/** What happened to a job, when, and who did it. */
import { MoreButton } from "../components/more-button.tsx";
import { Card } from "../components/page.tsx";
import { FileName } from "../components/file-name.tsx";
import { formatDateTime } from "../format.ts";
import type { JobPageModel } from "../models/job.ts";
import { logActorText, logText } from "./job-log-words.ts";
import { jobLog as texts } from "../texts/job.ts";

export function JobLog({ log }: { log: JobPageModel["log"] }) {
  const entries = log.entries.value;
  if (entries.length === 0 && !log.failed.value) return null;
  return (
    <Card title={texts.log} testId="job-log" flush>
      {log.failed.value ? (
        <p class="log-empty muted">{texts.logCannotLoadedJust}</p>
      ) : (
        <ol class="log">
          {entries.map((entry, index) => {
            const actor = logActorText(entry);
            return (
              <li key={`${entry.at} ${entry.event} ${index}`} data-testid="log-entry">
                <time class="muted numbers" dateTime={entry.at}>
                  {formatDateTime(entry.at)}
                </time>
                <span>
                  <FileName name={logText(entry)} />
                  {actor !== "" && <span class="muted"> · {actor}</span>}
                </span>
              </li>
            );
          })}
        </ol>
      )}
      <MoreButton hasMore={log.hasMore.value} busy={log.loading.value} onMore={() => void log.more()} />
    </Card>
  );
}
