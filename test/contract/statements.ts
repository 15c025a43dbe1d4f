/**
 * Every statement the Worker sends to D1 while the contract tests run, and what SQLite says about how it would carry it out.
 * The Worker is the real one; only its binding to the database notes each text on its way through.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { ROOT } from "../../tools/environment.ts";

export const STATEMENTS_PATH = "/api/statements-of-this-test";

/** A configuration whose Worker notes its statements, and answers with them at {@link STATEMENTS_PATH}. */
export function recordingConfig(): string {
  const folder = mkdtempSync(join(tmpdir(), "contract-recording-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  const main = JSON.stringify(join(ROOT, "worker/main.ts"));
  writeFileSync(
    join(folder, "main.js"),
    `
import worker, { AgentObject as Inner } from ${main};
export * from ${main};
const statements = new Set();
const noting = (database) => ({
  prepare: (text) => { statements.add(text); return database.prepare(text); },
  batch: (all) => database.batch(all),
  exec: (text) => database.exec(text),
  withSession: (...words) => noting(database.withSession(...words)),
});
const noted = (env) => ({ ...env, DB: noting(env.DB) });
export class AgentObject extends Inner {
  constructor(context, env) { super(context, noted(env)); }
}
export default {
  fetch: (request, env, context) =>
    new URL(request.url).pathname === ${JSON.stringify(STATEMENTS_PATH)}
      ? Response.json([...statements])
      : worker.fetch(request, noted(env), context),
  scheduled: (controller, env, context) => worker.scheduled(controller, noted(env), context),
};
`,
  );
  const config = readFileSync(join(ROOT, "wrangler.toml"), "utf8")
    .replace('main = "worker/main.ts"', `main = ${JSON.stringify(join(folder, "main.js"))}`)
    .replaceAll('"dist/ui"', JSON.stringify(join(ROOT, "dist/ui")))
    .replaceAll('"schema/migrations"', JSON.stringify(join(ROOT, "schema/migrations")));
  writeFileSync(join(folder, "wrangler.toml"), config);
  return join(folder, "wrangler.toml");
}

/**
 * Small tables that are read whole on purpose: the sweep looks at each organization, by one step into an index; the health
 * check asks which migrations there are.
 */
const READ_WHOLE = new Set(["organizations", "d1_migrations"]);

/** Of each statement that reads a table without an index, the steps that do. */
export function withoutIndex(statements: readonly string[]): string[] {
  const database = new DatabaseSync(":memory:");
  // wrangler's own, which it makes where it applies migrations.
  database.exec(
    "create table d1_migrations (id integer primary key autoincrement, name text unique, applied_at text)",
  );
  const folder = join(ROOT, "schema/migrations");
  for (const name of readdirSync(folder).sort()) {
    if (name.endsWith(".sql")) database.exec(readFileSync(join(folder, name), "utf8"));
  }
  const found: string[] = [];
  for (const text of statements) {
    const plan = database.prepare(`explain query plan ${text}`).all() as { detail: string }[];
    const scans = plan
      .map(({ detail }) => detail)
      // A function that makes rows, and rows that another step of the same statement made, are no tables.
      .filter(
        (detail) => /^SCAN (?!\d|\(|CONSTANT ROW)/.test(detail) && !detail.includes("VIRTUAL TABLE INDEX"),
      )
      .filter((detail) => !READ_WHOLE.has(detail.split(" ")[1] ?? ""));
    if (scans.length > 0) found.push(`${scans.join("; ")}: ${text}`);
  }
  database.close();
  return found;
}
