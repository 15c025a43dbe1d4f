/** The frame around every page (Hub Bar, navigation, toasts), and which page stands in it. */
import { useEffect, useRef } from "preact/hooks";
import type { Session } from "../schema/api.ts";
import { Badge, StateDot } from "./components/badge.tsx";
import { Button } from "./components/button.tsx";
import { EmptyState } from "./components/empty-state.tsx";
import { Icon, type IconName } from "./components/icon.tsx";
import { later } from "./components/later.tsx";
import { ToastList } from "./components/toast-list.tsx";
import { type App, topicOf } from "./models/app.ts";
import { pathOf, type Route } from "./models/router.ts";
import { AgentsPage } from "./views/agents-page.tsx";
import { ClientPage } from "./views/client-page.tsx";
import { ClientsPage } from "./views/clients-page.tsx";
import { DashboardPage } from "./views/dashboard-page.tsx";
import { JobPage } from "./views/job-page.tsx";
import { JobsPage } from "./views/jobs-page.tsx";
import { NotFoundPage } from "./views/not-found-page.tsx";
import { ProjectPage } from "./views/project-page.tsx";
import { ProjectsPage } from "./views/projects-page.tsx";
import { SignedOutPage } from "./views/signed-out-page.tsx";
import { LIVE_STATE_WORDS, ROLE_WORDS } from "./words.ts";

// Forms and pages one rarely opens; what shows how things stand is there at once.
const AgentPage = later(async () => (await import("./views/agent-page.tsx")).AgentPage);
const ClientEditPage = later(async () => (await import("./views/client-form-page.tsx")).ClientEditPage);
const ClientNewPage = later(async () => (await import("./views/client-form-page.tsx")).ClientNewPage);
const ConnectionNewPage = later(
  async () => (await import("./views/connection-new-page.tsx")).ConnectionNewPage,
);
const JobNewPage = later(async () => (await import("./views/job-new-page.tsx")).JobNewPage);
const ProjectEditPage = later(async () => (await import("./views/project-form-page.tsx")).ProjectEditPage);
const ProjectNewPage = later(async () => (await import("./views/project-form-page.tsx")).ProjectNewPage);
const RegisterAgentPage = later(
  async () => (await import("./views/register-agent-page.tsx")).RegisterAgentPage,
);
const SettingsPage = later(async () => (await import("./views/settings-page.tsx")).SettingsPage);

interface Place {
  readonly text: string;
  readonly icon: IconName;
  readonly route: Route;
  /** Routes whose page begins with this belong here. */
  readonly pages: RegExp;
}

const PLACES: readonly Place[] = [
  { text: "Dashboard", icon: "dashboard", route: { page: "dashboard" }, pages: /^dashboard/ },
  { text: "Clients", icon: "client", route: { page: "clients" }, pages: /^client/ },
  { text: "Projects", icon: "project", route: { page: "projects" }, pages: /^project/ },
  { text: "Jobs", icon: "job", route: { page: "jobs", state: "all" }, pages: /^job/ },
  { text: "Agents", icon: "agent", route: { page: "agents" }, pages: /^agent/ },
  { text: "Settings", icon: "settings", route: { page: "settings" }, pages: /^(settings|connection)/ },
];

