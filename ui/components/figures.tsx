import type { ComponentChildren } from "preact";

export interface Figure {
  readonly title: string;
  readonly value: ComponentChildren;
  readonly testId?: string;
  readonly tone?: "danger" | "muted";
}

/** A row of numbers under their names. */
export function Figures({ figures }: { figures: readonly Figure[] }) {
  return (
    <dl class="figures">
      {figures.map((figure) => (
        <div key={figure.title} class={figure.tone === undefined ? "figure" : `figure figure-${figure.tone}`}>
          <dt>{figure.title}</dt>
          <dd data-testid={figure.testId}>{figure.value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** Names and what they stand for, one below the other. */
export function Facts({
  facts,
}: {
  facts: readonly { title: string; value: ComponentChildren; testId?: string }[];
}) {
  return (
    <dl class="facts">
      {facts.map((fact) => (
        <div key={fact.title}>
          <dt>{fact.title}</dt>
          <dd data-testid={fact.testId}>{fact.value}</dd>
        </div>
      ))}
    </dl>
  );
}
