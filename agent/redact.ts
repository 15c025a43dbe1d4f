/**
 * Takes secrets out of texts that leave the program's memory: log lines and error messages. The last net, not the first:
 * nobody is meant to put a secret into such a text.
 */
import { redactForms } from "../schema/redact.ts";

const SECRETS: readonly RegExp[] = [
  // The signature of a SAS; without it the rest is harmless and helps in reading a log.
  /(\bsig(?:=|%3D))[^&\s"'\\]+/gi,
  /(\bBearer\s+)[^\s"'\\]+/gi,
  /(\bAccountKey=)[^;\s"'\\]+/gi,
  /(\bmig_)[A-Za-z0-9_-]+/g,
];

export function redact(text: string): string {
  return redactForms(SECRETS.reduce((rest, secret) => rest.replace(secret, "$1[redacted]"), text));
}
