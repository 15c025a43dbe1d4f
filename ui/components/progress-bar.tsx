export interface ProgressPart {
  readonly kind: "completed" | "skipped" | "failed" | "flight";
  /** Of the whole, 0 to 1. */
  readonly fraction: number;
}

/** A bar by bytes, in parts. Without a fraction the whole is not known yet and the bar only shows that work goes on. */
export function ProgressBar(props: {
  label: string;
  fraction: number | null;
  parts: readonly ProgressPart[];
  tone: "active" | "still" | "failed" | "done";
  slim?: boolean;
}) {
  const known = props.fraction !== null;
  return (
    <div
      class={`bar bar-${props.tone}${props.slim === true ? " bar-slim" : ""}`}
      role="progressbar"
      aria-label={props.label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={known ? Math.floor((props.fraction ?? 0) * 100) : undefined}
    >
      {known
        ? props.parts.map((part) => (
            <span
              key={part.kind}
              class={`bar-${part.kind}`}
              style={{ width: `${Math.min(1, part.fraction) * 100}%` }}
            />
          ))
        : props.tone === "active" && <span class="bar-unknown" />}
    </div>
  );
}
