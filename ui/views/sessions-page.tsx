import { useState } from "preact/hooks";
import type { SessionEntry } from "../../schema/sessions.ts";
import { Badge } from "../components/badge.tsx";
import { Button } from "../components/button.tsx";
import type { Column } from "../components/data-table.tsx";
import { ConfirmDialog } from "../components/dialog.tsx";
import { EmptyState } from "../components/empty-state.tsx";
import { formatAgo, formatDateTime, NOTHING } from "../format.ts";
import type { App } from "../models/app.ts";
import { createSessions, deviceOf, type SessionsModel, type SessionsOf } from "../models/sessions.ts";
import { keepFocus } from "./focus.ts";
import { ListCard } from "./list-card.tsx";
import { SettingsPart } from "./settings-part.tsx";
import { usePageModel } from "./use-page-model.ts";
import { sessionsPage as texts } from "../texts/settings.ts";

const TABS: readonly { readonly whose: SessionsOf; readonly text: string }[] = [
  { whose: "mine", text: texts.mine },
  { whose: "everybody", text: texts.everybodys },
];

export function SessionsPage({ app }: { app: App }) {
  const model = usePageModel(() => createSessions(app.api, app.toasts));
  const [asksOthers, setAsksOthers] = useState(false);
  const [ending, setEnding] = useState<SessionEntry | null>(null);
  return (
    <SettingsPart
      app={app}
      title={texts.sessions}
      lead={texts.everyBrowserSignedIf}
      actions={
        <Button testId="revoke-others" onPress={() => setAsksOthers(true)}>
          {texts.signOutEverywhereElse}
        </Button>
      }
    >
      {() => (
        <>
          {app.session.rights.value.administer && <Whose model={model} />}
          <ListCard
            label={texts.sessions}
            testId="sessions"
            list={model.list}
            columns={columnsFor({ model, nowMs: app.nowMs.value, end: setEnding })}
            empty={<EmptyState icon="user" title={texts.noSessions} />}
          />
          {asksOthers && (
            <ConfirmDialog
              title={texts.signOutEverywhereElse2}
              confirmText={texts.signOutEverywhereElse}
              cancelText={texts.staySignedIn}
              confirmTestId="confirm-revoke-others"
              onConfirm={() => void model.revokeOthers().then(keepFocus)}
              onClose={() => setAsksOthers(false)}
            >
              {texts.allYourOtherBrowsers}
            </ConfirmDialog>
          )}
          {ending !== null && (
            <ConfirmDialog
              title={texts.signOutThere}
              confirmText={texts.signOut}
              cancelText={texts.leaveIt}
              confirmTestId="confirm-revoke-session"
              onConfirm={() => void model.revoke(ending).then(keepFocus)}
              onClose={() => setEnding(null)}
            >
              {deviceOf(ending.userAgent)}
              {texts.of}
              {ending.user.name}
              {texts.signedOutOnceRunning}
            </ConfirmDialog>
          )}
        </>
      )}
    </SettingsPart>
  );
}

function Whose({ model }: { model: SessionsModel }) {
  return (
    <div class="tabs" role="group" aria-label={texts.whoseSessions}>
      {TABS.map(({ whose, text }) => (
        <button
          key={whose}
          type="button"
          class={whose === model.whose.value ? "tab tab-on" : "tab"}
          aria-pressed={whose === model.whose.value}
          data-testid={`sessions-${whose}`}
          onClick={() => model.show(whose)}
        >
          {text}
        </button>
      ))}
    </div>
  );
}

function columnsFor(told: {
  model: SessionsModel;
  nowMs: number;
  end: (entry: SessionEntry) => void;
}): readonly Column<SessionEntry>[] {
  const { model, nowMs } = told;
  return [
    {
      title: texts.browser,
      cell: (entry) => (
        <>
          <strong class="row-name">{deviceOf(entry.userAgent)}</strong>
          {entry.current && (
            <Badge words={{ text: texts.thisBrowser, tone: "accent" }} testId="session-current" />
          )}
          {model.whose.value === "everybody" && (
            <span class="under">
              {entry.user.name}, {entry.user.email}
            </span>
          )}
        </>
      ),
    },
    { title: texts.from, cell: (entry) => <span class="muted">{entry.address ?? NOTHING}</span> },
    {
      title: texts.lastUsed,
      cell: (entry) => <span class="muted">{formatAgo(entry.lastSeenAt, nowMs)}</span>,
    },
    {
      title: texts.since,
      desk: true,
      cell: (entry) => <span class="muted">{formatDateTime(entry.beganAt)}</span>,
    },
    {
      title: "",
      numeric: true,
      cell: (entry) =>
        // The way out of this browser is "Sign out" in the menu.
        !entry.current && (
          <span class="row-actions">
            <Button
              testId="revoke-session"
              busy={model.actions.busy.value.has(entry.id)}
              onPress={() => told.end(entry)}
            >
              {texts.signOut}
            </Button>
          </span>
        ),
    },
  ];
}
