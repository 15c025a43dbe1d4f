/**
 * Every statement the Worker sends to D1 while the contract tests run, and what SQLite says about how it would carry it out.
 * The Worker is the real one; only its binding to the database notes each text on its way through, and each agent's object
 * counts what wakes it and what it then asks of its storage and of D1.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { ROOT } from "../../tools/environment.ts";

export const STATEMENTS_PATH = "/api/statements-of-this-test";
export const WAKES_PATH = "/api/wakes-of-this-test";

/** What an agent's object has done so far, over all its lives in memory. */
export interface Wakes {
  readonly constructed: number;
  /** Sockets' messages and closes, alarms and upgrades. */
  readonly events: number;
  /** Calls of its own SQLite. */
  readonly ownStatements: number;
  readonly d1Statements: number;
}

/** A configuration whose Worker notes its statements and wakes, and answers with them at {@link STATEMENTS_PATH} and {@link WAKES_PATH}. */
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
const noting = (database, heard = () => {}) => ({
  prepare: (text) => { statements.add(text); heard(); return database.prepare(text); },
  batch: (all) => database.batch(all),
  exec: (text) => database.exec(text),
  withSession: (...words) => noting(database.withSession(...words), heard),
});
const noted = (env, heard) => ({ ...env, DB: noting(env.DB, heard) });
const wakes = new Map();
const wakesOf = (name) => {
  if (!wakes.has(name)) wakes.set(name, { constructed: 0, events: 0, ownStatements: 0, d1Statements: 0 });
  return wakes.get(name);
};
const answers = {
  [${JSON.stringify(STATEMENTS_PATH)}]: () => [...statements],
  [${JSON.stringify(WAKES_PATH)}]: (query) => wakesOf(query.get("agent")),
};
export class AgentObject extends Inner {
  #wakes;
  constructor(context, env) {
    const wakes = wakesOf(context.id.name);
    wakes.constructed++;
    const { sql } = context.storage;
    const exec = sql.exec.bind(sql);
    sql.exec = (...words) => { wakes.ownStatements++; return exec(...words); };
    super(context, noted(env, () => wakes.d1Statements++));
    this.#wakes = wakes;
  }
  fetch(request) { this.#wakes.events++; return super.fetch(request); }
  alarm() { this.#wakes.events++; return super.alarm(); }
  webSocketMessage(...words) { this.#wakes.events++; return super.webSocketMessage(...words); }
  webSocketClose(...words) { this.#wakes.events++; return super.webSocketClose(...words); }
}
export default {
  fetch: (request, env, context) => {
    const { pathname, searchParams } = new URL(request.url);
    const answer = answers[pathname];
    return answer === undefined ? worker.fetch(request, noted(env), context) : Response.json(answer(searchParams));
  },
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

/** How SQLite would carry out a statement, step by step. */
export function stepsOf(statement: string): string[] {
  return planOf(emptyDatabase(), statement);
}

/** Of each statement that reads a table without an index, the steps that do. */
export function withoutIndex(statements: readonly string[]): string[] {
  return faultySteps(statements, (detail, text) => isScan(detail) && !isReadWhole(detail, text));
}

/** Indexes by which it is found out whose something is (a hash of 256 random bits), and those of the sweep over all organizations. */
const BEFORE_ORGANIZATION =
  /USING (?:COVERING )?INDEX (sessions_token|registration_codes_hash|api_keys_hash|organizations_hub|used_tokens_expiry|agents_online|jobs_unconfirmed|outbox_due|oauth_states_(made|state)|sqlite_autoindex_(used_tokens|sign_in_refusals)_1)\b|^SEARCH sign_in_refusals\b/;

/**
 * Of each statement that reads rows otherwise than by their organization, the steps that do: every index begins with it, so
 * a step that is not told it cannot keep to it. `strict`: also those that have to.
 */
export function beyondOrganization(
  statements: readonly string[],
  options?: { readonly strict: true },
): string[] {
  return faultySteps(statements, (detail, text) => {
    const [, name = ""] = detail.split(" ");
    if (options === undefined && (BEFORE_ORGANIZATION.test(detail) || isReadWhole(detail, text)))
      return false;
    // The least or greatest of rows that another step made.
    const isMade = !detail.includes(" USING ") && new RegExp(String.raw`\) ${name}\b`).test(text);
    return isScan(detail) || (detail.startsWith("SEARCH ") && !isMade && !detail.includes("(org_id=?"));
  });
}

/** A step goes by the name the statement gives the table. */
function isReadWhole(detail: string, text: string): boolean {
  const [, name = ""] = detail.split(" ");
  return [...READ_WHOLE].some((table) => name === table || new RegExp(`\\b${table} ${name}\\b`).test(text));
}

/** A function that makes rows, and rows that another step of the same statement made, are no tables. */
function isScan(detail: string): boolean {
  return /^SCAN (?!\d|\(|CONSTANT ROW)/.test(detail) && !detail.includes("VIRTUAL TABLE INDEX");
}

export interface Predicate {
  readonly at: number;
  readonly text: string;
}

/** Where a statement compares an organization. */
export function predicatesOf(statement: string): Predicate[] {
  const name = String.raw`(?:(?:"\w+"|\w+)\.)?"?org_id"?`;
  const found = statement.matchAll(new RegExp(String.raw`${name} = (?:${name}|\?\d*)`, "g"));
  return Array.from(found, ({ index, 0: text }) => ({ at: index, text }));
}

/** The statement as it would be without that comparison; to be explained, not to be carried out. */
export function withoutPredicate(statement: string, { at, text }: Predicate): string {
  return `${statement.slice(0, at)}1${statement.slice(at + text.length)}`;
}

function faultySteps(
  statements: readonly string[],
  isFault: (detail: string, text: string) => boolean,
): string[] {
  const database = emptyDatabase();
  const found: string[] = [];
  for (const text of statements) {
    const faults = planOf(database, text).filter((detail) => isFault(detail, text));
    if (faults.length > 0) found.push(`${faults.join("; ")}: ${text}`);
  }
  return found;
}

function planOf(database: DatabaseSync, text: string): string[] {
  try {
    const plan = database.prepare(`explain query plan ${text}`).all() as { detail: string }[];
    return plan.map(({ detail }) => detail);
  } catch (error) {
    // An index it insists on does not help it any more.
    if (String(error).includes("no query solution")) return ["SCAN by no index at all"];
    throw error;
  }
}

let made: DatabaseSync | null = null;

function emptyDatabase(): DatabaseSync {
  if (made !== null) return made;
  const database = new DatabaseSync(":memory:");
  // wrangler's own, which it makes where it applies migrations.
  database.exec(
    "create table d1_migrations (id integer primary key autoincrement, name text unique, applied_at text)",
  );
  const folder = join(ROOT, "schema/migrations");
  for (const name of readdirSync(folder).sort()) {
    if (name.endsWith(".sql")) database.exec(readFileSync(join(folder, name), "utf8"));
  }
  made = database;
  return database;
}
