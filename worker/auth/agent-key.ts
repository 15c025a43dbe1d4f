/**
 * An agent's key: `mig_agt1_<agent id>_<256 random bits>_<CRC-32>`. The prefix lets scanners find a leaked one, the
 * checksum lets us refuse nonsense before any object is woken. Only its SHA-256 is kept, at the agent's object.
 */
import { randomToken } from "../secrets.ts";
import { crc32 } from "./checksum.ts";

const FORM = /^mig_agt1_(agt_[0-9a-hjkmnp-tv-z]{26})_[A-Za-z0-9_-]{43}$/;

export function newAgentKey(agentId: string): string {
  const text = `mig_agt1_${agentId}_${randomToken()}`;
  return `${text}_${crc32(text)}`;
}

/** The agent a well-formed key names, or null. Says nothing about whether the key is right. */
export function agentOfKey(key: string): string | null {
  const end = key.lastIndexOf("_");
  const text = key.slice(0, end);
  if (crc32(text) !== key.slice(end + 1)) return null;
  return FORM.exec(text)?.[1] ?? null;
}
