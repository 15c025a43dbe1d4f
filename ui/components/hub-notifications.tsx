/** The bell: how much needs a person now, and each with its next step. */
import "./hub-notifications.css";
import { useEffect, useMemo, useRef } from "preact/hooks";
import type { Notification } from "../../schema/notifications.ts";
import { formatCountOf } from "../format.ts";
import { createHomeApi } from "../home-api.ts";
import type { App } from "../models/app.ts";
import { createNotifications, routeOf } from "../models/notifications.ts";
import { pathOf } from "../models/router.ts";
import { EmptyState } from "./empty-state.tsx";
import { FileName } from "./file-name.tsx";
import { tell } from "./hub-words.ts";
import { Icon } from "./icon.tsx";
import { Loaded } from "./loaded.tsx";
import { hubNotifications as texts } from "../texts/hub.ts";

export function HubNotifications({ app }: { app: App }) {
  const menu = useRef<HTMLDetailsElement>(null);
  const model = useMemo(
    () =>
      createNotifications({
        home: createHomeApi(app.api),
        clock: app.clock,
        live: app.live,
        isVisible: () => document.visibilityState === "visible",
      }),
    [],
  );
  useEffect(() => {
    const wake = () => {
      if (document.visibilityState === "visible") model.wake();
    };
    model.open();
    document.addEventListener("visibilitychange", wake);
    return () => {
      document.removeEventListener("visibilitychange", wake);
      model.close();
    };
  }, []);
  const path = pathOf(app.router.route.value);
  useEffect(() => menu.current?.removeAttribute("open"), [path]);
  const badge = model.badge.value;
  return (
    <details
      ref={menu}
      class="menu notices"
      onToggle={(event) => event.currentTarget.open && model.wake()}
      onKeyDown={(event) => {
        if (event.key !== "Escape") return;
        event.currentTarget.removeAttribute("open");
        event.currentTarget.querySelector("summary")?.focus();
      }}
    >
      <summary
        class="icon-button"
        title={texts.notifications}
        aria-label={badge === "" ? texts.notificationsNone : texts.notifications2(badge)}
        data-testid="notifications"
      >
        <Icon name="bell" />
        {badge !== "" && (
          <span class="notices-badge" aria-hidden="true" data-testid="notifications-badge">
            {badge}
          </span>
        )}
      </summary>
      <div class="menu-sheet">
        <p class="notices-head">{texts.whatNeedsYouNow}</p>
        <Loaded remote={model.remote.value} onRetry={() => void model.reload()}>
          {({ items, more }) =>
            items.length === 0 ? (
              <EmptyState icon="check" title={texts.nothingNeedsYouNow}>
                {texts.jobsFailAgentsMissed}
              </EmptyState>
            ) : (
              <>
                <ul class="notices-list" data-testid="notifications-list">
                  {items.map((item) => (
                    <Notice key={keyOf(item)} app={app} item={item} />
                  ))}
                </ul>
                {more && <p class="notices-more">{texts.thereMoreAppearsHere}</p>}
              </>
            )
          }
        </Loaded>
      </div>
    </details>
  );
}

function Notice({ app, item }: { app: App; item: Notification }) {
  const told = tell(item, app.session.rights.value, app.nowMs.value);
  return (
    <li>
      <a class="notice-link" href={pathOf(routeOf(item))} data-testid={`notification-${item.kind}`}>
        <span class={`notice-icon badge-${told.tone}`}>
          <Icon name={told.icon} />
        </span>
        <span class="notice-words">
          <span class="notice-title">
            <span>{told.title}</span>
            {told.when !== null && <span>{told.when}</span>}
          </span>
          <strong>
            <FileName name={told.name} />
          </strong>
          <span class="muted">
            {told.text}
            {item.kind === "connection_refused" && <WaitingProjects item={item} />}
          </span>
          <span class="notice-next">{told.next}</span>
        </span>
      </a>
    </li>
  );
}

function WaitingProjects({ item }: { item: Extract<Notification, { kind: "connection_refused" }> }) {
  const unnamed = item.projectCount - item.projects.length;
  return (
    <span class="notice-projects">
      {item.projects.map(({ id, name }) => (
        <FileName key={id} name={name} />
      ))}
      {unnamed > 0 && <span>{texts.and(formatCountOf(unnamed, "other"))}</span>}
    </span>
  );
}

function keyOf(item: Notification): string {
  switch (item.kind) {
    case "connection_refused":
    case "connection_lapses":
      return item.connectionId;
    case "agent":
      return item.agentId;
    case "job_failed":
      return item.jobId;
  }
}
