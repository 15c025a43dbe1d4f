/** The frame around every page (Hub Bar, navigation, toasts), and which page stands in it. */
import { useLayoutEffect, useRef } from "preact/hooks";
import type { Session } from "../schema/api.ts";
import { Badge, StateDot } from "./components/badge.tsx";
import { Button } from "./components/button.tsx";
import { EmptyState } from "./components/empty-state.tsx";
import { HubSearchButton } from "./components/hub-search-button.tsx";
import { Icon, type IconName } from "./components/icon.tsx";
import { later } from "./components/later.tsx";
import { ToastList } from "./components/toast-list.tsx";
import { type App, topicOf } from "./models/app.ts";
import { pathOf, type Route } from "./models/router.ts";
import { DashboardPage } from "./views/dashboard-page.tsx";
import { JobPage } from "./views/job-page.tsx";
import { NotFoundPage } from "./views/not-found-page.tsx";
import { SignedOutPage } from "./views/signed-out-page.tsx";
import { LIVE_STATE_WORDS, ROLE_WORDS } from "./words.ts";
import { app as texts } from "./texts/frame.ts";

// All but the first view is fetched when it is opened.
const AgentsPage = later(async () => (await import("./views/agents-page.tsx")).AgentsPage);
const ClientPage = later(async () => (await import("./views/client-page.tsx")).ClientPage);
const ClientsPage = later(async () => (await import("./views/clients-page.tsx")).ClientsPage);
const DownloadsPage = later(async () => (await import("./views/downloads-page.tsx")).DownloadsPage);
const JobPrintPage = later(async () => (await import("./views/job-print-page.tsx")).JobPrintPage);
const JobsPage = later(async () => (await import("./views/jobs-page.tsx")).JobsPage);
const ProjectPage = later(async () => (await import("./views/project-page.tsx")).ProjectPage);
const ProjectsPage = later(async () => (await import("./views/projects-page.tsx")).ProjectsPage);
const ReportsPage = later(async () => (await import("./views/reports-page.tsx")).ReportsPage);
const AgentPage = later(async () => (await import("./views/agent-page.tsx")).AgentPage);
const ClientEditPage = later(async () => (await import("./views/client-form-page.tsx")).ClientEditPage);
const ClientNewPage = later(async () => (await import("./views/client-form-page.tsx")).ClientNewPage);
const HubLeave = later(async () => (await import("./components/hub-leave.tsx")).HubLeave, "part of a page");
const HubNotifications = later(
  async () => (await import("./components/hub-notifications.tsx")).HubNotifications,
  "part of a page",
);
const JobNewPage = later(async () => (await import("./views/job-new-page.tsx")).JobNewPage);
const NotAllowedPage = later(async () => (await import("./views/not-allowed-page.tsx")).NotAllowedPage);
const ProjectEditPage = later(async () => (await import("./views/project-form-page.tsx")).ProjectEditPage);
const ProjectNewPage = later(async () => (await import("./views/project-form-page.tsx")).ProjectNewPage);
const RegisterAgentPage = later(
  async () => (await import("./views/register-agent-page.tsx")).RegisterAgentPage,
);
const SettingsPages = later(async () => (await import("./views/settings-pages.tsx")).SettingsPages);

interface Place {
  readonly text: string;
  readonly icon: IconName;
  readonly route: Route;
  /** Routes whose page begins with this belong here. */
  readonly pages: RegExp;
}

const PLACES: readonly Place[] = [
  { text: texts.dashboard, icon: "dashboard", route: { page: "dashboard" }, pages: /^dashboard/ },
  { text: texts.clients, icon: "client", route: { page: "clients" }, pages: /^client/ },
  { text: texts.projects, icon: "project", route: { page: "projects" }, pages: /^project/ },
  { text: texts.jobs, icon: "job", route: { page: "jobs", state: "all" }, pages: /^job/ },
  { text: texts.agents, icon: "agent", route: { page: "agents" }, pages: /^agent/ },
  { text: texts.reports, icon: "report", route: { page: "reports" }, pages: /^reports/ },
  { text: texts.downloads, icon: "download", route: { page: "downloads" }, pages: /^downloads/ },
  { text: texts.settings, icon: "settings", route: { page: "settings" }, pages: /^(settings|connection)/ },
];

