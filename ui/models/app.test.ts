import { expect, test } from "vitest";
import { createSockets, createTestClock, pageWith, SESSION, settle } from "../test-world.ts";
import { createApp } from "./app.ts";
import { setupOf } from "./dashboard.ts";
import { parsePath } from "./router.ts";
import { rightsOf } from "./session.ts";
import { topicOf } from "./app.ts";

function setUp(answer: (path: string) => Response) {
  const clock = createTestClock();
  const sockets = createSockets();
  let path = "/";
  const app = createApp({
    clock,
    fetch: (asked) => Promise.resolve(answer(asked)),
    openSocket: (asked, events) => sockets.open(asked, events),
    address: {
      read: () => path,
      push: (next) => (path = next),
      replace: (next) => (path = next),
    },
    origin: "https://app.example",
    timeZone: "Europe/Berlin",
    random: () => 0.5,
    uuid: () => "key-00000001",
    copy: () => Promise.resolve(),
  });
  return { clock, sockets, app };
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
  await app.api.overview(new AbortController().signal).catch(() => {});
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

test("[U24] the set-up is done in its order: agent, storage, client, project", () => {
  const overview = {
    agents: { total: 1, online: 0 },
    connections: 0,
    clients: 2,
    projects: 0,
    jobs: { active: 0, completed: 0, failed: 0, cancelled: 0 },
    bytesCompleted: 0,
    filesCompleted: 0,
  };
  expect(setupOf(overview)).toEqual([
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
