import { expect, test } from "vitest";
import { newAgentKey } from "./agent-key.ts";
import { isApiKey, newApiKey } from "./api-key.ts";

const ID = "apk_01kaqt4h2r5t8y1p3s6v9b2n4m";

test("[I7] a key names its id, carries 256 random bits and never comes twice", () => {
  const keys = Array.from({ length: 200 }, () => newApiKey(ID));
  expect(new Set(keys).size).toBe(200);
  for (const key of keys) {
    expect(key).toMatch(/^mig_api1_apk_[0-9a-z]{26}_[\w-]{43}_[0-9a-f]{8}$/);
    expect(isApiKey(key)).toBe(true);
  }
});

test("[I7] a key in which any one character was changed, and what is none, is refused before the database is asked", () => {
  const key = newApiKey(ID);
  for (let at = 0; at < key.length; at++) {
    const other = key[at] === "0" ? "1" : "0";
    expect(isApiKey(key.slice(0, at) + other + key.slice(at + 1)), `character ${at}`).toBe(false);
  }
  for (const text of ["", "_", "mig_api1_", key.slice(0, -1), `${key}0`, ` ${key}`, `${key}\n`]) {
    expect(isApiKey(text), text).toBe(false);
  }
  expect(isApiKey(newAgentKey(ID.replace("apk_", "agt_")))).toBe(false);
});