export function Root({ app }: { app: App }) {
  const current = app.session.current.value;
  switch (current.state) {
    case "unknown":
      return <div class="blank" aria-busy="true" aria-label="Loading" />;
    case "signed_out":
      return <SignedOutPage />;
    case "failed":
      return (
        <main class="signed-out">
          <EmptyState
            icon="warning"
            title="Migrate could not be loaded"
            action={<Button onPress={() => void app.session.load()}>Try again</Button>}
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
  const path = pathOf(route);
  const pathSeen = useRef(path);
  useEffect(() => {
    if (pathSeen.current === path) return;
    pathSeen.current = path;
    // As after a real page load: from the top, and a screen reader hears the new page's name.
    scrollTo(0, 0);
    main.current?.querySelector<HTMLElement>("h1")?.focus({ preventScroll: true });
  }, [path]);
  return (
    <div class="frame" onClick={(event) => followLink(app, event)}>
      <HubBar app={app} session={session} />
      <nav class="places" aria-label="Main">
        {PLACES.map((place) => (
          <a
            key={place.text}
            href={pathOf(place.route)}
            class={place.pages.test(route.page) ? "place place-here" : "place"}
            aria-current={place.pages.test(route.page) ? "page" : undefined}
          >
            <Icon name={place.icon} size={20} />
            <span>{place.text}</span>
          </a>
        ))}
      </nav>
      <main ref={main} class="main">
        <CurrentPage app={app} route={route} />
      </main>
      <ToastList toasts={app.toasts.shown.value} onDismiss={app.toasts.dismiss} />
    </div>
  );
}

function HubBar({ app, session }: { app: App; session: Session }) {
  const live = app.live.state.value;
  const { user, organization } = session;
  return (
    <header class="hub-bar">
      <a class="icon-button" href={session.hubUrl} aria-label="All apps" title="All apps">
        <Icon name="apps" />
      </a>
      <a class="product" href="/">
        <img src="/icon.svg" width="22" height="22" alt="" />
        Migrate
      </a>
      <span class="organization">{organization.name}</span>
      <span class="hub-bar-rest" />
      {topicOf(app.router.route.value) !== null && (
        <span role="status">
          <StateDot words={LIVE_STATE_WORDS[live]} testId="live-state" />
        </span>
      )}
      <details class="menu">
        <summary aria-label={`Account of ${user.name}`} data-testid="user-menu">
          <span class="avatar">{initialsOf(user.name)}</span>
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
              void app.session
                .signOut()
                .catch(() => app.toasts.show("danger", "Could not sign out. Try again"))
            }
          >
            Sign out
          </Button>
        </div>
      </details>
    </header>
  );
}

function CurrentPage({ app, route }: { app: App; route: Route }) {
  switch (route.page) {
    case "dashboard":
      return <DashboardPage app={app} />;
    case "clients":
      return <ClientsPage app={app} />;
    case "client-new":
      return <ClientNewPage app={app} />;
    case "client":
      return <ClientPage key={route.id} app={app} id={route.id} />;
    case "client-edit":
      return <ClientEditPage key={route.id} app={app} id={route.id} />;
    case "projects":
      return <ProjectsPage app={app} />;
    case "project-new":
      return <ProjectNewPage app={app} clientId={route.clientId} />;
    case "project":
      return <ProjectPage key={route.id} app={app} id={route.id} />;
    case "project-edit":
      return <ProjectEditPage key={route.id} app={app} id={route.id} />;
    case "jobs":
      return <JobsPage key={route.state} app={app} state={route.state} />;
    case "job-new":
      return <JobNewPage app={app} projectId={route.projectId} />;
    case "job":
      return <JobPage key={route.id} app={app} id={route.id} />;
    case "agents":
      return <AgentsPage app={app} />;
    case "agent-register":
      return <RegisterAgentPage app={app} />;
    case "agent":
      return <AgentPage key={route.id} app={app} id={route.id} />;
    case "settings":
      return <SettingsPage app={app} />;
    case "connection-new":
      return <ConnectionNewPage app={app} />;
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

/** A menu closes when something else is pressed, which `details` does not do by itself. */
function closeMenus(target: Element | null): void {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (target === null || !menu.contains(target)) menu.removeAttribute("open");
  }
}

function initialsOf(name: string): string {
  const words = name.split(/\s+/).filter((word) => word !== "");
  return [words[0], words.length > 1 ? words[words.length - 1] : undefined]
    .map((word) => [...(word ?? "")][0] ?? "")
    .join("")
    .toUpperCase();
}
