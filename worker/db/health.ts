/** Whether D1 answers, and how far its migrations are. */
import journal from "../../schema/migrations/meta/_journal.json" with { type: "json" };
import type { Health } from "../../schema/health.ts";

/** The newest migration this version was built with. */
export const NEWEST_MIGRATION = journal.entries.at(-1)?.tag ?? null;

export async function checkDatabase(database: D1Database): Promise<Health["checks"]["database"]> {
  try {
    // The table is wrangler's own, so it is not among ours.
    const query = "select name from d1_migrations where id = (select max(id) from d1_migrations)";
    const row = await database.prepare(query).first<{ name: string }>();
    const migration = row?.name.replace(/\.sql$/, "") ?? null;
    // One that is newer than ours is fine: migrations only ever add, so that a version can be taken back.
    const isThere = migration !== null && NEWEST_MIGRATION !== null && migration >= NEWEST_MIGRATION;
    return { state: isThere ? "ok" : "behind", migration };
  } catch (error) {
    console.error(JSON.stringify({ event: "health_database", reason: String(error) }));
    return { state: "unreachable", migration: null };
  }
}
