import { expect, test } from "vitest";
import { delayAfter, isTooOld, type OutboxKind } from "./retry.ts";

const KINDS: readonly OutboxKind[] = ["bus", "webhook", "mail", "billing"];
const HOUR_MS = 3_600_000;

test("[O4] tries are further and further apart up to a limit, and never less than half of that", () => {
  for (const kind of KINDS) {
    let before = 0;
    for (let attempts = 1; attempts < 200; attempts++) {
      const [least, most] = [delayAfter(kind, attempts, 0), delayAfter(kind, attempts, 1)];
      expect(least).toBe(Math.round(most / 2));
      expect(most).toBeGreaterThanOrEqual(before);
      expect(most).toBeLessThanOrEqual(3 * HOUR_MS);
      before = most;
    }
  }
  expect([1, 2, 3, 10].map((attempts) => delayAfter("bus", attempts, 1))).toEqual([
    30_000, 60_000, 120_000, 600_000,
  ]);
  expect(delayAfter("webhook", 1, 1)).toBe(60_000);
});

test("[O6] all but usage is given up some day", () => {
  const days = (kind: OutboxKind) =>
    Array.from({ length: 400 }, (_, day) => day).find((day) => isTooOld(kind, day * 24 * HOUR_MS));
  expect(KINDS.map(days)).toEqual([7, 3, 1, undefined]);
  expect(isTooOld("mail", 23 * HOUR_MS - 1)).toBe(false);
  expect(isTooOld("mail", 23 * HOUR_MS)).toBe(true);
});
