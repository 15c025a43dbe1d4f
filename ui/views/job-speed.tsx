/** The speed of a job over time, with the limit of its line; fetched only where there is something to draw. */
import { later } from "../components/later.tsx";
import { formatDuration, formatMegabits, formatSpeed } from "../format.ts";
import { type SpeedSample, summaryOf } from "../models/job-speed.ts";
import { jobSpeed as texts } from "../texts/job.ts";

const SpeedChart = later(
  async () => (await import("../components/speed-chart.tsx")).SpeedChart,
  "part of a page",
);

export function JobSpeed({ samples }: { samples: readonly SpeedSample[] }) {
  const summary = summaryOf(samples);
  if (summary === null) return null;
  const limit = samples.findLast(({ bytesPerSecond }) => bytesPerSecond !== null)?.limitMegabits ?? null;
  return (
    <figure class="speed" data-testid="speed-chart">
      <figcaption class="speed-caption">
        <span class="muted">
          {texts.speedLast}
          {formatDuration(summary.spanMs)}
        </span>
        {limit !== null && (
          <span class="speed-limit-key" data-testid="speed-limit">
            {texts.limit}
            {formatMegabits(limit)}
          </span>
        )}
      </figcaption>
      <div
        role="img"
        aria-label={texts.speedOverLastNow(
          formatDuration(summary.spanMs),
          formatSpeed(summary.latest),
          formatSpeed(summary.average),
          formatSpeed(summary.lowest),
          formatSpeed(summary.highest),
          limit === null ? "" : texts.theLimitIs(formatMegabits(limit)),
        )}
      >
        <SpeedChart samples={samples} />
      </div>
    </figure>
  );
}
