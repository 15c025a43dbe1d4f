/** Which page of the settings is open; each is fetched when it is first opened. */
import "./settings.css";
import { later } from "../components/later.tsx";
import type { App } from "../models/app.ts";
import type { Route, SettingsPart } from "../models/router.ts";

const ApiKeysPage = later(async () => (await import("./api-keys-page.tsx")).ApiKeysPage);
const AuditPage = later(async () => (await import("./audit-page.tsx")).AuditPage);
const CodesPage = later(async () => (await import("./registration-codes-page.tsx")).RegistrationCodesPage);
const ConnectionNewPage = later(async () => (await import("./connection-new-page.tsx")).ConnectionNewPage);
const ConnectionsPage = later(async () => (await import("./connections-page.tsx")).ConnectionsPage);
const ConsentPage = later(async () => (await import("./consent-page.tsx")).ConsentPage);
const MembersPage = later(async () => (await import("./members-page.tsx")).MembersPage);
const SessionsPage = later(async () => (await import("./sessions-page.tsx")).SessionsPage);
const SettingsPage = later(async () => (await import("./settings-page.tsx")).SettingsPage);
const WebhooksPage = later(async () => (await import("./webhooks-page.tsx")).WebhooksPage);

type SettingsRoute = Extract<
  Route,
  { page: "settings" | "settings-part" | "connection-new" | "connection-return" }
>;

export function SettingsPages({ app, route }: { app: App; route: SettingsRoute }) {
  switch (route.page) {
    case "settings":
      return <SettingsPage app={app} />;
    case "settings-part":
      return <Part app={app} part={route.part} />;
    case "connection-new":
      return <ConnectionNewPage app={app} />;
    case "connection-return":
      return route.outcome === "consent" ? (
        <ConsentPage key={route.value} app={app} id={route.value} />
      ) : (
        <ConnectionsPage app={app} returned={{ outcome: route.outcome, value: route.value }} />
      );
  }
}

function Part({ app, part }: { app: App; part: SettingsPart }) {
  switch (part) {
    case "storage":
      return <ConnectionsPage app={app} returned={null} />;
    case "members":
      return <MembersPage app={app} />;
    case "sessions":
      return <SessionsPage app={app} />;
    case "codes":
      return <CodesPage app={app} />;
    case "api-keys":
      return <ApiKeysPage app={app} />;
    case "webhooks":
      return <WebhooksPage app={app} />;
    case "audit":
      return <AuditPage app={app} />;
  }
}
