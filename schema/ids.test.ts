import { expect, test } from "vitest";
import { agentId, clientId, ID_PREFIXES, ID_RANDOM_BYTES, jobId, newId, type IdKind } from "./ids.ts";

const ZEROS = new Uint8Array(ID_RANDOM_BYTES);
const ONES = new Uint8Array(ID_RANDOM_BYTES).fill(255);

test("[C12] an id made a millisecond later sorts behind, whatever its random part is", () => {
  for (const nowMs of [0, 31, 32, 1_000, 1_763_800_000_000, 2 ** 48 - 2]) {
    expect(newId("job", nowMs, ONES) < newId("job", nowMs + 1, ZEROS)).toBe(true);
  }
});

test("[C12] each kind has a prefix of its own, and its ids have one form", () => {
  const prefixes = Object.values(ID_PREFIXES);
  expect(new Set(prefixes).size).toBe(prefixes.length);
  for (const kind of Object.keys(ID_PREFIXES) as IdKind[]) {
    expect(newId(kind, 1_763_800_000_000, ONES)).toMatch(/^[a-z]{3}_[0-9a-hjkmnp-tv-z]{26}$/);
  }
});

test("an id keeps all of its 80 random bits", () => {
  const made = new Set<string>();
  for (let byte = 0; byte < ID_RANDOM_BYTES; byte++) {
    for (let bit = 0; bit < 8; bit++) {
      const random = new Uint8Array(ID_RANDOM_BYTES);
      random[byte] = 1 << bit;
      made.add(newId("job", 1, random));
    }
  }
  expect(made.size).toBe(80);
});

test("[C1] an id of another kind, in another case, with letters left out of the alphabet or of another length is none", () => {
  const good = newId("job", 1_763_800_000_000, ONES);
  expect(jobId.safeParse(good).success).toBe(true);
  const bad = [
    good.toUpperCase(),
    good.replace("job_", "agt_"),
    good.slice(0, -1),
    `${good}0`,
    `${good} `,
    `${good}\n`,
    good.replace(/.$/, "u"),
    good.replace(/.$/, "l"),
    good.replace(/.$/, "i"),
    good.replace(/.$/, "o"),
    good.replace("_", "-"),
    "",
    "job_",
    `${good}' or 1=1 --`,
  ];
  for (const text of bad) expect(jobId.safeParse(text).success, text).toBe(false);
  expect(agentId.safeParse(good).success).toBe(false);
  expect(clientId.safeParse(good).success).toBe(false);
});
