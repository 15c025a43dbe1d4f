import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import { visibleText } from "../plain-text.ts";
import { Icon } from "./icon.tsx";

export interface Crumb {
  readonly text: string;
  readonly href: string;
}

/** The head of every page: where it belongs, what it is called, what can be done. */
export function Page(props: {
  title: string;
  crumb?: Crumb;
  lead?: ComponentChildren;
  badge?: ComponentChildren;
  actions?: ComponentChildren;
  narrow?: boolean;
  children: ComponentChildren;
}) {
  useEffect(() => {
    document.title = `${visibleText(props.title)} · Migrate`;
  }, [props.title]);
  return (
    <div class={props.narrow === true ? "page page-narrow" : "page"}>
      <header class="page-head">
        <div class="page-title">
          {props.crumb && (
            <a class="crumb" href={props.crumb.href}>
              <Icon name="back" size={14} />
              <span>{props.crumb.text}</span>
            </a>
          )}
          <div class="page-name">
            <h1 tabIndex={-1} title={props.title}>
              {props.title}
            </h1>
            {props.badge}
          </div>
          {props.lead !== undefined && <p class="lead">{props.lead}</p>}
        </div>
        {props.actions !== undefined && <div class="page-actions">{props.actions}</div>}
      </header>
      {props.children}
    </div>
  );
}

/** A surface with an optional head of its own. */
export function Card(props: {
  title?: string;
  actions?: ComponentChildren;
  testId?: string;
  flush?: boolean;
  children: ComponentChildren;
}) {
  return (
    <section class={props.flush === true ? "card card-flush" : "card"} data-testid={props.testId}>
      {(props.title !== undefined || props.actions !== undefined) && (
        <header class="card-head">
          <h2>{props.title}</h2>
          {props.actions !== undefined && <div class="card-actions">{props.actions}</div>}
        </header>
      )}
      {props.children}
    </section>
  );
}
