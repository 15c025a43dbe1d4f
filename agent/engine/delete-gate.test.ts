/** The gate by itself: each condition alone keeps the file, in order, and what nobody looked at does not hold. */
import assert from "node:assert/strict";
import type { Held, Lying } from "../connectors/connector.ts";
import { type Condition, type Facts, firstFailure, isRacy, purgeFailure, RACY_MS } from "./delete-gate.ts";
import type { Outcome } from "./page.ts";

type Something = Extract<Lying, { kind: "something" }>;
type Completed = Extract<Outcome, { state: "completed" }>;

const SHA256 = "ab".repeat(32);
const LYING: Something = {
  kind: "something",
  isFile: true,
  isInside: true,
  isOnVolume: true,
  links: 1,
  sizeBytes: 5,
  modifiedMs: 1_000,
  identity: "same",
};
const OUTCOME: Completed = {
  state: "completed",
  sha256: SHA256,
  etag: "0x1",
  as: null,
  version: "1.2.5.1000.1000",
  proof: "chain",
};
const HELD: Held = { path: "a", sizeBytes: 5, etag: "0x1", sha256: SHA256, modifiedMs: 1, archived: false };
const GOOD: Facts = {
  isAsked: true,
  filesLeft: 1,
  isAllowed: true,
  isWanted: true,
  lying: LYING,
  sizeBytes: 5,
  outcome: OUTCOME,
  held: HELD,
  blocks: null,
  provedIn: "Hot",
  readAfterMs: 1_000 + RACY_MS,
  rehashed: null,
  isRecorded: true,
  isMovedSame: true,
  purge: { isDue: true, isHeld: true },
};

const lying = (change: Partial<Something>) => ({ lying: { ...LYING, ...change } });
const outcome = (change: Partial<Completed>) => ({ outcome: { ...OUTCOME, ...change } });
const held = (change: Partial<Held>) => ({ held: { ...HELD, ...change } });

const VIOLATIONS: readonly (readonly [Condition, string, Partial<Facts>])[] = [
  [1, "not_asked", { isAsked: false }],
  [1, "limit_reached", { filesLeft: 0 }],
  [2, "not_allowed", { isAllowed: false }],
  [3, "not_wanted", { isWanted: false }],
  [4, "source_unreadable", { lying: null }],
  [4, "source_unreadable", { lying: { kind: "unreadable" } }],
  [4, "source_vanished", { lying: { kind: "nothing" } }],
  [4, "not_a_file", lying({ isFile: false })],
  [4, "outside_root", lying({ isInside: false })],
  [4, "other_volume", lying({ isOnVolume: false })],
  [5, "identity_unknown", outcome({ version: null })],
  [5, "identity_unknown", lying({ identity: "unknown" })],
  [5, "identity_unknown", { outcome: null }],
  [5, "other_names", lying({ links: 2 })],
  [5, "other_names", lying({ links: null })],
  [5, "not_read_whole", { sizeBytes: 4 }],
  [6, "not_hashed", outcome({ sha256: "" })],
  [7, "not_accepted", outcome({ etag: "" })],
  [8, "changed_since_upload", lying({ identity: "other" })],
  [9, "not_proved", outcome({ proof: "none" })],
  [9, "destination_unreadable", { held: undefined }],
  [9, "destination_unreadable", { held: "unreadable" }],
  [9, "destination_vanished", { held: null }],
  [9, "destination_replaced", held({ etag: "0x2" })],
  [9, "destination_differs", held({ sizeBytes: 6 })],
  [9, "destination_differs", held({ sha256: null })],
  [9, "destination_differs", { blocks: "wrong" }],
  [9, "destination_differs", { blocks: "foreign" }],
  [9, "destination_unreadable", { blocks: "untold" }],
  [10, "tier_before_proof", { blocks: "ours", provedIn: "Archive" }],
  [11, "content_differs", { readAfterMs: 999 + RACY_MS }],
  [11, "content_differs", { readAfterMs: 0, rehashed: "cd".repeat(32) }],
  [12, "not_recorded", { isRecorded: false }],
  [13, "changed_since_upload", { isMovedSame: false }],
  [13, "changed_since_upload", { isMovedSame: null }],
  [14, "not_due", { purge: null }],
  [14, "not_due", { purge: { isDue: false, isHeld: true } }],
  [14, "destination_unconfirmed", { purge: { isDue: true, isHeld: false } }],
];

Deno.test("[R3] when all fourteen conditions hold the gate is open", () => {
  assert.equal(firstFailure(GOOD, 14), null);
  const reread = { ...GOOD, readAfterMs: 0, rehashed: SHA256 };
  assert.equal(firstFailure(reread, 14), null);
  assert.equal(firstFailure({ ...GOOD, blocks: "foreign", ...outcome({ proof: "readback" }) }, 14), null);
  assert.equal(firstFailure({ ...GOOD, blocks: "untold", ...held({ archived: true }) }, 14), null);
});

for (const [index, [condition, code, change]] of VIOLATIONS.entries()) {
  Deno.test(`[R3] condition ${condition} alone keeps the file: ${code} (${index})`, () => {
    assert.deepEqual(firstFailure({ ...GOOD, ...change }, 14), { condition, code });
    assert.deepEqual(firstFailure({ ...GOOD, ...change }, condition), { condition, code });
    if (condition > 1) assert.equal(firstFailure({ ...GOOD, ...change }, (condition - 1) as Condition), null);
  });
}

Deno.test("[R3] of several conditions that do not hold the first one is told", () => {
  for (let first = 0; first < VIOLATIONS.length; first++) {
    const [condition] = VIOLATIONS[first] ?? [];
    const later = VIOLATIONS.slice(first + 1).filter(([other]) => other > (condition ?? 0) && other > 9);
    for (const [, , change] of later) {
      const facts = { ...GOOD, ...change, ...VIOLATIONS[first]?.[2] };
      assert.equal(firstFailure(facts, 14)?.condition, condition);
    }
  }
});

Deno.test("[R4] a file is racy unless its time is two seconds older than any read of it", () => {
  assert.equal(isRacy({ lying: LYING, readAfterMs: 1_000 + RACY_MS }), false);
  assert.equal(isRacy({ lying: LYING, readAfterMs: 999 + RACY_MS }), true);
  assert.equal(isRacy({ lying: { ...LYING, modifiedMs: NaN }, readAfterMs: 1e12 }), true);
  assert.equal(purgeFailure(null), "not_due");
});
