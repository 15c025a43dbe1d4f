/** Registration codes: eight characters of Crockford's base 32, said once, kept only as a keyed hash. */
import { CODE_LENGTH } from "../../schema/api.ts";
import { CROCKFORD } from "../../schema/ids.ts";
import { hmacSha256Hex } from "../secrets.ts";

/** A new code, without the hyphen it is shown with. 32 divides 256, so no character is likelier than another. */
export function newCode(): string {
  const random = crypto.getRandomValues(new Uint8Array(CODE_LENGTH));
  return Array.from(random, (byte) => CROCKFORD[byte % 32]).join("");
}

export function showCode(code: string): string {
  return `${code.slice(0, 4)}-${code.slice(4)}`;
}

/** A code as typed by a person, in the one form that is hashed; null when it cannot be one. */
export function normalizeCode(typed: string): string | null {
  const code = typed.toUpperCase().replaceAll(/[\s-]/g, "").replaceAll("O", "0").replaceAll(/[IL]/g, "1");
  return code.length === CODE_LENGTH && [...code].every((character) => CROCKFORD.includes(character))
    ? code
    : null;
}

export async function hashCode(pepper: string, code: string): Promise<string> {
  return await hmacSha256Hex(pepper, `registration-code:${code}`);
}
