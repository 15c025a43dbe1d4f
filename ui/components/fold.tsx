import type { ComponentChildren } from "preact";

/** A part of a form that most people leave as it is: closed it says in a few words how it stands. */
export function Fold(props: {
  title: string;
  summary: ComponentChildren;
  testId: string;
  children: ComponentChildren;
}) {
  return (
    <details class="fold" data-testid={props.testId}>
      <summary>
        <h2>{props.title}</h2>
        <span class="muted">{props.summary}</span>
      </summary>
      <div class="fold-body">{props.children}</div>
    </details>
  );
}
