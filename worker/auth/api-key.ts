/**
 * An organization's API key: `mig_api1_<key id>_<256 random bits>_<CRC-32>`. The prefix lets scanners find a leaked one, the
 * checksum lets us refuse nonsense before the database is asked. Only its SHA-256 is kept.
 */
import { randomToken } from "../secrets.ts";
import { crc32 } from "./checksum.ts";

const FORM = /^mig_api1_apk_[0-9a-hjkmnp-tv-z]{26}_[A-Za-z0-9_-]{43}$/;

export function newApiKey(keyId: string): string {
  const text = `mig_api1_${keyId}_${randomToken()}`;
  return `${text}_${crc32(text)}`;
}

/** Says nothing about whether the key is right. */
export function isApiKey(key: string): boolean {
  const end = key.lastIndexOf("_");
  const text = key.slice(0, end);
  return crc32(text) === key.slice(end + 1) && FORM.test(text);
}
