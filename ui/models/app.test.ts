import { expect, test } from "vitest";
import { createSockets, createTestClock, pageWith, SESSION, settle } from "../test-world.ts";
import { createApp } from "./app.ts";
import { setupOf } from "./dashboard.ts";
import { parsePath } from "./router.ts";
import { rightsOf } from "./session.ts";
import { topicOf } from "./app.ts";
import { createUnsaved } from "./unsaved.ts";

/** A tab: its history, and what it keeps from page to page. */
function createTab(first = "/") {
  const tab = { history: [first], at: 0, kept: null as string | null, reloads: 0 };
  return {
    tab,
    here: () => tab.history[tab.at] ?? "",
    back: () => {
      tab.at = Math.max(0, tab.at - 1);
    },
  };
}

function setUp(answer: (path: string) => Response, browser = createTab()) {
  const clock = createTestClock();
  const sockets = createSockets();
  const unsaved = createUnsaved();
  const { tab } = browser;
  const app = createApp(
    {
      clock,
      fetch: (asked) => Promise.resolve(answer(asked)),
      openSocket: (asked, events) => sockets.open(asked, events),
      address: {
        read: browser.here,
        push(next) {
          tab.history = [...tab.history.slice(0, ++tab.at), next];
        },
        replace(next) {
          tab.history[tab.at] = next;
        },
      },
      origin: "https://app.example",
      timeZone: "Europe/Berlin",
      random: () => 0.5,
      uuid: () => "key-00000001",
      copy: () => Promise.resolve(),
      goBack() {
        browser.back();
        app.router.moved();
      },
      reload: () => tab.reloads++,
      note: { read: () => tab.kept, write: (text) => (tab.kept = text) },
    },
    unsaved,
  );
  return { clock, sockets, app, browser, unsaved };
}

const signedOut = () =>
  Response.json({ error: "Sign in first", code: "UNAUTHORIZED", details: null }, { status: 401 });

test("[U7] nobody signed in: the page says so and opens no socket", async () => {
  const { app, sockets } = setUp(signedOut);
  await app.session.load();
  expect(app.session.current.value.state).toBe("signed_out");
  expect(sockets.sockets).toEqual([]);
});

test("[U4] one socket at a time, on pages where something moves", async () => {
  const { app, sockets } = setUp((path) => Response.json(path === "/api/session" ? SESSION : pageWith([])));
  await app.session.load();
  expect(sockets.sockets.map((socket) => socket.path)).toEqual(["/api/live"]);
  app.router.go({ page: "jobs", state: "all" });
  expect(sockets.sockets).toHaveLength(1);
  app.router.go({ page: "job", id: "job_1" });
  expect(sockets.last.path).toBe("/api/live?job=job_1");
  app.router.go({ page: "settings" });
  expect(sockets.sockets.every((socket) => socket.closedByUs)).toBe(true);
  expect(app.live.state.value).toBe("off");
});

test("[U7] when any answer says 401, the page is signed out and the socket closed", async () => {
  let over = false;
  const { app, sockets } = setUp(() => (over ? signedOut() : Response.json(SESSION)));
  await app.session.load();
  over = true;
  await app.api.overview({}, new AbortController().signal).catch(() => {});
  await settle();
  expect(app.session.current.value.state).toBe("signed_out");
  expect(sockets.last.closedByUs).toBe(true);
});

test("[U23] viewers get no buttons that write, members none that administer", () => {
  expect(rightsOf("viewer")).toEqual({ write: false, administer: false });
  expect(rightsOf("member")).toEqual({ write: true, administer: false });
  expect(rightsOf("admin")).toEqual({ write: true, administer: true });
  expect(rightsOf("owner")).toEqual({ write: true, administer: true });
});

test("[U24] the set-up is done in its order: the organization, which is there, agent, storage, client, project", () => {
  const overview = {
    agents: { total: 1, online: 0 },
    connections: 0,
    clients: 2,
    projects: 0,
    jobs: { active: 0, completed: 0, failed: 0, cancelled: 0 },
    bytesCompleted: 0,
    filesCompleted: 0,
    today: { bytes: 0, files: 0, jobsCompleted: 0, jobsFailed: 0 },
    week: { bytes: 0, files: 0, jobsCompleted: 0, jobsFailed: 0 },
  };
  expect(setupOf(overview)).toEqual([
    { step: "organization", done: true },
    { step: "agent", done: true },
    { step: "storage", done: false },
    { step: "client", done: true },
    { step: "project", done: false },
  ]);
});