/** So many stand at the foot of a phone; the others are under "More". */
const PHONE_PLACES = 4;

export function Root({ app }: { app: App }) {
  const current = app.session.current.value;
  switch (current.state) {
    case "unknown":
      return <div class="blank" aria-busy="true" aria-label={texts.loading} />;
    case "signed_out":
      return <SignedOutPage app={app} ended={current.ended} />;
    case "failed":
      return (
        <main class="signed-out">
          <EmptyState
            icon="warning"
            title={texts.migrateCouldNotLoaded}
            action={<Button onPress={() => void app.session.load()}>{texts.tryAgain}</Button>}
          >
            {current.problem}.
          </EmptyState>
        </main>
      );
    case "signed_in":
      return <Frame app={app} session={current.session} />;
  }
}

function Frame({ app, session }: { app: App; session: Session }) {
  const route = app.router.route.value;
  const main = useRef<HTMLElement>(null);
  // Without the query, which only says how a list is shown.
  const path = pathOf(route).split("?")[0] ?? "";
  const pathSeen = useRef(path);
  useLayoutEffect(() => {
    if (pathSeen.current === path) return;
    pathSeen.current = path;
    // As after a real page load: from the top, and a screen reader hears the new page's name. Before it is painted: later
    // the focus would be taken from who already types.
    scrollTo(0, 0);
    main.current?.querySelector<HTMLElement>("h1")?.focus({ preventScroll: true });
  }, [path]);
  return (
    <div class="frame" onClick={(event) => followLink(app, event)}>
      <HubBar app={app} session={session} />
      <nav class="places" aria-label={texts.main}>
        {PLACES.map((place, index) => (
          <PlaceLink key={place.text} place={place} route={route} isRest={index >= PHONE_PLACES} />
        ))}
        <details class="menu places-more">
          <summary
            class={
              PLACES.slice(PHONE_PLACES).some(({ pages }) => pages.test(route.page))
                ? "place place-here"
                : "place"
            }
            data-testid="more-places"
          >
            <Icon name="more" size={20} />
            <span>{texts.more}</span>
          </summary>
          <div class="menu-sheet">
            {PLACES.slice(PHONE_PLACES).map((place) => (
              <PlaceLink key={place.text} place={place} route={route} isRest={false} />
            ))}
          </div>
        </details>
      </nav>
      <main ref={main} class="main">
        <CurrentPage app={app} route={route} />
      </main>
      <ToastList toasts={app.toasts.shown.value} onDismiss={app.toasts.dismiss} />
    </div>
  );
}

function PlaceLink({ place, route, isRest }: { place: Place; route: Route; isRest: boolean }) {
  const isHere = place.pages.test(route.page);
  return (
    <a
      href={pathOf(place.route)}
      class={`place${isHere ? " place-here" : ""}${isRest ? " place-rest" : ""}`}
      aria-current={isHere ? "page" : undefined}
    >
      <Icon name={place.icon} size={20} />
      <span>{place.text}</span>
    </a>
  );
}

