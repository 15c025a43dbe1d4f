import type { ComponentChildren } from "preact";
import { Icon, type IconName } from "./icon.tsx";

/** What stands where there is nothing yet: what will be here, and what to do next. */
export function EmptyState(props: {
  icon: IconName;
  title: string;
  children?: ComponentChildren;
  action?: ComponentChildren;
}) {
  return (
    <div class="empty">
      <span class="empty-icon">
        <Icon name={props.icon} size={22} />
      </span>
      <p class="empty-title">{props.title}</p>
      {props.children !== undefined && <p class="empty-text">{props.children}</p>}
      {props.action !== undefined && <div class="empty-action">{props.action}</div>}
    </div>
  );
}
