/** Warns the maker of an Azure connection a week before it lapses, once for each lapse. */
import { scopedDb } from "../../schema/scoped-db.ts";
import { findLapsing } from "../db/sweep.ts";
import { writeEntry } from "./entries.ts";
import { connectionLapsesMail } from "./mail-texts.ts";
import type { OutboxSettings } from "./settings.ts";

const DAY_MS = 86_400_000;
const WARNED_BEFORE_MS = 7 * DAY_MS;
/** A refresh token that nobody uses for so long is void ("Refresh tokens in the Microsoft identity platform"). */
const REFRESH_TOKEN_IDLE_MS = 90 * DAY_MS;
const CONNECTIONS_MAX = 100;

export async function warnOfLapses(
  database: D1Database,
  { mail, appUrl }: OutboxSettings,
  nowMs: number,
): Promise<void> {
  if (mail.kind === "off") return;
  const lapsing = await findLapsing(database, {
    nowMs,
    withinMs: WARNED_BEFORE_MS,
    idleMs: REFRESH_TOKEN_IDLE_MS,
    limit: CONNECTIONS_MAX,
  });
  for (const connection of lapsing) {
    const db = scopedDb(database, connection.orgId);
    const payload = await connectionLapsesMail({
      ...connection,
      to: connection.email,
      url: `${appUrl}/settings`,
    });
    // A connection that was used, or connected anew, lapses at another time.
    const key = `connection.lapses/${connection.id}/${connection.lapsesAtMs}`;
    await db.batch([writeEntry(db, { kind: "mail", key, target: connection.userId, payload }, nowMs)]);
  }
}