function HubBar({ app, session }: { app: App; session: Session }) {
  const live = app.live.state.value;
  const { user, organization } = session;
  return (
    <header class="hub-bar">
      <a class="icon-button" href={session.hubUrl} aria-label={texts.allApps} title={texts.allApps}>
        <Icon name="apps" />
      </a>
      <a class="product" href="/">
        <img src="/icon.svg" width="22" height="22" alt="" />
        <span>{texts.migrate}</span>
      </a>
      <span class="organization">{organization.name}</span>
      <span class="hub-bar-rest" />
      <HubSearchButton app={app} />
      {topicOf(app.router.route.value) !== null && (
        <span role="status">
          <StateDot words={LIVE_STATE_WORDS[live]} testId="live-state" />
        </span>
      )}
      <span class="hub-bell">
        <HubNotifications app={app} />
      </span>
      <details class="menu">
        <summary data-testid="user-menu">
          <span class="avatar" data-initials={initialsOf(user.name)} />
          <span class="unseen">{texts.accountOf(user.name)}</span>
        </summary>
        <div class="menu-sheet">
          <p class="menu-name">{user.name}</p>
          <p class="menu-line">{user.email}</p>
          <p class="menu-line">
            {organization.name} <Badge words={{ text: ROLE_WORDS[user.role], tone: "neutral" }} />
          </p>
          <Button
            testId="sign-out"
            onPress={() =>
              app.unsaved.leave(
                () =>
                  void app.session.signOut().catch(() => app.toasts.show("danger", texts.couldNotSignOut)),
              )
            }
          >
            {texts.signOut}
          </Button>
        </div>
      </details>
      <HubLeave app={app} />
    </header>
  );
}

/** Pages that are nothing but a form. */
const FORM_PAGES: readonly Route["page"][] = [
  "client-new",
  "client-edit",
  "project-new",
  "project-edit",
  "job-new",
];

function CurrentPage({ app, route }: { app: App; route: Route }) {
  if (FORM_PAGES.includes(route.page) && !app.session.rights.value.write) return <NotAllowedPage />;
  switch (route.page) {
    case "dashboard":
      return <DashboardPage app={app} />;
    case "clients":
      return <ClientsPage app={app} route={route} />;
    case "client-new":
      return <ClientNewPage app={app} />;
    case "client":
      return <ClientPage key={route.id} app={app} id={route.id} />;
    case "client-edit":
      return <ClientEditPage key={route.id} app={app} id={route.id} />;
    case "projects":
      return <ProjectsPage app={app} route={route} />;
    case "project-new":
      return <ProjectNewPage app={app} clientId={route.clientId} />;
    case "project":
      return <ProjectPage key={route.id} app={app} id={route.id} />;
    case "project-edit":
      return <ProjectEditPage key={route.id} app={app} id={route.id} />;
    case "jobs":
      return <JobsPage app={app} route={route} />;
    case "job-new":
      return <JobNewPage app={app} projectId={route.projectId} />;
    case "job":
      return <JobPage key={route.id} app={app} id={route.id} />;
    case "job-print":
      return <JobPrintPage key={route.id} app={app} id={route.id} />;
    case "reports":
      return <ReportsPage app={app} route={route} />;
    case "downloads":
      return <DownloadsPage app={app} />;
    case "agents":
      return <AgentsPage app={app} route={route} />;
    case "agent-register":
      return <RegisterAgentPage app={app} />;
    case "agent":
      return <AgentPage key={route.id} app={app} id={route.id} />;
    case "settings":
    case "settings-part":
    case "connection-new":
    case "connection-return":
      return <SettingsPages app={app} route={route} />;
    case "not-found":
      return <NotFoundPage />;
  }
}

/** Plain links open our own pages without a page load; everything else (new tab, other sites) stays with the browser. */
function followLink(app: App, event: MouseEvent): void {
  const target = event.target instanceof Element ? event.target : null;
  closeMenus(target);
  const link = target?.closest("a");
  if (!link || event.defaultPrevented || event.button !== 0) return;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  if (link.target !== "" || link.origin !== location.origin) return;
  if (app.router.open(link.pathname + link.search)) event.preventDefault();
}

/** A menu closes when something else is pressed, or a link in it, which `details` does not do by itself. */
function closeMenus(target: Element | null): void {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    const isLeft = target === null || !menu.contains(target) || target.closest("a") !== null;
    if (isLeft) menu.removeAttribute("open");
  }
}

function initialsOf(name: string): string {
  const words = name.split(/\s+/).filter((word) => word !== "");
  return [words[0], words.length > 1 ? words[words.length - 1] : undefined]
    .map((word) => [...(word ?? "")][0] ?? "")
    .join("")
    .toUpperCase();
}
