import { expect, test } from "vitest";
import type { Agent } from "../../schema/api.ts";
import { agentWith, createTestApi, createTestClock, pageWith, settle } from "../test-world.ts";
import { createRegisterAgent } from "./agents.ts";

const CODE = {
  id: "rgc_1",
  label: null,
  status: "open",
  agentId: null as string | null,
  expiresAt: "2026-06-01T12:00:00Z",
  createdAt: "2026-05-31T12:00:00Z",
};

test("[U21] the agent that used the code appears by itself, and another that came meanwhile does not", async () => {
  const clock = createTestClock();
  const server = { agents: [agentWith({ id: "agt_old" })] as Agent[], usedBy: null as string | null };
  const { api, asked } = createTestApi(({ method, path }) => {
    if (path === "/api/agents") return { body: pageWith(server.agents) };
    if (method === "POST") return { status: 201, body: { ...CODE, code: "7KQM-3XRD" } };
    return { body: pageWith([{ ...CODE, agentId: server.usedBy }]) };
  });
  const model = createRegisterAgent({ api, clock, uuid: () => "key-00000001" });
  model.open();
  await model.form.value.submit();
  expect(model.made.value?.code).toBe("7KQM-3XRD");
  await clock.pass(4_000);
  expect(model.agent.value).toBeNull();
  server.agents = [agentWith({ id: "agt_other" }), ...server.agents];
  await clock.pass(2_000);
  expect(model.agent.value).toBeNull();
  server.agents = [agentWith({ id: "agt_mine" }), ...server.agents];
  server.usedBy = "agt_mine";
  await clock.pass(2_000);
  expect(model.agent.value?.id).toBe("agt_mine");
  const questions = asked.length;
  await clock.pass(20_000);
  expect(asked).toHaveLength(questions);
});

test("[U21] nobody is asked any more once the page is closed", async () => {
  const clock = createTestClock();
  const { api, asked } = createTestApi(({ method }) =>
    method === "POST" ? { status: 201, body: { ...CODE, code: "7KQM-3XRD" } } : { body: pageWith([]) },
  );
  const model = createRegisterAgent({ api, clock, uuid: () => "key-00000001" });
  model.open();
  await model.form.value.submit();
  model.close();
  await settle();
  const questions = asked.length;
  await clock.pass(20_000);
  expect(asked).toHaveLength(questions);
});