test("[U4] forms keep no socket", () => {
  expect(topicOf(parsePath("/jobs/new"))).toBeNull();
  expect(topicOf(parsePath("/agents/register"))).toBeNull();
});

const signedIn = (user = SESSION.user) => Response.json({ ...SESSION, user });

/** A page on which something was typed when the session ended. */
async function endWithUnsaved() {
  let answer: () => Response = signedIn;
  const world = setUp(() => answer());
  await world.app.session.load();
  world.app.router.go({ page: "agent", id: "agt_1" });
  world.unsaved.note({});
  answer = signedOut;
  await world.app.api.overview({}, new AbortController().signal).catch(() => {});
  return {
    ...world,
    signIn(user = SESSION.user) {
      answer = () => signedIn(user);
    },
  };
}

test("[U78] a session that ends while something is typed leaves the page as it is, until the same person is back", async () => {
  const { app, sockets, unsaved, signIn } = await endWithUnsaved();
  expect(app.session.current.value.state).toBe("signed_in");
  expect(app.session.waits.value).toBe(true);
  expect(sockets.sockets.every((socket) => socket.closedByUs)).toBe(true);
  await app.session.load();
  expect(app.session.waits.value).toBe(true);
  signIn();
  await app.session.load();
  expect(app.session.waits.value).toBe(false);
  expect(unsaved.any.value).toBe(true);
  expect(app.router.route.value.page).toBe("agent");
  expect(sockets.last.closedByUs).toBe(false);
});

test("[U78] when somebody else signs in instead, the page begins anew and nothing typed stays", async () => {
  const { app, browser, unsaved, signIn } = await endWithUnsaved();
  signIn({ ...SESSION.user, id: "usr_2" });
  await app.session.load();
  expect(browser.tab.reloads).toBe(1);
  expect(unsaved.any.value).toBe(false);
});

test("[U78] a session that ends where nothing is typed leads to the sign-in page, and from there back to the same page", async () => {
  const browser = createTab("/jobs?state=active");
  let answer = signedIn();
  const { app } = setUp(() => answer.clone(), browser);
  await app.session.load();
  answer = signedOut();
  await app.api.overview({}, new AbortController().signal).catch(() => {});
  expect(app.session.current.value).toEqual({ state: "signed_out", ended: true });
  app.leaveToSignIn();
  browser.tab.history = ["/"];

  const returned = setUp(() => signedIn(), browser);
  await returned.app.session.load();
  expect(returned.app.router.route.value).toEqual({ page: "jobs", state: "active" });
  expect(browser.here()).toBe("/jobs?state=active");
  expect(browser.tab.kept).toBeNull();
});

test("[U78] whoever comes from the Hub much later, or left a page there is not, lands on the dashboard", async () => {
  for (const kept of [
    `${Date.parse("2026-05-31T11:00:00Z")} /jobs`,
    `${Date.parse("2026-05-31T12:00:00Z")} //evil.example`,
    "x",
  ]) {
    const browser = createTab();
    browser.tab.kept = kept;
    const { app } = setUp(() => signedIn(), browser);
    await app.session.load();
    expect(app.router.route.value.page, kept).toBe("dashboard");
    expect(browser.tab.kept).toBeNull();
  }
});

test("[U79] a link, and the browser's back, ask first where something is not saved, and then go where they led", async () => {
  const { app, browser, unsaved } = setUp(() => signedIn());
  await app.session.load();
  app.router.open("/clients");
  app.router.open("/clients/new");
  unsaved.note({});
  expect(app.router.open("/jobs")).toBe(true);
  expect(app.router.route.value.page).toBe("client-new");
  unsaved.stay();

  browser.back();
  app.router.moved();
  expect(app.router.route.value.page).toBe("client-new");
  expect(browser.here()).toBe("/clients/new");
  unsaved.discard();
  expect(app.router.route.value.page).toBe("clients");
  expect(browser.here()).toBe("/clients");
});

test("[U79] what the page does of itself, such as going on after a save, is not asked about", async () => {
  const { app, unsaved } = setUp(() => signedIn());
  await app.session.load();
  unsaved.note({});
  app.router.replace({ page: "client", id: "cli_1" });
  expect(app.router.route.value.page).toBe("client");
  expect(unsaved.leaving.value).toBeNull();
});
