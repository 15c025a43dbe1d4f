import { expect, test } from "vitest";
import { agentOfKey, newAgentKey } from "./agent-key.ts";

const AGENT = "agt_01kaqt4h2r5t8y1p3s6v9b2n4m";

test("[C10] a key names its agent, carries 256 random bits and never comes twice", () => {
  const keys = Array.from({ length: 200 }, () => newAgentKey(AGENT));
  expect(new Set(keys).size).toBe(200);
  for (const key of keys) {
    expect(key).toMatch(/^mig_agt1_agt_[0-9a-z]{26}_[\w-]{43}_[0-9a-f]{8}$/);
    expect(agentOfKey(key)).toBe(AGENT);
  }
});

test("[C10] a key in which any one character was changed is refused before any object is asked", () => {
  const key = newAgentKey(AGENT);
  for (let at = 0; at < key.length; at++) {
    const other = key[at] === "0" ? "1" : "0";
    expect(agentOfKey(key.slice(0, at) + other + key.slice(at + 1)), `character ${at}`).toBeNull();
  }
});

test("[C10] what is no key is refused", () => {
  const key = newAgentKey(AGENT);
  const bad = [
    "",
    "_",
    "mig_agt1_",
    AGENT,
    key.slice(0, -1),
    `${key}0`,
    ` ${key}`,
    `${key}\n`,
    key.toUpperCase(),
    key.replace("mig_agt1", "mig_agt2"),
    key.replace(AGENT, AGENT.replace("agt_", "job_")),
    "x".repeat(10_000),
  ];
  for (const text of bad) expect(agentOfKey(text), text.slice(0, 80)).toBeNull();
});
