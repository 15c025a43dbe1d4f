/**
 * When an entry is tried again, and when it is given up. Its reason is kept in the row in either case.
 *
 * | Kind    | Tried again after   | At most | Given up after |
 * |---------|---------------------|---------|----------------|
 * | bus     | 30 s, doubling      | 10 min  | 7 days         |
 * | webhook | 1 min, doubling     | 3 h     | 3 days, and then the webhook is disabled |
 * | mail    | 1 min, doubling     | 1 h     | 23 h, because a provider knows a mail's key for a day: later, a mail whose answer was lost would come twice |
 * | billing | 1 min, doubling     | 1 h     | never          |
 */

export type OutboxKind = "bus" | "webhook" | "mail" | "billing";

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;

interface Rule {
  readonly firstMs: number;
  readonly mostMs: number;
  readonly givenUpAfterMs: number;
}

const RULES: Readonly<Record<OutboxKind, Rule>> = {
  bus: { firstMs: 30_000, mostMs: 10 * MINUTE_MS, givenUpAfterMs: 7 * DAY_MS },
  webhook: { firstMs: MINUTE_MS, mostMs: 3 * HOUR_MS, givenUpAfterMs: 3 * DAY_MS },
  mail: { firstMs: MINUTE_MS, mostMs: HOUR_MS, givenUpAfterMs: 23 * HOUR_MS },
  billing: { firstMs: MINUTE_MS, mostMs: HOUR_MS, givenUpAfterMs: Number.POSITIVE_INFINITY },
};

/** For so long nothing but failures, and a webhook is disabled. */
export const WEBHOOK_FAILS_MS_MAX = RULES.webhook.givenUpAfterMs;

/** Half of it at random, so that what failed together does not come back together. `random` is from 0 to 1. */
export function delayAfter(kind: OutboxKind, attempts: number, random: number): number {
  const { firstMs, mostMs } = RULES[kind];
  const wholeMs = Math.min(mostMs, firstMs * 2 ** Math.min(attempts - 1, 20));
  return Math.round(wholeMs * (0.5 + random / 2));
}

export function isTooOld(kind: OutboxKind, ageMs: number): boolean {
  return ageMs >= RULES[kind].givenUpAfterMs;
}
