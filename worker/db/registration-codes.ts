import { and, desc, eq, isNull } from "drizzle-orm";
import type * as z from "zod";
import type {
  Page,
  RegistrationCode,
  registrationCodeCreate,
  RegistrationCodeMade,
} from "../../schema/api.ts";
import type { ScopedDb } from "../../schema/scoped-db.ts";
import { registrationCodes } from "../../schema/tables.ts";
import { hashCode, showCode } from "../auth/registration-code.ts";
import { notFound, Problem } from "../problems.ts";
import { auditIfChanged, type Actor } from "./audit.ts";
import { differs } from "./differs.ts";
import { behind, iso, limitOf, pageOfRows, type PageQuery } from "./paging.ts";

const FIELDS = {
  id: registrationCodes.id,
  label: registrationCodes.label,
  agentId: registrationCodes.agentId,
  expiresAt: registrationCodes.expiresAt,
  usedAt: registrationCodes.usedAt,
  revokedAt: registrationCodes.revokedAt,
  createdAt: registrationCodes.createdAt,
};

export async function listCodes(db: ScopedDb, query: PageQuery): Promise<Page<RegistrationCode>> {
  const where = behind(registrationCodes.id, query);
  const options = { where, orderBy: desc(registrationCodes.id), limit: limitOf(query) };
  return pageOfRows(await db.select(FIELDS, registrationCodes, options), query, show);
}

export async function readCode(db: ScopedDb, id: string): Promise<RegistrationCode> {
  const row = await db.first(FIELDS, registrationCodes, { where: eq(registrationCodes.id, id) });
  if (row === null) throw notFound();
  return show(row);
}

/** Stores a code that was made, unless it is there already; what is stored cannot be turned back into it. */
export async function createCode(
  db: ScopedDb,
  actor: Actor & { id: string },
  pepper: string,
  { id, secret: code }: { readonly id: string; readonly secret: string },
  body: z.output<typeof registrationCodeCreate>,
): Promise<RegistrationCodeMade> {
  const now = Date.now();
  const row = {
    id,
    codeHash: await hashCode(pepper, code),
    label: body.label,
    expiresAt: now + body.validMinutes * 60_000,
    createdBy: actor.id,
    createdAt: now,
  };
  await db.batch([
    db.insert(registrationCodes, row, { ignoreConflict: true }),
    auditIfChanged(db, actor, "code.generated", id),
  ]);
  return { ...(await readCode(db, id)), code: showCode(code) };
}

export async function labelCode(
  db: ScopedDb,
  actor: Actor,
  id: string,
  label: string | null,
): Promise<RegistrationCode> {
  await readCode(db, id);
  await db.batch([
    db.update(
      registrationCodes,
      { label },
      and(eq(registrationCodes.id, id), differs(registrationCodes, { label })),
    ),
    auditIfChanged(db, actor, "code.changed", id),
  ]);
  return await readCode(db, id);
}

export async function revokeCode(db: ScopedDb, actor: Actor, id: string): Promise<RegistrationCode> {
  const code = await readCode(db, id);
  if (code.status === "used") throw new Problem("CONFLICT", "The code was used; revoke its agent instead");
  const open = and(
    eq(registrationCodes.id, id),
    isNull(registrationCodes.usedAt),
    isNull(registrationCodes.revokedAt),
  );
  await db.batch([
    db.update(registrationCodes, { revokedAt: Date.now() }, open),
    auditIfChanged(db, actor, "code.revoked", id),
  ]);
  return await readCode(db, id);
}

interface CodeRow {
  readonly id: string;
  readonly label: string | null;
  readonly agentId: string | null;
  readonly expiresAt: number;
  readonly usedAt: number | null;
  readonly revokedAt: number | null;
  readonly createdAt: number;
}

function show(row: CodeRow): RegistrationCode {
  return {
    id: row.id,
    label: row.label,
    status: statusOf(row),
    agentId: row.agentId,
    expiresAt: iso(row.expiresAt),
    createdAt: iso(row.createdAt),
  };
}

function statusOf(row: CodeRow): RegistrationCode["status"] {
  if (row.usedAt !== null) return "used";
  if (row.revokedAt !== null) return "revoked";
  return row.expiresAt <= Date.now() ? "expired" : "open";
}
