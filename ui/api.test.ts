import { expect, test } from "vitest";
import { ApiError, sentenceOf } from "./api.ts";
import { createTestApi, pageWith } from "./test-world.ts";

const stay = () => new AbortController().signal;

test("[U9] every request that makes something carries its idempotency key", async () => {
  const { api, asked } = createTestApi(() => ({ status: 201, body: {} }));
  await api.clients.create({ name: "Acme" }, "key-00000001");
  await api.connections.createContainer("con_1", "files", "key-00000002");
  expect(asked.map((request) => [request.method, request.path, request.key])).toEqual([
    ["POST", "/api/clients", "key-00000001"],
    ["POST", "/api/storage-connections/con_1/containers", "key-00000002"],
  ]);
});

test("[U10] a refused request tells its code, its sentence and the fields at fault", async () => {
  const body = {
    error: "Check the fields",
    code: "VALIDATION_ERROR",
    details: { fields: { name: "Give a name" } },
  };
  const { api } = createTestApi(() => ({ status: 400, body }));
  const error = await api.clients.create({ name: "" }, "key-00000001").catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(ApiError);
  expect(error).toMatchObject({
    code: "VALIDATION_ERROR",
    status: 400,
    message: "Check the fields",
    fields: { name: "Give a name" },
  });
});

test("[U10] an answer that is not ours, and no answer, become sentences too", async () => {
  const proxy = createTestApi(() => ({ status: 502, body: "<html>Bad gateway</html>" }));
  expect(sentenceOf(await proxy.api.overview({}, stay()).catch((caught: unknown) => caught))).toMatch(
    /did not answer as it should/,
  );
  const cut = createTestApi(() => "lost");
  expect(await cut.api.overview({}, stay()).catch((caught: unknown) => caught)).toMatchObject({
    code: "NETWORK",
    status: 0,
  });
});

test("[U7] an answer 401 signs the page out", async () => {
  let signedOut = 0;
  const body = { error: "Sign in first", code: "UNAUTHORIZED", details: null };
  const { api } = createTestApi(
    () => ({ status: 401, body }),
    () => signedOut++,
  );
  await api.overview({}, stay()).catch(() => {});
  expect(signedOut).toBe(1);
});

test("[U10] queries hold only what was given", async () => {
  const { api, asked } = createTestApi(() => ({ body: pageWith([]) }));
  await api.jobs.list({ state: "active", projectId: "prj_1" }, stay());
  await api.clients.list({}, stay());
  expect(asked.map((request) => request.path)).toEqual([
    "/api/jobs?state=active&projectId=prj_1",
    "/api/clients",
  ]);
});
