import { expect, test } from "vitest";
import { createTestApi, createTestClock, pageWith } from "../test-world.ts";
import { createSessions, deviceOf } from "./sessions.ts";
import { createToasts } from "./toasts.ts";

test("[U35] one's own sessions are asked for, everybody's only when chosen", async () => {
  const { api, asked } = createTestApi(({ method }) =>
    method === "POST" ? { body: { revoked: 2 } } : { body: pageWith([]) },
  );
  const toasts = createToasts(createTestClock());
  const model = createSessions(api, toasts);
  await model.list.reload();
  model.show("everybody");
  await model.revokeOthers();
  expect(asked.map(({ method, path }) => `${method} ${path}`)).toEqual([
    "GET /api/sessions",
    "GET /api/sessions?all=1",
    "POST /api/sessions/revoke-others",
    "GET /api/sessions?all=1",
  ]);
  expect(toasts.shown.value.map(({ text }) => text)).toEqual(["Signed out of 2 other browsers"]);
});

test("[U35] a browser is called what people call it", () => {
  const chrome =
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 Chrome/139.0 Safari/537.36";
  expect(deviceOf(chrome)).toBe("Chrome on macOS");
  expect(deviceOf(`${chrome} Edg/139.0`)).toBe("Edge on macOS");
  expect(deviceOf("Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Version/19.0 Safari/604.1")).toBe(
    "Safari on iPhone",
  );
  expect(deviceOf("Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0")).toBe(
    "Firefox on Linux",
  );
  expect(deviceOf("curl/8.5")).toBe("Another program");
  expect(deviceOf(null)).toBe("Another program");
});
