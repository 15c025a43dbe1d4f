/** An agent's object that an earlier release has made is carried on by today's, with all that was in it. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { hubStore } from "../../durable-objects/storage.ts";
import { sqlStorage } from "./object.ts";

/** The tables as they were made, by the number each release gave them. */
const SESSION =
  "CREATE TABLE session (epoch INTEGER NOT NULL, event_seq INTEGER NOT NULL, offline_due_ms INTEGER)";
const IDENTITY_1 =
  "one INTEGER PRIMARY KEY CHECK (one = 1), org_id TEXT NOT NULL, agent_id TEXT NOT NULL, key_hash TEXT NOT NULL, revoked INTEGER NOT NULL";
const IDENTITY_2 = `${IDENTITY_1}, pending INTEGER NOT NULL`;
const IDENTITY_3 = `${IDENTITY_2}, key_made_ms INTEGER, next_key_hash TEXT, generation INTEGER, offered INTEGER, locked INTEGER NOT NULL`;
const VALUES = {
  1: "1, 'org_a', 'agt_a', 'hash', 0",
  2: "1, 'org_a', 'agt_a', 'hash', 0, 1",
  3: "1, 'org_a', 'agt_a', 'hash', 0, 1, 5, 'next', 7, 8, 1",
};

for (const [number, identity] of [IDENTITY_1, IDENTITY_2, IDENTITY_3].entries()) {
  const version = (number + 1) as 1 | 2 | 3;
  Deno.test(`[L22] storage of version ${version} is carried on`, async () => {
    const sqlite = new DatabaseSync(":memory:");
    sqlite.exec(`
      CREATE TABLE version (number INTEGER NOT NULL); INSERT INTO version VALUES (${version});
      CREATE TABLE identity (${identity}); INSERT INTO identity VALUES (${VALUES[version]});
      ${SESSION}; INSERT INTO session VALUES (3, 4, 9);
      CREATE TABLE desired (job_id TEXT PRIMARY KEY, message TEXT NOT NULL, applied INTEGER NOT NULL);
      INSERT INTO desired VALUES ('job_a', '{"jobId":"job_a"}', 1);
    `);
    for (const life of ["first", "second"]) {
      const store = hubStore(sqlStorage(sqlite));
      const found = store.identity();
      assert.equal(found?.agentId, "agt_a", life);
      assert.equal(found?.pending, version > 1);
      assert.equal(found?.locked, version > 2);
      assert.equal(found?.generation, version > 2 ? 7 : null);
      assert.equal(store.desired()[0]?.desired.jobId, "job_a");
      const told = life === "first" ? null : { facts: "f", atMs: 1 };
      assert.deepEqual(store.session(), { epoch: 3, eventSeq: 4, offlineDueMs: 9, told });
      store.setSession({ ...store.session(), told: { facts: "f", atMs: 1 } });
    }
    sqlite.close();
  });
}
